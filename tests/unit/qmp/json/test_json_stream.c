/* test_json_stream.c - values out of bytes: dialect, splits, limits, and what
 * comes behind a fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "src/qmp/json/json_stream.h"

/* What came out: values as compact JSON, faults as "!text", one a line. */
struct outcome {
	struct json_stream stream;
	struct str text;
};

static void feed(struct outcome *o, const char *data, size_t len)
{
	json_t *value;

	for (;;) {
		struct err err = ERR_INIT;
		char *text;

		if (!json_stream_next(&o->stream, &data, &len, &value, &err))
			break;
		text = value ? json_dumps(value, JSON_ENCODE_ANY |
					  JSON_COMPACT) : NULL;
		if (!value)
			assert_true(str_has_prefix(err.text,
						   "JSON parse error, "));
		str_addf(&o->text, "%s\n", text ? text : err.text);
		free(text);
		json_decref(value);
	}
	assert_int_equal(len, 0);
}

/* In one piece, and in pieces of @step bytes: the same must come out. */
static void expect_len(const char *in, size_t len, const char *out)
{
	static const size_t steps[] = { SIZE_MAX, 1, 2, 3, 7 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct outcome o = { .text = STR_INIT };

		for (size_t at = 0; at < len;) {
			size_t n = len - at < steps[i] ? len - at : steps[i];

			feed(&o, in + at, n);
			at += n;
		}
		if (out)
			assert_string_equal(str_get(&o.text), out);
		str_release(&o.text);
		json_stream_release(&o.stream);
	}
}

static void expect(const char *in, const char *out)
{
	expect_len(in, strlen(in), out);
}

static void values(void **state)
{
	(void)state;
	expect("{}", "{}\n");
	expect("{\"a\": 1}{\"b\":2} [3]\r\n\t\"x\"", "{\"a\":1}\n{\"b\":2}\n"
	       "[3]\n\"x\"\n");
	expect("{\n  \"a\": [\n    1,\n    2\n  ]\n}\n", "{\"a\":[1,2]}\n");
	expect("42 ", "42\n");
	expect("42", "");
	expect("true{}", "true\n{}\n");
	expect("{\"a\":\"}{\"}", "{\"a\":\"}{\"}\n");
	expect("{\"a\":\"\\\"}\"}", "{\"a\":\"\\\"}\"}\n");
	expect("{\"\xc3\xa9\":\"\xe2\x82\xac\xf0\x9f\x98\x80\"}",
	       "{\"\xc3\xa9\":\"\xe2\x82\xac\xf0\x9f\x98\x80\"}\n");
}

static void dialect(void **state)
{
	(void)state;
	expect("{'a':'b'}", "{\"a\":\"b\"}\n");
	expect("{'a':'say \"x\"'}", "{\"a\":\"say \\\"x\\\"\"}\n");
	expect("['it\\'s', \"it\\'s\"]", "[\"it's\",\"it's\"]\n");
	expect("['\\\\', '\\n\\u00e9']", "[\"\\\\\",\"\\n\xc3\xa9\"]\n");
	expect("['\\\"']", "[\"\\\"\"]\n");
	expect("[99999999999999999999, -9223372036854775808]",
	       "[1e20,-9223372036854775808]\n");
}

#define GONE "JSON parse error, "

static void faults(void **state)
{
	(void)state;
	expect("}{}", GONE "expecting value\n{}\n");
	expect("]:,", GONE "expecting value\n" GONE "expecting value\n"
	       GONE "expecting value\n");
	expect("{\"a\": ]{}", GONE "expecting value\n{}\n");
	expect("#$%& {\"a\":1}", GONE "stray character\n{\"a\":1}\n");
	expect("#$%&\n{\"a\":1}", GONE "stray character\n{\"a\":1}\n");
	expect("{\"a\": # {\"b\": '}'}} {}", GONE "stray character\n{}\n");
	expect("{\"a\": #\n{}", GONE "stray character\n{}\n");
	expect("{\"a\n{}", GONE "control character in a string\n{}\n");
	expect("{\"a\t\":1}{}", GONE "control character in a string\n{}\n");
	expect("{\"a\":\xff{}", GONE "started anew by 0xFF\n{}\n");
	expect("{\"a\":\"\xff{}", GONE "started anew by 0xFF\n{}\n");
	expect("\xff\xff", GONE "started anew by 0xFF\n"
	       GONE "started anew by 0xFF\n");
	expect_len("\0{}", 3, GONE "stray character\n{}\n");
	/* The words of these are jansson's. */
	expect("{\"a\": }{}", NULL);
	expect("hello {}", NULL);
	expect("[\"\xc3\x28\"]{}", NULL);
	expect("[\"\\u0000\"]{}", NULL);
	expect("{\"a\":1,\"a\":2}{}", NULL);
}

/* The last thing that comes out of @in is {}, and one fault before it. */
static void expect_recovery(struct str *in, const char *what)
{
	struct outcome o = { .text = STR_INIT };
	struct str want = STR_INIT;

	str_addf(&want, GONE "%s\n{}\n", what);
	str_add(in, "\n{}");
	feed(&o, in->s, in->len);
	assert_string_equal(str_get(&o.text), str_get(&want));
	assert_false(json_stream_is_open(&o.stream));
	str_release(&want);
	str_release(&o.text);
	json_stream_release(&o.stream);
	str_clear(in);
}

static void repeat(struct str *out, const char *text, size_t n)
{
	while (n--)
		str_add(out, text);
}

static void limits(void **state)
{
	struct str in = STR_INIT;
	struct outcome o = { .text = STR_INIT };

	(void)state;
	repeat(&in, "[", JSON_STREAM_DEPTH);
	repeat(&in, "]", JSON_STREAM_DEPTH);
	feed(&o, in.s, in.len);
	assert_int_equal(o.text.len, 2 * JSON_STREAM_DEPTH + 1);
	str_clear(&in);
	repeat(&in, "[", JSON_STREAM_DEPTH + 1);
	expect_recovery(&in, "more than 64 levels");
	repeat(&in, "[", 100000);
	expect_recovery(&in, "more than 64 levels");
	repeat(&in, "{\"a\":", 1000);
	expect_recovery(&in, "more than 64 levels");
	repeat(&in, "x", JSON_STREAM_MAX + 10);
	expect_recovery(&in, "more than 1 MiB");
	str_add(&in, "{\"a\":\"");
	repeat(&in, "x", JSON_STREAM_MAX + 10);
	expect_recovery(&in, "more than 1 MiB");
	str_release(&in);
	str_release(&o.text);
	json_stream_release(&o.stream);
}

/* Without a line end the value itself ends what is left out. */
static void too_deep_in_one_line(void **state)
{
	struct outcome o = { .text = STR_INIT };
	struct str in = STR_INIT;

	(void)state;
	repeat(&in, "[", 500);
	str_add(&in, "']'");
	repeat(&in, "]", 500);
	str_add(&in, "{}");
	feed(&o, in.s, in.len);
	assert_string_equal(str_get(&o.text),
			    GONE "more than 64 levels\n{}\n");
	str_release(&in);
	str_release(&o.text);
	json_stream_release(&o.stream);
}

/* Who expects much says how much: longer than the usual, and not without
 * end, neither in bytes nor in values. */
static void limits_of_others(void **state)
{
	static const struct json_limits limits = {
		.bytes = JSON_STREAM_MAX + 100, .values = 3, .depth = 100,
	};
	struct outcome o = { .stream.limits = &limits };
	char *big = malloc(JSON_STREAM_MAX + 200);

	(void)state;
	feed(&o, "[1,2,3,4] [1,2,3,4,5] {}\n{}\n", 28);
	assert_string_equal(str_get(&o.text), "[1,2,3,4]\n"
			    "JSON parse error, too many values\n{}\n{}\n");
	str_clear(&o.text);
	for (int levels = 99; levels <= 101; levels++) {
		memset(big, '[', (size_t)levels);
		memset(big + levels, ']', (size_t)levels);
		big[2 * levels] = '\n';
		feed(&o, big, 2 * (size_t)levels + 1);
		if (levels == 101)
			assert_string_equal(str_get(&o.text), "JSON parse "
					    "error, too many levels\n");
		else
			assert_int_equal(o.text.len, 2 * levels + 1);
		str_clear(&o.text);
	}
	/* What opens as an array does not close as an object, however deep. */
	memset(big, '[', 70);
	memcpy(big + 70, "}\n", 2);
	feed(&o, big, 72);
	assert_string_equal(str_get(&o.text),
			    "JSON parse error, expecting value\n");
	str_clear(&o.text);
	memset(big, 'x', JSON_STREAM_MAX + 200);
	big[0] = '"';
	big[JSON_STREAM_MAX + 50] = '"';
	feed(&o, big, JSON_STREAM_MAX + 51);
	assert_true(o.text.len > JSON_STREAM_MAX);
	str_clear(&o.text);
	big[JSON_STREAM_MAX + 50] = 'x';
	feed(&o, big, JSON_STREAM_MAX + 200);
	assert_string_equal(str_get(&o.text),
			    "JSON parse error, too many bytes\n");
	str_release(&o.text);
	json_stream_release(&o.stream);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(dialect),
		cmocka_unit_test(faults),
		cmocka_unit_test(limits),
		cmocka_unit_test(too_deep_in_one_line),
		cmocka_unit_test(limits_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
