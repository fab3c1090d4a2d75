/* test_format.c - formats by name and by the first bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "engine/chain/format.h"
#include "engine/image/qcow2/qcow2.h"
#include "tests/unit/file_fault.h"
#include "tests/unit/file_help.h"

static void by_name(void **state)
{
	(void)state;
	assert_ptr_equal(format_find("raw"), &driver_raw);
	assert_ptr_equal(format_find("qcow2"), &driver_qcow2);
	assert_null(format_find("qcow"));
	assert_null(format_find(""));
}

static void assert_probed(const char *head, size_t len, const char *want)
{
	struct file *f = create("image", FILE_CACHE_WRITEBACK);
	const char *name = NULL;

	assert_int_equal(file_write(f, 0, head, len), 0);
	assert_int_equal(format_probe(f, &name), 0);
	assert_string_equal(name, want);
	file_close(f);
	scratch_clear();
}

static void by_first_bytes(void **state)
{
	(void)state;
	assert_probed("QFI\xfb\0\0\0\3", 8, "qcow2");
	assert_probed("QFI\xfb", 4, "qcow2");
	assert_probed("QFI", 3, "raw");
	assert_probed("", 0, "raw");
	assert_probed("guest's boot sector", 19, "raw");
}

static void unreadable(void **state)
{
	struct file *f = create("image", FILE_CACHE_WRITEBACK);
	const char *name = NULL;

	(void)state;
	file_fail(FILE_OP_READ);
	assert_int_equal(format_probe(f, &name), -EIO);
	file_set_hook(NULL);
	assert_null(name);
	file_close(f);
	scratch_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_name),
		cmocka_unit_test(by_first_bytes),
		cmocka_unit_test(unreadable),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
