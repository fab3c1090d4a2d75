/* test_qmp_oom.c - no memory for JSON: an error in place of half an answer,
 * and the next request is as good as any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "src/qmp/channel.h"
#include "src/qmp/command.h"
#include "src/qmp/json/json_stream.h"
#include "tests/unit/oom.h"

/* Longer than a string that does not fail, and than its next size. */
#define LONG_TEXT (200u << 10)

static const char *const questions[] = {
	"query-commands", "query-version", "query-block-jobs",
	"x-blkmon-query-links", "x-blkmon-query-latency",
};

/* Two in a row: the second is what the reserve was spent for. False if there
 * are no such allocations. */
static bool ask(struct channel *c, const char *name, const json_t *want,
		long first)
{
	json_t *got;
	bool failed;

	oom_arm(first, 2, 0);
	got = channel_call(c, name, NULL);
	failed = oom_disarm();
	if (!channel_error(got) && !json_equal(got, want))
		fail_msg("%s, allocation %ld: not the whole answer", name,
			 first);
	json_decref(got);
	return failed;
}

static void half_an_answer_is_none(void **state)
{
	struct machine *machine = machine_new();
	struct channel *c = channel_local_new(machine);

	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		json_t *want = channel_call(c, questions[i], NULL);
		long n = 1;

		assert_null(channel_error(want));
		while (ask(c, questions[i], want, n))
			n++;
		if (OOM_WORKS)
			assert_in_range(n, 3, 100000);
		json_decref(want);
	}
	channel_free(c);
	machine_free(machine);
}

static json_t *next(struct json_stream *s, const char *data, size_t len,
		    struct err *err)
{
	json_t *value = NULL;

	while (len && json_stream_next(s, &data, &len, &value, err) && !value)
		;
	return value;
}

static void long_text_is_refused(void **state)
{
	static char text[LONG_TEXT + 3];
	struct json_stream s = { .depth = 0 };
	struct err err = ERR_INIT;
	json_t *value;

	(void)state;
	if (!OOM_WORKS)
		skip();
	memset(text, 'a', sizeof(text));
	text[0] = text[LONG_TEXT + 1] = '"';
	text[LONG_TEXT + 2] = '\n';
	oom_arm(1, LONG_MAX, STR_SURE + 1);
	value = next(&s, text, sizeof(text), &err);
	assert_true(oom_disarm());
	assert_null(value);
	assert_string_equal(err.text, "JSON parse error, out of memory");
	value = next(&s, text, sizeof(text), &err);
	assert_int_equal(json_string_length(value), LONG_TEXT);
	json_decref(value);
	json_stream_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_an_answer_is_none),
		cmocka_unit_test(long_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
