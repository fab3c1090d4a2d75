/* test_qcow2_create.c - new images: every size of cluster and refcount, what
 * lies where, the order of writes, and what QEMU says of them. */
#include "tests/unit/qcow2_fixture.h"

#include <errno.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* Reads a refcount as the spec says it: sub-byte entries from the low bits. */
static uint64_t refcount(struct image *img, const struct qcow2_header *h,
			 uint64_t cluster)
{
	uint32_t bits = 1u << h->refcount_order;
	uint64_t per_block = (8ull << h->cluster_bits) / bits;
	uint64_t bit = cluster % per_block * bits, block, value = 0;
	uint8_t be[8];

	assert_int_equal(file_read(img->file,
				   h->rt_offset + cluster / per_block * 8,
				   be, 8), 0);
	block = get_be64(be);
	if (!block)
		return 0;
	assert_int_equal(file_read(img->file, block + bit / 8, be, 8), 0);
	if (bits < 8)
		return (unsigned)be[0] >> (bit % 8) & ((1u << bits) - 1);
	for (uint32_t i = 0; i < bits / 8; i++)
		value = value << 8 | be[i];
	return value;
}

/* Every cluster of the file has refcount 1, the next ones have 0; the L1
 * table is zero. */
static void check_image(struct image *img, uint64_t size, uint32_t bits,
			uint32_t order)
{
	struct qcow2_header h;
	uint64_t clusters = img->file->size >> bits;
	uint8_t *l1;

	image_read(img, &h);
	assert_int_equal(h.version, 3);
	assert_int_equal(h.size, size);
	assert_int_equal(h.cluster_bits, bits);
	assert_int_equal(h.refcount_order, order);
	assert_int_equal(img->file->size, clusters << bits);
	assert_int_equal(h.rt_offset, 1ull << bits);
	for (uint64_t i = 0; i < clusters; i++)
		assert_int_equal(refcount(img, &h, i), 1);
	for (uint64_t i = clusters; i < clusters + 9; i++)
		assert_int_equal(refcount(img, &h, i), 0);
	l1 = mem_alloc(h.l1_size * 8ull);
	assert_int_equal(file_read(img->file, h.l1_offset, l1,
				   h.l1_size * 8ull), 0);
	assert_true(bytes_are_zero(l1, h.l1_size * 8ull));
	assert_true(h.l1_offset + h.l1_size * 8ull <= img->file->size);
	free(l1);
	qcow2_header_release(&h);
}

static void all_bits_make_valid_images(void **state)
{
	(void)state;
	for (uint32_t bits = 9; bits <= 21; bits++) {
		for (uint32_t order = 0; order <= 6; order++) {
			const struct qcow2_create o = {
				.size = 40 * MIB, .cluster_bits = bits,
				.refcount_order = order,
			};
			struct image img;

			image_new(&img, &o);
			check_image(&img, 40 * MIB, bits, order);
			image_free(&img);
		}
	}
}

static void qemu_finds_no_fault(void **state)
{
	struct image img;

	(void)state;
	for (uint32_t bits = 9; bits <= 21; bits++) {
		for (uint32_t order = bits % 4; order <= 6; order += 4) {
			const struct qcow2_create o = {
				.size = 40 * MIB, .cluster_bits = bits,
				.refcount_order = order,
			};
			int status;

			image_new(&img, &o);
			status = image_shell(&img, "qemu-img check -q $I && "
				"qemu-io -f qcow2 -c 'write -P 7 39M 64k' "
				"-c 'read -P 0 0 1M' $I && "
				"qemu-img check -q $I");
			image_free(&img);
			if (status < 0)
				skip();
			assert_int_equal(status, 0);
		}
	}
}

static void defaults_and_rounding(void **state)
{
	struct image img;

	(void)state;
	image_new(&img, &(struct qcow2_create){ .size = 1000,
						.refcount_order = 2 });
	check_image(&img, 1024, 16, 4);
	image_free(&img);
	image_new(&img, &(struct qcow2_create){ .size = 0 });
	check_image(&img, 0, 16, 4);
	image_free(&img);
}

/* The L1 table is the largest that is allowed: its refcounts need a table of
 * several clusters. */
static void largest_disk_of_small_clusters(void **state)
{
	const struct qcow2_create o = { .size = 128 * GIB, .cluster_bits = 9,
					.refcount_order = 6 };
	struct qcow2_create more = o;
	struct image img;
	struct qcow2_header h;

	(void)state;
	image_new(&img, &o);
	image_read(&img, &h);
	assert_int_equal(h.l1_size, QCOW2_L1_MAX / 8);
	assert_true(h.rt_clusters > 1);
	assert_int_equal(refcount(&img, &h, 0), 1);
	assert_int_equal(refcount(&img, &h, (img.file->size >> 9) - 1), 1);
	assert_int_equal(refcount(&img, &h, img.file->size >> 9), 0);
	qcow2_header_release(&h);
	image_free(&img);
	more.size += 512;
	image_new_empty(&img);
	assert_int_equal(qcow2_create(img.file, &more), -EFBIG);
	assert_int_equal(img.file->size, 0);
	image_free(&img);
}

static void bad_options_write_nothing(void **state)
{
	static char long_name[1025];
	const struct {
		struct qcow2_create o;
		int rc;
	} bad[] = {
		{ { .size = MIB, .cluster_bits = 8 }, -EINVAL },
		{ { .size = MIB, .cluster_bits = 22 }, -EINVAL },
		{ { .size = MIB, .cluster_bits = 9, .refcount_order = 7 },
		  -EINVAL },
		{ { .size = UINT64_MAX }, -EFBIG },
		{ { .size = 1ull << 62, .cluster_bits = 21 }, -EFBIG },
		{ { .size = MIB, .backing_name = "" }, -EINVAL },
		{ { .size = MIB, .backing_name = long_name }, -ENAMETOOLONG },
		{ { .size = MIB, .cluster_bits = 9,
		    .backing_name = long_name + 624 }, -ENOSPC },
		{ { .size = MIB, .backing_name = "x",
		    .backing_format = "0123456789abcdef" }, -ENAMETOOLONG },
	};

	(void)state;
	memset(long_name, 'x', 1024);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct image img;

		image_new_empty(&img);
		assert_int_equal(qcow2_create(img.file, &bad[i].o), bad[i].rc);
		assert_int_equal(img.file->size, 0);
		image_free(&img);
	}
}

static void backing_file_of_any_length(void **state)
{
	static const unsigned lengths[] = { 1, 17, 367, 368, 369, 500, 1023 };
	char name[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct qcow2_create o = { .size = MIB, .backing_name = name,
					  .backing_format = "qcow2" };
		struct qcow2_header h;
		struct image img;

		memset(name, 'n', lengths[i]);
		name[lengths[i]] = '\0';
		image_new(&img, &o);
		image_read(&img, &h);
		assert_string_equal(h.backing_name, name);
		assert_string_equal(h.backing_format, "qcow2");
		qcow2_header_release(&h);
		image_free(&img);
	}
}

/* --- order of writes --- */

static int ops, fail_at;
static bool dirty, header_written;

/* Nothing but the first sector is written after the flush before it. */
static int order_hook(const struct file *f, enum file_op op, uint64_t off,
		      uint64_t len, const void *buf)
{
	(void)f;
	if (op == FILE_OP_READ)
		return 0;
	if (ops++ == fail_at)
		return -ENOSPC;
	if (op == FILE_OP_FLUSH) {
		dirty = false;
		return 0;
	}
	assert_false(header_written);
	if (op == FILE_OP_WRITE && off == 0 && get_be32(buf) == QCOW2_MAGIC) {
		assert_int_equal(len, 512);
		assert_false(dirty);
		header_written = true;
	}
	dirty = true;
	return 0;
}

static int create_hooked(struct image *img, int fail)
{
	char name[1024] = { 0 };
	const struct qcow2_create o = { .size = MIB, .backing_name = name,
					.backing_format = "raw" };
	int rc;

	memset(name, 'n', 1023);
	image_new_empty(img);
	ops = 0;
	fail_at = fail;
	dirty = header_written = false;
	file_set_hook(order_hook);
	rc = qcow2_create(img->file, &o);
	file_set_hook(NULL);
	return rc;
}

static void header_is_written_last(void **state)
{
	struct image img;

	(void)state;
	assert_int_equal(create_hooked(&img, -1), 0);
	assert_true(header_written);
	assert_false(dirty);
	image_free(&img);
}

static void every_failure_is_told(void **state)
{
	struct err err = ERR_INIT;
	struct qcow2_header h;
	struct image img;
	int last;

	(void)state;
	assert_int_equal(create_hooked(&img, -1), 0);
	last = ops;
	image_free(&img);
	for (int n = 0; n < last; n++) {
		assert_int_equal(create_hooked(&img, n), -ENOSPC);
		/* No image but for a failure of the very last flush. */
		assert_int_equal(qcow2_header_read(img.file, &h, &err),
				 n == last - 1 ? 0 : -1);
		if (n == last - 1)
			qcow2_header_release(&h);
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bits_make_valid_images),
		cmocka_unit_test(qemu_finds_no_fault),
		cmocka_unit_test(defaults_and_rounding),
		cmocka_unit_test(largest_disk_of_small_clusters),
		cmocka_unit_test(bad_options_write_nothing),
		cmocka_unit_test(backing_file_of_any_length),
		cmocka_unit_test(header_is_written_last),
		cmocka_unit_test(every_failure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
