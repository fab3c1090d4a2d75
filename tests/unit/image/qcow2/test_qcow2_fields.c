/* test_qcow2_fields.c - writing the fields of the first sector. */
#include "tests/unit/qcow2_fixture.h"

#include <errno.h>

#define MIB (1u << 20)

static const struct qcow2_create plain = { .size = MIB };
static const struct qcow2_create backed = {
	.size = MIB, .backing_name = "base.raw", .backing_format = "raw",
};

static unsigned flushes, writes;
static int fail_at = -1;	/* operation that fails */

static int count_hook(const struct file *f, enum file_op op, uint64_t off,
		      uint64_t len, const void *buf)
{
	(void)f, (void)buf;
	if (op == FILE_OP_READ)
		return 0;
	if (!fail_at--)
		return -EIO;
	if (op == FILE_OP_FLUSH)
		flushes++;
	if (op == FILE_OP_WRITE) {
		assert_int_equal(off, 0);
		assert_int_equal(len, 512);
		assert_int_equal(flushes, 1);
		writes++;
	}
	return 0;
}

static void fields_are_written_in_one_sector(void **state)
{
	struct qcow2_header h, again;
	struct image img;

	(void)state;
	image_new(&img, &backed);
	image_patch(&img, 24, 8, MIB - 1);
	image_patch(&img, 104, 8, 0x00aabbccddeeff11);
	image_read(&img, &h);
	h.incompatible = QCOW2_INCOMPAT_DIRTY;
	h.compatible = 6;
	h.autoclear = 8;
	h.l1_offset = 0x50000;
	h.l1_size = 3;
	h.rt_offset = 0x20000;
	flushes = writes = 0;
	file_set_hook(count_hook);
	assert_int_equal(qcow2_header_write_fields(img.file, &h), 0);
	file_set_hook(NULL);
	assert_int_equal(writes, 1);
	assert_int_equal(flushes, 2);
	image_read(&img, &again);
	assert_int_equal(again.incompatible, QCOW2_INCOMPAT_DIRTY);
	assert_int_equal(again.compatible, 6);
	assert_int_equal(again.autoclear, 8);
	assert_int_equal(again.l1_offset, 0x50000);
	assert_int_equal(again.l1_size, 3);
	assert_int_equal(again.rt_offset, 0x20000);
	assert_string_equal(again.backing_name, "base.raw");
	assert_string_equal(again.backing_format, "raw");
	qcow2_header_release(&again);
	qcow2_header_release(&h);
	image_free(&img);
}

static void unwritten_bytes_stay(void **state)
{
	uint8_t before[512], after[512];
	struct qcow2_header h;
	struct image img;

	(void)state;
	image_new(&img, &backed);
	image_patch(&img, 24, 8, MIB - 1);
	image_patch(&img, 105, 7, 0xaabbccddeeff11);
	image_read(&img, &h);
	assert_int_equal(file_read(img.file, 0, before, 512), 0);
	assert_int_equal(qcow2_header_write_fields(img.file, &h), 0);
	assert_int_equal(file_read(img.file, 0, after, 512), 0);
	assert_memory_equal(before, after, 512);
	h.size = 2 * MIB;
	assert_int_equal(qcow2_header_write_fields(img.file, &h), 0);
	assert_int_equal(file_read(img.file, 0, after, 512), 0);
	assert_int_equal(get_be64(after + 24), 2 * MIB);
	qcow2_header_release(&h);
	image_free(&img);
}

static void version_2_keeps_its_extensions(void **state)
{
	struct qcow2_header h;
	struct image img;
	uint8_t s[512];

	(void)state;
	image_new(&img, &plain);
	image_patch(&img, 4, 4, 2);
	image_patch(&img, 72, 8, 0x0000004d00000018);
	image_patch(&img, 80, 8, ~0ull);
	image_read(&img, &h);
	h.incompatible = h.compatible = h.autoclear = 1;
	assert_int_equal(qcow2_header_write_fields(img.file, &h), 0);
	assert_int_equal(file_read(img.file, 0, s, 512), 0);
	assert_true(get_be64(s + 72) == 0x0000004d00000018);
	assert_true(get_be64(s + 80) == ~0ull);
	qcow2_header_release(&h);
	image_free(&img);
}

static void every_failure_of_the_host_is_told(void **state)
{
	struct qcow2_header h;
	struct image img;

	(void)state;
	for (int n = 0; n < 3; n++) {
		image_new(&img, &plain);
		image_read(&img, &h);
		flushes = writes = 0;
		fail_at = n;
		file_set_hook(count_hook);
		assert_int_equal(qcow2_header_write_fields(img.file, &h),
				 -EIO);
		file_set_hook(NULL);
		fail_at = -1;
		qcow2_header_release(&h);
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_written_in_one_sector),
		cmocka_unit_test(unwritten_bytes_stay),
		cmocka_unit_test(version_2_keeps_its_extensions),
		cmocka_unit_test(every_failure_of_the_host_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
