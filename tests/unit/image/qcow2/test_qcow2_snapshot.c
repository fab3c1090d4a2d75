/* test_qcow2_snapshot.c - the tables of snapshots and of bitmaps. */
#include "tests/unit/qcow2_fixture.h"

#include <errno.h>

#define MIB (1u << 20)
#define TABLE 0x40000u		/* behind the clusters of a new image */

static const struct qcow2_create plain = { .size = MIB };

/* --- snapshots --- */

struct snap {
	uint64_t l1_offset;
	uint32_t l1_size;
	const char *id, *name;
	uint32_t extra;		/* bytes */
};

/* Writes an entry; returns where the next one goes. */
static uint64_t put_snap(struct image *img, uint64_t at, const struct snap *s)
{
	uint32_t id = (uint32_t)strlen(s->id);
	uint32_t name = (uint32_t)strlen(s->name);
	uint8_t *e = mem_alloc(48 + s->extra + id + name);
	uint8_t extra[24];

	put_be64(e, s->l1_offset);
	put_be32(e + 8, s->l1_size);
	put_be16(e + 12, (uint16_t)id);
	put_be16(e + 14, (uint16_t)name);
	put_be32(e + 16, 1700000000);
	put_be32(e + 20, 5);
	put_be64(e + 24, 77);
	put_be32(e + 32, 1234);
	put_be32(e + 36, s->extra);
	put_be64(extra, 1ull << 33);
	put_be64(extra + 8, 3 * MIB);
	put_be64(extra + 16, 99);
	memcpy(e + 40, extra, min_u64(s->extra, 24));
	memcpy(e + 40 + s->extra, s->id, id);
	memcpy(e + 40 + s->extra + id, s->name, name);
	image_put(img, at, e, 40 + s->extra + id + name);
	free(e);
	return align_up(at + 40 + s->extra + id + name, 8);
}

static void image_snaps(struct image *img, const struct snap *s, uint32_t count)
{
	uint64_t at = TABLE;

	image_new(img, &plain);
	for (uint32_t i = 0; i < count; i++)
		at = put_snap(img, at, &s[i]);
	image_patch(img, QCOW2_AT_NB_SNAPSHOTS, 4, count);
	image_patch(img, QCOW2_AT_SNAPSHOTS, 8, TABLE);
}

/* An image, and what is read of it. */
struct snaps {
	struct image img;
	struct qcow2_header h;
	struct qcow2_snapshot *out;
	uint64_t bytes;
	struct err err;
};

static int snaps_read(struct snaps *t)
{
	t->err = (struct err)ERR_INIT;
	image_read(&t->img, &t->h);
	return qcow2_snapshots_read(t->img.file, &t->h, &t->out, &t->bytes,
				    &t->err);
}

static void snaps_free(struct snaps *t)
{
	qcow2_snapshots_free(t->out, t->out ? t->h.nb_snapshots : 0);
	qcow2_header_release(&t->h);
	image_free(&t->img);
}

static void entries_are_read(void **state)
{
	static const struct snap s[] = {
		{ 0x30000, 1, "1", "before", 16 },
		{ 0x50000, 4096, "22", "", 24 },
		{ 0, 0, "", "name with\x1b", 1024 },
	};
	struct snaps t;

	(void)state;
	image_snaps(&t.img, s, 3);
	assert_int_equal(snaps_read(&t), 0);
	assert_int_equal(t.bytes, 64 + 72 + 1080);
	assert_int_equal(t.out[0].l1_offset, 0x30000);
	assert_int_equal(t.out[0].l1_size, 1);
	assert_string_equal(t.out[0].id, "1");
	assert_string_equal(t.out[0].name, "before");
	assert_int_equal(t.out[0].date_sec, 1700000000);
	assert_int_equal(t.out[0].date_nsec, 5);
	assert_int_equal(t.out[0].vm_clock_ns, 77);
	assert_int_equal(t.out[0].vm_state_bytes, 1ull << 33);
	assert_int_equal(t.out[0].disk_size, 3 * MIB);
	assert_true(t.out[0].icount == UINT64_MAX);
	assert_int_equal(t.out[0].entry_bytes, 64);
	assert_int_equal(t.out[1].l1_size, 4096);
	assert_string_equal(t.out[1].id, "22");
	assert_string_equal(t.out[1].name, "");
	assert_int_equal(t.out[1].icount, 99);
	assert_string_equal(t.out[2].name, "name with\x1b");
	snaps_free(&t);
}

static void version_2_needs_no_extra_data(void **state)
{
	static const struct snap s = { 0x30000, 1, "1", "a", 0 };
	struct snaps t;

	(void)state;
	image_snaps(&t.img, &s, 1);
	image_patch(&t.img, 4, 4, 2);
	assert_int_equal(snaps_read(&t), 0);
	assert_int_equal(t.out->vm_state_bytes, 1234);
	assert_int_equal(t.out->disk_size, MIB);
	snaps_free(&t);
}

static void no_snapshots_is_no_table(void **state)
{
	struct snaps t = { .bytes = 1 };

	(void)state;
	image_new(&t.img, &plain);
	assert_int_equal(snaps_read(&t), 0);
	assert_null(t.out);
	assert_int_equal(t.bytes, 0);
	snaps_free(&t);
}

static void bad_snapshots_are_refused(void **state)
{
	static const struct {
		const char *words;
		uint32_t at;	/* in the second entry */
		unsigned width;
		uint64_t value;
	} bad[] = {
		{ "L1 table of 33554440 bytes", 8, 4, 0x400001 },
		{ "L1 table of 34359738360 bytes", 8, 4, ~0u },
		{ "L1 table at offset 0,", 0, 8, 0 },
		{ "L1 table at offset 512,", 0, 8, 512 },
		{ "L1 table at offset", 0, 8, 0xffffffffffff0000 },
		{ "0 bytes of extra data", 36, 4, 0 },
		{ "15 bytes of extra data", 36, 4, 15 },
		{ "1025 bytes of extra data", 36, 4, 1025 },
		{ "4294967295 bytes of extra data", 36, 4, ~0u },
		{ "ends beyond the file", 12, 2, 0xffff },
		{ "ends beyond the file", 14, 2, 0xffff },
	};
	static const struct snap s[] = {
		{ 0x30000, 1, "1", "one", 16 }, { 0x30000, 1, "2", "two", 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snaps t;

		image_snaps(&t.img, s, 2);
		image_patch(&t.img, TABLE + 64 + bad[i].at, bad[i].width,
			    bad[i].value);
		assert_int_equal(snaps_read(&t), -EINVAL);
		assert_null(t.out);
		assert_non_null(strstr(t.err.text, t.img.path));
		assert_non_null(strstr(t.err.text, "snapshot 1 at offset "));
		if (!strstr(t.err.text, bad[i].words))
			fail_msg("\"%s\" lacks \"%s\"", t.err.text,
				 bad[i].words);
		snaps_free(&t);
	}
}

/* All that the header allows, with names as long as they go: the table's
 * limit is met, in little time and memory. */
static void a_table_too_large_is_refused(void **state)
{
	long peak = peak_kib();
	double start = cpu_seconds();
	struct snaps t;

	(void)state;
	image_new(&t.img, &plain);
	image_patch(&t.img, QCOW2_AT_NB_SNAPSHOTS, 4, 65536);
	image_patch(&t.img, QCOW2_AT_SNAPSHOTS, 8, TABLE);
	for (uint64_t at = TABLE; at < TABLE + (17u << 20); at += 131128) {
		image_patch(&t.img, at + 12, 4, 0xffffffff);
		image_patch(&t.img, at + 36, 4, 16);
	}
	assert_int_equal(file_truncate(t.img.file, 1ull << 34), 0);
	assert_int_equal(snaps_read(&t), -EINVAL);
	assert_non_null(strstr(t.err.text, "in a table that is too large"));
	assert_true(cpu_seconds() - start < 1);
	assert_true(peak_kib() - peak < 64 << 10);
	snaps_free(&t);
}

static int no_table(const struct file *f, enum file_op op, uint64_t off,
		    uint64_t len, const void *buf)
{
	(void)f, (void)len, (void)buf;
	return op == FILE_OP_READ && off >= TABLE ? -EIO : 0;
}

static void read_errors_name_the_offset(void **state)
{
	static const struct snap s = { 0x30000, 1, "1", "a", 16 };
	struct snaps t;

	(void)state;
	image_snaps(&t.img, &s, 1);
	file_set_hook(no_table);
	assert_int_equal(snaps_read(&t), -EIO);
	file_set_hook(NULL);
	assert_non_null(strstr(t.err.text, "at offset 262144: Input/output"));
	assert_int_equal(t.err.errnum, EIO);
	snaps_free(&t);
}

static void qemu_snapshots_are_read(void **state)
{
	struct snaps t;
	int status;

	(void)state;
	image_new(&t.img, &plain);
	status = image_shell(&t.img, "qemu-img snapshot -c first $I && "
			     "qemu-img snapshot -c 'the second' $I");
	if (status < 0) {
		image_free(&t.img);
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(snaps_read(&t), 0);
	assert_int_equal(t.h.nb_snapshots, 2);
	assert_string_equal(t.out[0].name, "first");
	assert_string_equal(t.out[1].name, "the second");
	assert_string_equal(t.out[1].id, "2");
	assert_int_equal(t.out[1].disk_size, MIB);
	snaps_free(&t);
}

/* --- bitmaps --- */

#define DIR_AT 0x40000u
#define TABLE_AT 0x50000u
#define EXT 112u

/* Two bitmaps, "bb" and "aa", with tables of 2 and 3 entries; they are in use,
 * for the disk is smaller. */
static void image_bitmaps(struct image *img)
{
	static const char *const names[] = { "bb", "aa" };

	image_new(img, &plain);
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t at = DIR_AT + i * 32;

		image_patch(img, at, 8, TABLE_AT + i * 0x10000);
		image_patch(img, at + 8, 4, 2 + i);
		image_patch(img, at + 12, 4, 3);
		image_patch(img, at + 16, 1, 1);
		image_patch(img, at + 17, 1, 16);
		image_patch(img, at + 18, 2, 2);
		image_put(img, at + 24, names[i], 2);
	}
	image_patch(img, TABLE_AT, 8, 1);
	image_patch(img, TABLE_AT + 8, 8, 0x70000);
	image_patch(img, TABLE_AT + 0x10000, 8, 0x80000);
	image_patch(img, TABLE_AT + 0x10008, 8, 0);
	image_patch(img, TABLE_AT + 0x10010, 8, 0x90000);
	image_patch(img, QCOW2_AT_AUTOCLEAR, 8, 1);
	image_patch(img, EXT, 4, QCOW2_EXT_BITMAPS);
	image_patch(img, EXT + 4, 4, 24);
	image_patch(img, EXT + 8, 4, 2);
	image_patch(img, EXT + 16, 8, 64);
	image_patch(img, EXT + 24, 8, DIR_AT);
}

struct runs {
	uint64_t off[16], len[16];
	unsigned count, stop_at;
};

static int add_run(void *arg, uint64_t off, uint64_t len)
{
	struct runs *r = arg;

	assert_true(r->count < 16);
	r->off[r->count] = off;
	r->len[r->count++] = len;
	return r->count == r->stop_at ? -ECANCELED : 0;
}

static void bitmaps_are_named_and_counted(void **state)
{
	static const uint64_t want[] = { DIR_AT, TABLE_AT, 0x70000,
					 TABLE_AT + 0x10000, 0x80000,
					 0x90000 };
	struct runs r = { .stop_at = 0 };
	struct qcow2_header h;
	struct image img;
	char **names;
	size_t count;

	(void)state;
	image_bitmaps(&img);
	image_read(&img, &h);
	assert_int_equal(qcow2_bitmap_names(img.file, &h, &names, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(names[0], "aa");
	assert_string_equal(names[1], "bb");
	free(names[0]);
	free(names[1]);
	free(names);
	assert_int_equal(qcow2_bitmap_clusters(img.file, &h, add_run, &r), 0);
	assert_int_equal(r.count, 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(r.off[i], want[i]);
		assert_int_equal(r.len[i], 0x10000);
	}
	r = (struct runs){ .stop_at = 3 };
	assert_int_equal(qcow2_bitmap_clusters(img.file, &h, add_run, &r),
			 -ECANCELED);
	assert_int_equal(r.count, 3);
	qcow2_header_release(&h);
	image_free(&img);
}

static void no_bitmaps_no_names(void **state)
{
	struct runs r = { 0 };
	struct qcow2_header h;
	struct image img;
	char **names;
	size_t count = 1;

	(void)state;
	image_bitmaps(&img);
	image_patch(&img, QCOW2_AT_AUTOCLEAR, 8, 0);
	image_read(&img, &h);
	assert_int_equal(qcow2_bitmap_names(img.file, &h, &names, &count), 0);
	assert_null(names);
	assert_int_equal(count, 0);
	assert_int_equal(qcow2_bitmap_clusters(img.file, &h, add_run, &r), 0);
	assert_int_equal(r.count, 0);
	qcow2_header_release(&h);
	image_free(&img);
}

static void bad_bitmaps_are_refused(void **state)
{
	static const struct {
		uint64_t at;
		unsigned width;
		uint64_t value;
		bool table;	/* seen by the count of clusters only */
	} bad[] = {
		{ DIR_AT, 8, 0, false },
		{ DIR_AT, 8, 512, false },
		{ DIR_AT, 8, 1ull << 40, true },
		{ DIR_AT, 8, 0xffffffffffff0000, false },
		{ DIR_AT + 8, 4, 0, false },
		{ DIR_AT + 8, 4, 8193, false },
		{ DIR_AT + 8, 4, ~0u, false },
		{ DIR_AT + 12, 4, 8, false },
		{ DIR_AT + 12, 4, 4, false },
		{ DIR_AT + 12, 4, 2, false },	/* for a disk of that size */
		{ DIR_AT + 16, 1, 0, false },
		{ DIR_AT + 16, 1, 2, false },
		{ DIR_AT + 17, 1, 8, false },
		{ DIR_AT + 17, 1, 32, false },
		{ DIR_AT + 18, 2, 0, false },
		{ DIR_AT + 18, 2, 1024, false },
		{ DIR_AT + 20, 4, ~0u, false },
		{ DIR_AT + 32 + 20, 4, 8, false },
		{ DIR_AT + 24, 2, 0x6161, false },	/* twice "aa" */
		{ EXT + 8, 4, 1, false },
		{ EXT + 8, 4, 3, false },
		{ EXT + 16, 8, 56, false },
		{ EXT + 16, 8, 72, false },
		{ EXT + 16, 8, 16, false },
		{ TABLE_AT, 8, 2, true },
		{ TABLE_AT, 8, 1ull << 56, true },
		{ TABLE_AT + 8, 8, 0x70001, true },
		{ TABLE_AT + 8, 8, 0x70200, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct runs r = { 0 };
		struct qcow2_header h;
		struct image img;
		char **names;
		size_t count;

		image_bitmaps(&img);
		image_patch(&img, bad[i].at, bad[i].width, bad[i].value);
		image_read(&img, &h);
		if (bad[i].table)
			assert_int_equal(qcow2_bitmap_clusters(
				img.file, &h, add_run, &r), -EINVAL);
		else
			assert_int_equal(qcow2_bitmap_names(
				img.file, &h, &names, &count), -EINVAL);
		qcow2_header_release(&h);
		image_free(&img);
	}
}

static void qemu_bitmaps_are_read(void **state)
{
	struct runs r = { 0 };
	struct qcow2_header h;
	struct image img;
	char **names;
	size_t count;
	int status;

	(void)state;
	image_new(&img, &plain);
	status = image_shell(&img, "qemu-img bitmap --add $I two && "
			     "qemu-img bitmap --add -g 4k $I one && "
			     "qemu-io -f qcow2 -c 'write 0 1M' $I");
	if (status < 0) {
		image_free(&img);
		skip();
	}
	assert_int_equal(status, 0);
	image_read(&img, &h);
	assert_int_equal(qcow2_bitmap_names(img.file, &h, &names, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(names[0], "one");
	assert_string_equal(names[1], "two");
	free(names[0]);
	free(names[1]);
	free(names);
	/* a directory, two tables, two clusters of bits */
	assert_int_equal(qcow2_bitmap_clusters(img.file, &h, add_run, &r), 0);
	assert_int_equal(r.count, 5);
	qcow2_header_release(&h);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_read),
		cmocka_unit_test(version_2_needs_no_extra_data),
		cmocka_unit_test(no_snapshots_is_no_table),
		cmocka_unit_test(bad_snapshots_are_refused),
		cmocka_unit_test(a_table_too_large_is_refused),
		cmocka_unit_test(read_errors_name_the_offset),
		cmocka_unit_test(qemu_snapshots_are_read),
		cmocka_unit_test(bitmaps_are_named_and_counted),
		cmocka_unit_test(no_bitmaps_no_names),
		cmocka_unit_test(bad_bitmaps_are_refused),
		cmocka_unit_test(qemu_bitmaps_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
