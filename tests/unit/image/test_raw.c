/* test_raw.c - the raw format: the disk is the file, of whatever length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/image/driver.h"
#include "engine/image/image_info.h"
#include "engine/image/node.h"
#include "tests/unit/file_fault.h"
#include "tests/unit/scratch.h"

enum { BLOCK = 64 << 10 };

static uint8_t data[BLOCK];

/* An image of @size bytes, all a hole. */
static struct node *image_new(uint64_t size)
{
	static struct node node;
	static struct file *f;
	const struct node_options o = { 0 };
	struct err err = ERR_INIT;

	memset(data, 0x5a, sizeof(data));
	assert_int_equal(file_create(&f, "image", 0600, false,
				     FILE_CACHE_WRITEBACK, &err), 0);
	assert_int_equal(file_truncate(f, size), 0);
	memset(&node, 0, sizeof(node));
	node.file = f;
	node.drv = &driver_raw;
	assert_int_equal(driver_raw.open(&node, &o, &err), 0);
	assert_int_equal(driver_raw.make_writable(&node, &err), 0);
	return &node;
}

static void image_free(struct node *node)
{
	driver_raw.close(node);
	file_close(node->file);
	scratch_clear();
}

static void put(struct node *node, uint64_t off, uint64_t len)
{
	struct write_op op;

	assert_int_equal(driver_raw.write_begin(node, off, len, WRITE_IN_PLACE,
						&op), 0);
	assert_true(op.in_place && !op.head && !op.tail && !op.clusters);
	assert_int_equal(op.off, off);
	assert_int_equal(op.len, len);
	assert_int_equal(op.host, off);
	assert_ptr_equal(op.file, node->file);
	assert_int_equal(file_write(op.file, op.host, data, op.len), 0);
	assert_int_equal(driver_raw.write_end(node, &op, 0), 0);
	assert_int_equal(driver_raw.write_end(node, &op, -EIO), -EIO);
}

static void assert_run(struct node *node, uint64_t off, uint64_t look,
		       enum run_kind kind, uint64_t len)
{
	struct run run;

	memset(&run, 0xee, sizeof(run));
	assert_int_equal(driver_raw.map(node, off, look, &run), 0);
	assert_int_equal(run.kind, kind);
	assert_int_equal(run.off, off);
	assert_int_equal(run.len, len);
	assert_false(run.shared);
	if (kind == RUN_DATA) {
		assert_ptr_equal(run.file, node->file);
		assert_int_equal(run.host, off);
	}
}

static void runs(void **state)
{
	struct node *node = image_new(4 * BLOCK);

	(void)state;
	assert_int_equal(node->size, 4 * BLOCK);
	assert_int_equal(node->cluster, 512);
	assert_null(node->backing_name);
	assert_run(node, 0, 4 * BLOCK, RUN_ZERO, 4 * BLOCK);
	put(node, BLOCK, BLOCK);
	assert_run(node, 0, 4 * BLOCK, RUN_ZERO, BLOCK);
	assert_run(node, 100, 50, RUN_ZERO, 50);
	assert_run(node, BLOCK, 3 * BLOCK, RUN_DATA, BLOCK);
	assert_run(node, BLOCK + 1, 3, RUN_DATA, 3);
	assert_run(node, 2 * BLOCK, BLOCK, RUN_ZERO, BLOCK);
	image_free(node);
}

/* The last sector is there as a whole. */
static void any_length(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 511, 512, 513, 4096, 70001 };
	struct node *node;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const struct node_options none = { 0 };
		uint64_t size = sizes[i], whole = (size + 511) / 512 * 512;

		node = image_new(0);
		assert_int_equal(file_write(node->file, 0, data,
					    size < BLOCK ? size : BLOCK), 0);
		assert_int_equal(file_truncate(node->file, size), 0);
		assert_int_equal(driver_raw.open(node, &none, NULL), 0);
		assert_int_equal(node->size, whole);
		if (size && size < BLOCK)
			assert_run(node, 0, whole, RUN_DATA, whole);
		if (whole > size) {
			put(node, whole - 1, 1);
			assert_int_equal(node->file->size, whole);
		}
		image_free(node);
	}
}

static void zeroes(void **state)
{
	uint8_t got[BLOCK], want[BLOCK];
	struct node *node;

	(void)state;
	for (int unmap = 0; unmap < 2; unmap++) {
		node = image_new(4 * BLOCK);
		put(node, 0, BLOCK);
		put(node, 2 * BLOCK, BLOCK);
		assert_int_equal(driver_raw.zero(node, 512, 3 * BLOCK, unmap),
				 0);
		memset(want, 0, BLOCK);
		memset(want, 0x5a, 512);
		assert_int_equal(file_read(node->file, 0, got, BLOCK), 0);
		assert_memory_equal(got, want, BLOCK);
		memset(want, 0, 512);
		assert_int_equal(file_read(node->file, 2 * BLOCK, got, BLOCK),
				 0);
		assert_memory_equal(got, want, BLOCK);
		assert_int_equal(node->file->size, 4 * BLOCK);
		image_free(node);
	}
}

/* Zeroes over a hole take no room. */
static void zeroes_are_sparse(void **state)
{
	struct node *node = image_new(64 * BLOCK);

	(void)state;
	put(node, 0, 4096);
	assert_int_equal(driver_raw.zero(node, 0, 64 * BLOCK, false), 0);
	assert_true(file_disk_bytes(node->file) <= BLOCK);
	assert_int_equal(driver_raw.zero(node, 0, 64 * BLOCK, true), 0);
	assert_run(node, 0, 64 * BLOCK, RUN_ZERO, 64 * BLOCK);
	image_free(node);
}

/* --- a guessed disk --- */

/* A write as its callers make it; the middle is where another one may be. */
static int guessed_begin(struct node *node, uint64_t off, const void *what,
			 uint64_t len, struct write_op *op)
{
	int rc = driver_raw.write_begin(node, off, len, 0, op);

	return rc ? rc : file_write(op->file, op->host, what, op->len);
}

static int guessed_put(struct node *node, uint64_t off, const void *what,
		       uint64_t len)
{
	struct write_op op;
	int rc = guessed_begin(node, off, what, len, &op);

	assert_true(op.len <= len);
	return driver_raw.write_end(node, &op, rc);
}

static struct node *guessed_new(void)
{
	struct node *node = image_new(BLOCK);
	struct err err = ERR_INIT;

	node->probed = true;
	lock_init(&node->meta);
	assert_int_equal(driver_raw.make_writable(node, &err), 0);
	return node;
}

static void assert_head(struct node *node, const char *want, size_t len)
{
	uint8_t got[64];

	assert_int_equal(file_read(node->file, 0, got, len), 0);
	assert_memory_equal(got, want, len);
}

static void guessed_disk(void **state)
{
	struct node *node = guessed_new();
	uint8_t big[BLOCK / 2] = { 'Q', 'F', 'I', 0xfb };
	struct write_op op;

	(void)state;
	assert_int_equal(guessed_put(node, 0, "QFI\xfb", 4), -EPERM);
	assert_int_equal(guessed_put(node, 0, big, sizeof(big)), -EPERM);
	assert_head(node, "\0\0\0\0", 4);
	assert_int_equal(guessed_put(node, 1, "FI\xfb" "3", 4), 0);
	assert_int_equal(guessed_put(node, 0, "Q", 1), -EPERM);
	assert_head(node, "\0FI\xfb" "3", 5);
	assert_int_equal(guessed_put(node, 0, "hello", 5), 0);
	assert_head(node, "hello", 5);
	/* a VMDK in plain text names files of the host */
	assert_int_equal(guessed_put(node, 0, "version=1\n", 10), -EPERM);
	assert_int_equal(guessed_put(node, 0, "# any\n  \r\nversion=3\r\n", 21),
			 -EPERM);
	assert_head(node, "hello", 5);
	/* behind the beginning it is a disk like others */
	assert_int_equal(driver_raw.write_begin(node, 4096, 512, 0, &op), 0);
	assert_ptr_equal(op.file, node->file);
	assert_int_equal(op.len, 512);
	image_free(node);
}

/* Neither forges it alone, and both are under way at once. */
static void halves_do_not_pass(void **state)
{
	struct node *node = guessed_new();
	struct write_op a, b;

	(void)state;
	assert_int_equal(guessed_begin(node, 0, "QF", 2, &a), 0);
	assert_int_equal(guessed_begin(node, 2, "I\xfb", 2, &b), 0);
	assert_int_equal(driver_raw.write_end(node, &b, 0), 0);
	assert_int_equal(driver_raw.write_end(node, &a, 0), -EPERM);
	assert_head(node, "\0\0I\xfb", 4);
	image_free(node);
}

/* A fixed VHD is told by the last sector of its file, wherever that ends and
 * in whatever pieces it comes. */
static void footer(void **state)
{
	static const uint64_t lost[] = { 0, 1, 24, 511 };
	const uint8_t fixed[4] = { 0, 0, 0, 2 };
	uint8_t got[8], none[8] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lost) / sizeof(*lost); i++) {
		struct node *node = guessed_new();
		uint64_t at = BLOCK - lost[i] - 512;

		assert_int_equal(file_truncate(node->file, at + 512), 0);
		assert_int_equal(guessed_put(node, at, "conecti", 7), 0);
		assert_int_equal(guessed_put(node, at + 60, fixed, 4), 0);
		assert_int_equal(guessed_put(node, at + 7, "x", 1), -EPERM);
		assert_int_equal(guessed_put(node, at + 59, none, 5), 0);
		assert_int_equal(guessed_put(node, at + 7, "x", 1), 0);
		assert_int_equal(guessed_put(node, at + 60, fixed, 4), -EPERM);
		assert_int_equal(guessed_put(node, at, "kol", 3), 0);
		assert_int_equal(guessed_put(node, at + 3, "y", 1), -EPERM);
		assert_int_equal(file_read(node->file, at, got, 8), 0);
		assert_memory_equal(got, "kolectix", 8);
		assert_int_equal(node->file->size, at + 512);
		image_free(node);
	}
}

/* The part of a sector that the file has not makes another one the last. */
static void footer_of_a_longer_file(void **state)
{
	struct node *node = guessed_new();
	uint64_t at = BLOCK - 512;

	(void)state;
	assert_int_equal(file_truncate(node->file, BLOCK - 24), 0);
	assert_int_equal(guessed_put(node, at, "koly", 4), 0);
	assert_int_equal(guessed_put(node, BLOCK - 1, "1", 1), -EPERM);
	assert_int_equal(node->file->size, BLOCK - 24);
	image_free(node);
}

static void growing(void **state)
{
	struct node *node = image_new(BLOCK);
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	put(node, 0, BLOCK);
	assert_int_equal(driver_raw.grow_begin(node, 3 * BLOCK, &err), 0);
	assert_int_equal(driver_raw.grow(node, 3 * BLOCK, &err), 0);
	node->size = 3 * BLOCK;
	assert_int_equal(stat("image", &st), 0);
	assert_int_equal(st.st_size, 3 * BLOCK);
	assert_int_equal(node->file->syncs, 1);
	assert_run(node, BLOCK, 2 * BLOCK, RUN_ZERO, 2 * BLOCK);
	node->file->block_device = true;
	assert_int_equal(driver_raw.check_grow(node, 4 * BLOCK, &err), -1);
	assert_string_equal(err.text,
			    "Cannot grow 'image': it is a block device");
	node->file->block_device = false;
	file_fail(FILE_OP_FLUSH);
	assert_int_equal(driver_raw.grow(node, 4 * BLOCK, &err), -1);
	assert_string_equal(err.text,
			    "Could not grow 'image': Input/output error");
	assert_int_equal(node->size, 3 * BLOCK);
	assert_int_equal(driver_raw.flush(node), -EIO);
	file_set_hook(NULL);
	image_free(node);
}

static void what_raw_has_not(void **state)
{
	static const char text[] =
		"Backing file not supported for file format 'raw'";
	struct node *node = image_new(BLOCK);
	struct image_info info = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_false(driver_raw.has_backing);
	assert_null(driver_raw.empty);
	assert_int_equal(driver_raw.set_backing(node, "b", "raw", &err), -1);
	assert_string_equal(err.text, text);
	assert_int_equal(driver_raw.check_backing(node, "b", "raw", &err), -1);
	assert_string_equal(err.text, text);
	driver_raw.info(node, &info);
	assert_string_equal(info.format, "raw");
	assert_int_equal(info.cluster_size, 0);
	image_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs),
		cmocka_unit_test(any_length),
		cmocka_unit_test(zeroes),
		cmocka_unit_test(zeroes_are_sparse),
		cmocka_unit_test(guessed_disk),
		cmocka_unit_test(footer),
		cmocka_unit_test(footer_of_a_longer_file),
		cmocka_unit_test(halves_do_not_pass),
		cmocka_unit_test(growing),
		cmocka_unit_test(what_raw_has_not),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
