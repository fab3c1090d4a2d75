/* test_err.c - classes, sentences, cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "engine/util/err.h"
#include "engine/util/str.h"

static void set_replaces(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err.class, ERR_NONE);
	assert_string_equal(err.text, "");
	assert_int_equal(err_sys(&err, EIO, "disk"), -1);
	assert_int_equal(err_set(&err, ERR_DEVICE_IN_USE, "%s is busy", "d0"),
			 -1);
	assert_int_equal(err.class, ERR_DEVICE_IN_USE);
	assert_int_equal(err.errnum, 0);
	assert_string_equal(err.text, "d0 is busy");
}

static void set_takes_its_own_text(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_GENERIC, "no such file");
	err_set(&err, ERR_NOT_SUPPORTED, "cannot open: %s", err.text);
	assert_string_equal(err.text, "cannot open: no such file");
}

static void sys_takes_either_sign(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&err, -ENOENT, "open '%s'", "/a"), -1);
	assert_int_equal(err.class, ERR_GENERIC);
	assert_int_equal(err.errnum, ENOENT);
	assert_string_equal(err.text, "open '/a': No such file or directory");
	err_sys(&err, EIO, "read at %d", 512);
	assert_int_equal(err.errnum, EIO);
	assert_string_equal(err.text, "read at 512: Input/output error");
}

static void prefix_keeps_class_and_errno(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_sys(&err, ENOSPC, "write");
	err_prefix(&err, "job '%s': ", "d0");
	assert_int_equal(err.errnum, ENOSPC);
	assert_int_equal(err.class, ERR_GENERIC);
	assert_string_equal(err.text,
			    "job 'd0': write: No space left on device");
}

static void long_text_is_cut(void **state)
{
	char big[2 * ERR_TEXT_MAX];
	struct err err = ERR_INIT;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&err, ERR_GENERIC, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, "ab");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "abx", 3);
	err_prefix(&err, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_sys(&err, EIO, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err.errnum, EIO);
}

static void assert_shown(const char *text, const char *want)
{
	struct str out = STR_INIT;

	err_add_text(&out, text);
	assert_string_equal(str_get(&out), want);
	str_release(&out);
}

/* Names break no line. */
static void text_is_shown(void **state)
{
	(void)state;
	assert_shown("Could not open 'a\nb\x1b'",
		     "Could not open 'a\\x0ab\\x1b'");
	assert_shown("Failed to get \"write\" lock\n"
		     "Is another process using the image [a\nb]?",
		     "Failed to get \"write\" lock\n"
		     "Is another process using the image [a\\x0ab]?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_replaces),
		cmocka_unit_test(set_takes_its_own_text),
		cmocka_unit_test(sys_takes_either_sign),
		cmocka_unit_test(prefix_keeps_class_and_errno),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(text_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
