/* test_str.c - growing strings, and text that is safe to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/str.h"
#include "tests/unit/oom.h"

static void empty_is_usable(void **state)
{
	struct str str = STR_INIT;
	char *s;

	(void)state;
	assert_string_equal(str_get(&str), "");
	str_clear(&str);
	str_add(&str, "");
	assert_string_equal(str.s, "");
	str_release(&str);
	s = str_detach(&str);
	assert_string_equal(s, "");
	free(s);
	str_release(&str);
}

static void adds_of_every_kind(void **state)
{
	struct str str = STR_INIT;

	(void)state;
	str_add(&str, "ab");
	str_add_char(&str, 'c');
	str_add_mem(&str, "d\0e", 3);
	str_addf(&str, "-%d-%s", 42, "f");
	assert_int_equal(str.len, 11);
	assert_memory_equal(str.s, "abcd\0e-42-f", 12);
	str_clear(&str);
	assert_int_equal(str.len, 0);
	assert_string_equal(str_get(&str), "");
	str_release(&str);
	assert_null(str.s);
}

static void grows_over_every_edge(void **state)
{
	char want[300];

	(void)state;
	for (size_t n = 0; n < sizeof(want); n++) {
		struct str one = STR_INIT, all = STR_INIT;

		memset(want, 'y', n);
		want[n] = '\0';
		for (size_t i = 0; i < n; i++)
			str_add_char(&one, 'y');
		str_addf(&all, "%s", want);
		assert_string_equal(str_get(&one), want);
		assert_string_equal(str_get(&all), want);
		assert_true(!n || one.cap > one.len);
		str_release(&one);
		str_release(&all);
	}
}

static void words_of_the_prompt(void **state)
{
	static const char *const words[][2] = {
		{ "sn1", " sn1" }, { "", " \"\"" }, { "my top", " \"my top\"" },
		{ "-f", " \"-f\"" }, { "a-f", " a-f" }, { "a\fb", " \"a\fb\"" },
		{ "a\\\"b", " \"a\\\\\\\"b\"" }, { "a\nb", " \"a\\nb\"" },
		{ "\xc3\xbc", " \xc3\xbc" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct str str = STR_INIT;

		str_add_word(&str, words[i][0]);
		assert_string_equal(str_get(&str), words[i][1]);
		str_release(&str);
	}
}

static void words_of_a_shell(void **state)
{
	struct str str = STR_INIT;

	(void)state;
	str_add_shell(&str, "it's $(x)");
	assert_string_equal(str_get(&str), "'it'\\''s $(x)'");
	str_release(&str);
}

static void detach_gives_it_away(void **state)
{
	struct str str = STR_INIT;
	char *s;

	(void)state;
	str_add(&str, "mine");
	s = str_detach(&str);
	assert_string_equal(s, "mine");
	assert_string_equal(str_get(&str), "");
	str_add(&str, "next");
	assert_string_equal(s, "mine");
	free(s);
	str_release(&str);
}

static const struct {
	const char *text, *safe;
} safe_rows[] = {
	{ "plain ~ text \\ \"", "plain ~ text \\ \"" },
	{ "a\nb\tc", "a\\x0ab\\x09c" },
	{ "\033[2J\a", "\\x1b[2J\\x07" },
	{ "\x01\x1f\x7f", "\\x01\\x1f\\x7f" },
	{ "\302\233" "1m", "\\u{9b}1m" },
	{ "Gr\303\274\303\237e \342\202\254 \360\237\222\276",
	  "Gr\303\274\303\237e \342\202\254 \360\237\222\276" },
	/* right-to-left override, zero-width space, BOM, isolate, tag */
	{ "a\342\200\256b", "a\\u{202e}b" },
	{ "a\342\200\213b", "a\\u{200b}b" },
	/* no-break, en, narrow no-break; the ideographic one is wide */
	{ "a\302\240b", "a\\u{a0}b" },
	{ "\342\200\202", "\\u{2002}" },
	{ "\342\200\257", "\\u{202f}" },
	{ "\343\200\200", "\343\200\200" },
	{ "\357\273\277b", "\\u{feff}b" },
	{ "\342\201\246", "\\u{2066}" },
	{ "\363\240\201\201", "\\u{e0041}" },
	/* lone continuation, cut off, overlong, surrogate, too large */
	{ "\200", "\\x80" },
	{ "\342\202", "\\xe2\\x82" },
	{ "\342\202x", "\\xe2\\x82x" },
	{ "\300\257", "\\xc0\\xaf" },
	{ "\340\200\257", "\\xe0\\x80\\xaf" },
	{ "\360\200\200\257", "\\xf0\\x80\\x80\\xaf" },
	{ "\355\240\200", "\\xed\\xa0\\x80" },
	{ "\364\220\200\200", "\\xf4\\x90\\x80\\x80" },
	{ "\370\377", "\\xf8\\xff" },
};

static void safe_text(void **state)
{
	struct str str = STR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(safe_rows) / sizeof(*safe_rows); i++) {
		str_clear(&str);
		str_add_safe(&str, safe_rows[i].text);
		assert_string_equal(str_get(&str), safe_rows[i].safe);
	}
	str_release(&str);
}

static void prefixes(void **state)
{
	(void)state;
	assert_true(str_has_prefix("json:{}", "json:"));
	assert_true(str_has_prefix("x", ""));
	assert_false(str_has_prefix("jso", "json:"));
	assert_false(str_has_prefix("", "x"));
}

/* Up to STR_SURE nothing is lost, whatever fails once; beyond it the end is,
 * and no hole. */
static void loses_only_its_end(void **state)
{
	struct str s = STR_INIT;
	size_t len;

	(void)state;
	if (!OOM_WORKS)
		skip();
	oom_arm(1, LONG_MAX, STR_SURE + 1);
	for (int i = 0; i < 60000; i++)
		str_addf(&s, "%d,", i % 10);
	assert_true(oom_disarm());
	assert_true(s.lost);
	len = s.len;
	assert_in_range(len, STR_SURE - 2, STR_SURE);
	assert_int_equal(strlen(s.s), len);
	str_add(&s, "x");
	assert_int_equal(s.len, len);
	str_clear(&s);
	assert_false(s.lost);
	str_add(&s, "again");
	assert_string_equal(str_get(&s), "again");
	str_release(&s);
	oom_arm(1, 1, 0);
	str_add(&s, "small");
	assert_true(oom_disarm());
	assert_false(s.lost);
	assert_string_equal(str_get(&s), "small");
	str_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_usable),
		cmocka_unit_test(adds_of_every_kind),
		cmocka_unit_test(grows_over_every_edge),
		cmocka_unit_test(words_of_the_prompt),
		cmocka_unit_test(words_of_a_shell),
		cmocka_unit_test(detach_gives_it_away),
		cmocka_unit_test(safe_text),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(loses_only_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
