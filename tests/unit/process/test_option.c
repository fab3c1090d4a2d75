/* test_option.c - what is made of the rows of a command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "src/process/option.h"

enum { ALONE = 256, SIZE };

static const struct option_row first[] = {
	{ "file", 'f', "FILE", .takes = OPTION_FILE, .help = "a file" },
	{ NULL, 'p', .help = "one\ntwo" },
	{ 0 }
};

static const struct option_row second[] = {
	{ "alone", ALONE, .heading = "More:", .help = "by itself" },
	{ "size", SIZE, "HOW-MUCH-AND-MORE", .words = "a|b:",
	  .help = "long" },
	{ 0 }
};

static const struct option_row *const tables[] = { first, second, NULL };

static void getopt_tables(void **state)
{
	struct option *longs = option_longs(tables);
	char *letters = option_letters(tables);

	(void)state;
	assert_string_equal(letters, "f:p");
	assert_string_equal(longs[0].name, "file");
	assert_int_equal(longs[0].val, 'f');
	assert_int_equal(longs[0].has_arg, required_argument);
	assert_string_equal(longs[1].name, "alone");
	assert_int_equal(longs[1].has_arg, no_argument);
	assert_int_equal(longs[2].val, SIZE);
	assert_null(longs[3].name);
	assert_ptr_equal(option_find(first, 'p'), &first[1]);
	assert_ptr_equal(option_find(second, ALONE), &second[0]);
	assert_null(option_find(first, ALONE));
	free(longs);
	free(letters);
}

static void words(void **state)
{
	(void)state;
	assert_int_equal(option_word("auto|on|off", "auto"), 0);
	assert_int_equal(option_word("auto|on|off", "off"), 2);
	assert_int_equal(option_word("auto|on|off", "of"), -1);
	assert_int_equal(option_word("auto|on|off", "offs"), -1);
	assert_int_equal(option_word("auto|on|off", "on|off"), -1);
	assert_int_equal(option_word("auto|on|off", ""), -1);
}

/* What @fn writes. */
static void written(char *out, size_t size, void (*fn)(FILE *out))
{
	FILE *stream = fmemopen(out, size, "w");

	assert_non_null(stream);
	fn(stream);
	fclose(stream);
}

static void write_help(FILE *out)
{
	option_help(first, out);
	option_help(second, out);
}

static void write_synopsis(FILE *out)
{
	option_synopsis(tables, 50, out);
}

static void help(void **state)
{
	char text[1024] = "";

	(void)state;
	written(text, sizeof(text), write_help);
	assert_string_equal(text,
		"  -f, --file FILE         a file\n"
		"  -p                      one\n"
		"                          two\n"
		"\nMore:\n"
		"      --alone             by itself\n"
		"      --size HOW-MUCH-AND-MORE\n"
		"                          long\n");
	memset(text, 0, sizeof(text));
	written(text, sizeof(text), write_synopsis);
	assert_string_equal(text, " [-f FILE] [-p] [--alone]\n"
			    "        [--size HOW-MUCH-AND-MORE]");
}

static void json(void **state)
{
	json_t *list = option_json(tables), *row = json_array_get(list, 3);

	(void)state;
	assert_int_equal(json_array_size(list), 4);
	assert_string_equal(json_string_value(json_object_get(row, "name")),
			    "size");
	row = json_object_get(row, "words");
	assert_int_equal(json_array_size(row), 2);
	assert_string_equal(json_string_value(json_array_get(row, 1)), "b:");
	row = json_array_get(list, 1);
	assert_null(json_object_get(row, "name"));
	assert_string_equal(json_string_value(json_object_get(row, "letter")),
			    "p");
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(getopt_tables),
		cmocka_unit_test(words),
		cmocka_unit_test(help),
		cmocka_unit_test(json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
