/* test_args.c - specifications of arguments, and what is said when they are
 * not met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/qmp/json/args.h"

#define SPEC "device:s,*speed:i,*force:b,*mode:e=fast|slow,*data:o,*list:a," \
	"*any:v"

static void items(void **state)
{
	const char *spec = "*mode:e=fast|slow,n:i";
	struct args_item item;

	(void)state;
	assert_true(args_next(&spec, &item));
	assert_true(item.optional);
	assert_int_equal(item.type, 'e');
	assert_memory_equal(item.name, "mode", item.name_len);
	assert_memory_equal(item.values, "fast|slow", item.values_len);
	assert_int_equal(item.values_len, 9);
	assert_true(args_next(&spec, &item));
	assert_false(item.optional);
	assert_int_equal(item.type, 'i');
	assert_false(args_next(&spec, &item));
}

static const struct {
	const char *args, *text;	/* NULL: nothing is wrong */
} cases[] = {
	{ "{'device': 'd'}", NULL },
	{ "{'device': 'd', 'speed': -1, 'force': false, 'mode': 'slow',"
	  " 'data': {}, 'list': [], 'any': null}", NULL },
	{ "{}", "Parameter 'device' is missing" },
	{ "{'device': 5}",
	  "Invalid parameter type for 'device', expected: string" },
	{ "{'device': 'd', 'speed': '1M'}",
	  "Invalid parameter type for 'speed', expected: integer" },
	{ "{'device': 'd', 'speed': 1.5}",
	  "Invalid parameter type for 'speed', expected: integer" },
	{ "{'device': 'd', 'force': 1}",
	  "Invalid parameter type for 'force', expected: boolean" },
	{ "{'device': 'd', 'mode': true}",
	  "Invalid parameter type for 'mode', expected: string" },
	{ "{'device': 'd', 'mode': 'fas'}",
	  "Parameter 'mode' does not accept value 'fas'" },
	{ "{'device': 'd', 'mode': ''}",
	  "Parameter 'mode' does not accept value ''" },
	{ "{'device': 'd', 'data': []}",
	  "Invalid parameter type for 'data', expected: object" },
	{ "{'device': 'd', 'list': {}}",
	  "Invalid parameter type for 'list', expected: array" },
	{ "{'device': 'd', 'bogus': 1}", "Parameter 'bogus' is unexpected" },
	{ "{'device': 'd', 'devic': 1}", "Parameter 'devic' is unexpected" },
	{ "{'bogus': 1}", "Parameter 'device' is missing" },
};

static json_t *parse(const char *text)
{
	char buf[256], *out = buf;
	json_t *value;

	for (; *text; text++)
		*out++ = *text == '\'' ? '"' : *text;
	*out = '\0';
	value = json_loads(buf, 0, NULL);
	assert_non_null(value);
	return value;
}

static void checks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = ERR_INIT;
		json_t *args = parse(cases[i].args);
		int rc = args_check(SPEC, args, "", &err);

		assert_int_equal(rc, cases[i].text ? -1 : 0);
		assert_string_equal(err.text, cases[i].text ? cases[i].text :
				    "");
		json_decref(args);
	}
}

static void nested_names(void **state)
{
	struct err err = ERR_INIT;
	json_t *args = json_object();

	(void)state;
	assert_int_equal(args_check(SPEC, args, "actions[0].data.", &err),
			 -1);
	assert_string_equal(err.text,
			    "Parameter 'actions[0].data.device' is missing");
	json_decref(args);
}

static void readers(void **state)
{
	json_t *args = parse("{'s': 'x', 'i': 7, 'b': true}");

	(void)state;
	assert_string_equal(args_str(args, "s"), "x");
	assert_null(args_str(args, "t"));
	assert_int_equal(args_int(args, "i", 1), 7);
	assert_int_equal(args_int(args, "j", 1), 1);
	assert_true(args_bool(args, "b", false));
	assert_true(args_bool(args, "c", true));
	json_decref(args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items),
		cmocka_unit_test(checks),
		cmocka_unit_test(nested_names),
		cmocka_unit_test(readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
