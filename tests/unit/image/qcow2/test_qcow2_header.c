/* test_qcow2_header.c - reading the header: what is refused, with which
 * words, in no time and memory; what is taken. */
#include "tests/unit/qcow2_fixture.h"

#include <errno.h>

#define EXT 112u		/* where the extensions of an image start */
#define NAME 136u		/* where the backing file's name lies */
#define MIB (1u << 20)

static const struct qcow2_create plain = { .size = MIB };
static const struct qcow2_create small = { .size = MIB, .cluster_bits = 12,
					   .refcount_order = 4 };
static const struct qcow2_create backed = {
	.size = MIB, .backing_name = "base.raw", .backing_format = "raw",
};

struct patch {
	uint64_t at;
	unsigned width;		/* bytes, 0: no more patches */
	uint64_t value;
};

/* One malformed image, and words of the sentence that refuses it. */
struct bad {
	const char *words;
	const struct qcow2_create *base;
	struct patch patch[6];
};

#define E4(at, v) { at, 4, v }
#define E8(at, v) { at, 8, v }

static const struct bad bad[] = {
	{ "is not a qcow2 image", &plain, { E4(0, 0x514649fa) } },
	{ "is not a qcow2 image", &plain, { E4(0, 0) } },
	{ "version 0", &plain, { E4(4, 0) } },
	{ "version 1", &plain, { E4(4, 1) } },
	{ "version 4", &plain, { E4(4, 4) } },
	{ "version 4294967295", &plain, { E4(4, ~0u) } },
	{ "2^0 bytes", &plain, { E4(20, 0) } },
	{ "2^8 bytes", &plain, { E4(20, 8) } },
	{ "2^22 bytes", &plain, { E4(20, 22) } },
	{ "2^64 bytes", &plain, { E4(20, 64) } },
	{ "2^4294967295 bytes", &plain, { E4(20, ~0u) } },
	{ "header length of 0", &plain, { E4(100, 0) } },
	{ "header length of 72", &plain, { E4(100, 72) } },
	{ "header length of 105", &plain, { E4(100, 105) } },
	{ "header length of 65544", &plain, { E4(100, 65544) } },
	{ "header length of 4294967288", &plain, { E4(100, 0xfffffff8) } },
	/* the backing file's name */
	{ "outside the header cluster", &backed, { E8(8, 8) } },
	{ "outside the header cluster", &backed, { E8(8, 111) } },
	{ "outside the header cluster", &backed, { E8(8, 65537) } },
	{ "outside the header cluster", &backed, { E8(8, 1ull << 63) } },
	{ "name of 1024 bytes", &backed, { E4(16, 1024) } },
	{ "name of 4294967295 bytes", &backed, { E4(16, ~0u) } },
	{ "name of 10 bytes", &backed, { E8(8, 65530), E4(16, 10) } },
	{ "name of 1 bytes", &backed, { E8(8, 65536), E4(16, 1) } },
	{ "zero byte", &backed, { { NAME + 3, 1, 0 } } },
	{ "zero byte", &backed, { E4(16, 9) } },
	/* features */
	{ "does not know: bit 5", &plain, { E8(72, 1 << 5) } },
	{ "does not know: bit 63", &plain, { E8(72, 1ull << 63) } },
	{ "bit 6, bit 7, bit 8", &plain, { E8(72, 0x1c0) } },
	{ "unknown compression type 2", &plain, { E8(72, 8), { 104, 1, 2 } } },
	{ "unknown compression type 255", &plain, { { 104, 1, 255 } } },
	{ "compression type 1, against", &plain, { { 104, 1, 1 } } },
	{ "compression type 0, against", &plain, { E8(72, 8) } },
	{ "compression type 0, against", &plain,
	  { E8(72, 8), E4(100, 104), { 104, 1, 0 } } },
	{ "extended L2 entries", &small, { E8(72, 16) } },
	{ "raw external data without", &plain, { E8(88, 2) } },
	{ "raw external data and a backing", &backed,
	  { E8(72, 4), E8(88, 2) } },
	{ "is encrypted (AES), which is not supported", &plain,
	  { E4(32, 1) } },
	{ "is encrypted (LUKS), which is not supported", &plain,
	  { E4(32, 2) } },
	{ "unknown encryption method 3", &plain, { E4(32, 3) } },
	{ "refcounts of 2^7 bits", &plain, { E4(96, 7) } },
	{ "refcounts of 2^64 bits", &plain, { E4(96, 64) } },
	{ "refcounts of 2^4294967295 bits", &plain, { E4(96, ~0u) } },
	/* the refcount table */
	{ "no refcount table", &plain, { E4(56, 0) } },
	{ "refcount table of 8454144 bytes", &plain, { E4(56, 129) } },
	{ "refcount table of 281474976645120 bytes", &plain, { E4(56, ~0u) } },
	{ "refcount table at offset 0,", &plain, { E8(48, 0) } },
	{ "refcount table at offset 66048,", &plain, { E8(48, 0x10200) } },
	{ "refcount table at offset 1099511627776,", &plain,
	  { E8(48, 1ull << 40) } },
	{ "refcount table at offset", &plain, { E8(48, 0x7fffffffffff0000) } },
	{ "refcount table at offset", &plain, { E8(48, 0xffffffffffff0000) } },
	/* disk and L1 table */
	{ "L1 table of 33554440 bytes", &plain, { E4(36, 0x400001) } },
	{ "L1 table of 34359738360 bytes", &plain, { E4(36, ~0u) } },
	{ "L1 table of 0 entries, too small", &plain, { E4(36, 0) } },
	{ "too small for a disk of 18446744073709551615", &plain,
	  { E8(24, ~0ull) } },
	{ "too small for a disk of 9223372036854775808", &plain,
	  { E8(24, 1ull << 63), E4(36, 0x400000) } },
	{ "too small for a disk of 536870913", &plain,
	  { E8(24, (512u << 20) + 1) } },
	{ "too small for a disk of 536870912", &plain,
	  { E8(24, 512u << 20), E8(72, 16) } },
	{ "L1 table at offset 0,", &plain, { E8(40, 0) } },
	{ "L1 table at offset 197120,", &plain, { E8(40, 0x30200) } },
	{ "L1 table at offset 9223372036854775808,", &plain,
	  { E8(40, 1ull << 63) } },
	{ "L1 table at offset 18446744073709486080,", &plain,
	  { E8(40, 0xffffffffffff0000) } },
	{ "L1 table at offset", &plain,
	  { E8(40, 0x7fffffffffff0000), E4(36, 0x4000) } },
	{ "L1 table at offset", &plain, { E8(40, 0x7fffffffc0000000) } },
	{ "L1 table over its refcount table", &plain, { E8(40, 0x10000) } },
	{ "L1 table over its refcount table", &plain,
	  { E8(48, 0x20000), E8(40, 0x10000), E4(36, 8193) } },
	/* snapshots */
	{ "65537 snapshots", &plain, { E4(60, 65537) } },
	{ "4294967295 snapshots", &plain, { E4(60, ~0u) } },
	{ "snapshot table at offset 0,", &plain, { E4(60, 1) } },
	{ "snapshot table at offset 512,", &plain, { E4(60, 1), E8(64, 512) } },
	{ "snapshot table at offset 262144,", &plain,
	  { E4(60, 1), E8(64, 0x40000) } },
	{ "snapshot table at offset 65536,", &plain,
	  { E4(60, 65536), E8(64, 0x10000) } },
	{ "snapshot table at offset 512,", &plain, { E8(64, 512) } },
	{ "snapshots and an external data file", &plain,
	  { E4(60, 1), E8(64, 0x30000), E8(72, 4) } },
	/* extensions */
	{ "extension of 4294967288 bytes at offset 112", &plain,
	  { E4(EXT, 1), E4(EXT + 4, 0xfffffff8) } },
	{ "extension of 65417 bytes at offset 112", &plain,
	  { E4(EXT, 1), E4(EXT + 4, 65536 - 120 + 1) } },
	{ "extension of 17 bytes at offset 112", &backed,
	  { E4(EXT, 1), E4(EXT + 4, 17) } },
	{ "extension of 65417 bytes at offset 112", &plain,
	  { E4(EXT, 0), E4(EXT + 4, 65536 - 120 + 1) } },
	{ "extension of 0 bytes at offset 112", &plain, { E8(8, EXT + 7) } },
	{ "two backing format extensions", &plain,
	  { E4(EXT, 0xe2792aca), E4(EXT + 8, 0xe2792aca) } },
	{ "two feature name extensions", &plain,
	  { E4(EXT, 0x6803f857), E4(EXT + 8, 0x6803f857) } },
	{ "two bitmaps extensions", &plain,
	  { E4(EXT, 0x23852875), E4(EXT + 4, 24), E4(EXT + 32, 0x23852875),
	    E4(EXT + 36, 24) } },
	{ "two data file extensions", &plain,
	  { E4(EXT, 0x44415441), E4(EXT + 8, 0x44415441) } },
	{ "backing format of 16 bytes", &backed, { E4(EXT + 4, 16) } },
	{ "backing format with a zero byte", &backed, { E4(EXT + 4, 4) } },
	{ "bitmaps extension of 23 bytes", &plain,
	  { E4(EXT, 0x23852875), E4(EXT + 4, 23) } },
	{ "bitmaps extension of 32 bytes", &plain,
	  { E4(EXT, 0x23852875), E4(EXT + 4, 32) } },
	{ "snapshot table at offset 9223372036854775808", &plain,
	  { E8(64, 1ull << 63) } },
	{ "with 0 bitmaps", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24) } },
	{ "with 65536 bitmaps", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24),
	    E4(EXT + 8, 65536) } },
	{ "reserved bits", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24), E4(EXT + 8, 1),
	    E4(EXT + 12, 1) } },
	{ "directory of 67107841 bytes", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24), E4(EXT + 8, 1),
	    E8(EXT + 16, (64u << 20) - 1023) } },
	{ "directory at offset 512,", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24), E4(EXT + 8, 1),
	    E8(EXT + 16, 32), E8(EXT + 24, 512) } },
	{ "directory at offset 0,", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24), E4(EXT + 8, 1),
	    E8(EXT + 16, 32) } },
	{ "directory at offset 262144,", &plain,
	  { E8(88, 1), E4(EXT, 0x23852875), E4(EXT + 4, 24), E4(EXT + 8, 1),
	    E8(EXT + 16, 32), E8(EXT + 24, 0x40000) } },
	{ "encryption header, but is not encrypted", &plain,
	  { E4(EXT, 0x0537be77), E4(EXT + 4, 16) } },
	{ "data file name with a zero byte", &plain,
	  { E8(72, 4), E4(EXT, 0x44415441), E4(EXT + 4, 3) } },
	{ "data file name of 4096 bytes", &plain,
	  { E8(72, 4), E4(EXT, 0x44415441), E4(EXT + 4, 4096) } },
};

static void apply(struct image *img, const struct patch *p, size_t max)
{
	for (size_t i = 0; i < max && p[i].width; i++)
		image_patch(img, p[i].at, p[i].width, p[i].value);
}

/* Reading must fail with these words, after the file's name. */
static void expect_refusal(struct image *img, const char *words)
{
	struct err err = ERR_INIT;
	struct qcow2_header h, none = { 0 };

	assert_int_equal(qcow2_header_read(img->file, &h, &err), -1);
	assert_memory_equal(&h, &none, sizeof(h));
	assert_int_equal(err.class, ERR_GENERIC);
	assert_int_equal(err.text[0], '\'');
	assert_non_null(strstr(err.text, img->path));
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static void malformed_images_are_refused(void **state)
{
	long peak = peak_kib();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		double start = cpu_seconds();
		struct image img;

		image_new(&img, bad[i].base);
		apply(&img, bad[i].patch, 6);
		expect_refusal(&img, bad[i].words);
		image_free(&img);
		assert_true(cpu_seconds() - start < 1);
	}
	assert_true(peak_kib() - peak < 64 << 10);
}

static void cut_files_are_refused(void **state)
{
	static const struct {
		uint64_t size;
		const char *words;
	} cut[] = {
		{ 0, "is not a qcow2 image" },
		{ 3, "is not a qcow2 image" },
		{ 4, "version 0" },
		{ 24, "header length of 0" },
		{ 104, "ends inside its header" },
		{ 111, "ends inside its header" },
		{ 112, "refcount table at offset" },
		{ 65536, "refcount table at offset" },
	};
	struct image img;

	(void)state;
	for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++) {
		image_new(&img, &plain);
		assert_int_equal(file_truncate(img.file, cut[i].size), 0);
		expect_refusal(&img, cut[i].words);
		image_free(&img);
	}
}

/* --- names of features --- */

/* A feature table of one entry and a half, in front of the rest. */
static void put_feature(struct image *img, unsigned type, unsigned bit,
			const char *name)
{
	uint8_t entry[72] = { 0 };

	entry[0] = (uint8_t)type;
	entry[1] = (uint8_t)bit;
	strncpy((char *)entry + 2, name, 46);
	entry[49] = 9;		/* half an entry means nothing */
	entry[50] = 'H';
	image_patch(img, EXT, 4, QCOW2_EXT_FEATURES);
	image_patch(img, EXT + 4, 4, sizeof(entry));
	image_put(img, EXT + 8, entry, sizeof(entry));
}

static void unknown_features_are_named(void **state)
{
	static const char long_name[] =
		"0123456789012345678901234567890123456789012345";
	static const struct {
		unsigned type, bit;
		const char *name, *words;
	} names[] = {
		{ 0, 5, "flux", "does not know: 'flux' (bit 5), bit 9" },
		{ 0, 9, "flux", "does not know: bit 5, 'flux' (bit 9)" },
		{ 1, 5, "flux", "does not know: bit 5, bit 9" },
		{ 0, 5, "a\x1b[31m\nb", "'a\\x1b[31m\\x0ab' (bit 5)" },
		{ 0, 5, "%s%n", "'%s%n' (bit 5)" },
		{ 0, 5, long_name, "678901234567890123456789012345' (bit 5)" },
	};
	struct image img;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		image_new(&img, &plain);
		image_patch(&img, 72, 8, 1 << 5 | 1 << 9);
		put_feature(&img, names[i].type, names[i].bit, names[i].name);
		expect_refusal(&img, names[i].words);
		image_free(&img);
	}
}

/* --- what is taken --- */

/* Reads the image with these patches; the caller releases. */
static void read_patched(const struct qcow2_create *base,
			 const struct patch *p, size_t count,
			 struct qcow2_header *h)
{
	struct image img;

	image_new(&img, base);
	apply(&img, p, count);
	image_read(&img, h);
	image_free(&img);
}

#define READ_PATCHED(base, h, ...) do { \
	const struct patch p_[] = { __VA_ARGS__ }; \
	read_patched(base, p_, sizeof(p_) / sizeof(*p_), h); \
} while (0)

static void all_fields_are_read(void **state)
{
	struct qcow2_header h;

	(void)state;
	READ_PATCHED(&backed, &h, E8(24, MIB - 1), E8(72, 3), E8(80, ~0ull),
		     E8(88, 1ull << 40));
	assert_int_equal(h.version, 3);
	assert_int_equal(h.cluster_bits, 16);
	assert_int_equal(h.size, MIB - 512);
	assert_int_equal(h.l1_size, 1);
	assert_int_equal(h.l1_offset, 0x30000);
	assert_int_equal(h.rt_offset, 0x10000);
	assert_int_equal(h.rt_clusters, 1);
	assert_int_equal(h.nb_snapshots, 0);
	assert_int_equal(h.incompatible, 3);
	assert_true(h.compatible == ~0ull);
	assert_true(h.autoclear == 1ull << 40);
	assert_int_equal(h.refcount_order, 4);
	assert_int_equal(h.header_length, 112);
	assert_int_equal(h.compression, 0);
	assert_string_equal(h.backing_name, "base.raw");
	assert_string_equal(h.backing_format, "raw");
	assert_int_equal(h.backing_offset, NAME);
	assert_null(h.data_file_name);
	assert_int_equal(h.ext_count, 0);
	qcow2_header_release(&h);
	assert_null(h.backing_name);
}

static void version_2_has_no_features(void **state)
{
	struct qcow2_header h;

	(void)state;
	/* From byte 72 on there are extensions: one, of 24 bytes. */
	READ_PATCHED(&plain, &h, E4(4, 2), E4(72, 77), E4(76, 24),
		     E8(80, ~0ull), E8(88, ~0ull));
	assert_int_equal(h.version, 2);
	assert_int_equal(h.header_length, 72);
	assert_int_equal(h.refcount_order, 4);
	assert_int_equal(h.incompatible | h.compatible | h.autoclear, 0);
	assert_int_equal(h.ext_count, 1);
	assert_int_equal(h.ext[0].type, 77);
	assert_int_equal(h.ext[0].len, 24);
	qcow2_header_release(&h);
}

static void odd_but_valid_headers_are_taken(void **state)
{
	struct qcow2_header h;

	(void)state;
	/* a format, but no backing file */
	READ_PATCHED(&backed, &h, E8(8, 0));
	assert_null(h.backing_name);
	assert_null(h.backing_format);
	assert_int_equal(h.format_at, EXT);
	qcow2_header_release(&h);
	/* an empty name */
	READ_PATCHED(&backed, &h, E4(16, 0));
	assert_null(h.backing_name);
	assert_null(h.backing_format);
	qcow2_header_release(&h);
	/* an L1 table beyond the file */
	READ_PATCHED(&plain, &h, E8(40, 1ull << 50), E4(36, 0x400000));
	assert_int_equal(h.l1_size, 0x400000);
	qcow2_header_release(&h);
	/* no snapshots, wherever */
	READ_PATCHED(&plain, &h, E8(64, 0x12340000));
	qcow2_header_release(&h);
	/* bitmaps, but nothing that says where */
	READ_PATCHED(&plain, &h, E8(88, 1));
	assert_int_equal(h.bitmap_count, 0);
	qcow2_header_release(&h);
	/* a longer header, zstd, a data file, bitmaps that are not valid */
	READ_PATCHED(&plain, &h, E4(100, 4096), E8(72, 8), { 104, 1, 1 });
	assert_int_equal(h.compression, 1);
	assert_int_equal(h.header_length, 4096);
	qcow2_header_release(&h);
	READ_PATCHED(&plain, &h, E8(72, 4), E4(EXT, 0x44415441),
		     E4(EXT + 4, 2), { EXT + 8, 2, 0x4142 });
	assert_string_equal(h.data_file_name, "AB");
	qcow2_header_release(&h);
	READ_PATCHED(&plain, &h, E4(EXT, 0x44415441), E4(EXT + 4, 2),
		     { EXT + 8, 2, 0x4142 });
	assert_null(h.data_file_name);
	qcow2_header_release(&h);
	READ_PATCHED(&plain, &h, E4(EXT, 0x23852875), E4(EXT + 4, 24),
		     E8(EXT + 8, ~0ull));
	assert_int_equal(h.bitmap_count, 0);
	assert_int_equal(h.ext_count, 1);
	qcow2_header_release(&h);
	/* a disk of nothing without an L1 table */
	READ_PATCHED(&plain, &h, E8(24, 0), E4(36, 0), E8(40, 0));
	assert_int_equal(h.size, 0);
	qcow2_header_release(&h);
}

static void bitmaps_extension_is_read(void **state)
{
	struct qcow2_header h;

	(void)state;
	READ_PATCHED(&plain, &h, E8(88, 1), E4(EXT, 0x23852875),
		     E4(EXT + 4, 24), E4(EXT + 8, 2), E8(EXT + 16, 64),
		     E8(EXT + 24, 0x30000));
	assert_int_equal(h.bitmap_count, 2);
	assert_int_equal(h.bitmap_dir_size, 64);
	assert_int_equal(h.bitmap_dir_offset, 0x30000);
	qcow2_header_release(&h);
}

/* 2 MiB of the smallest extensions. */
static void a_quarter_million_extensions_are_kept(void **state)
{
	const struct qcow2_create huge = { .size = MIB, .cluster_bits = 21,
					   .refcount_order = 4 };
	size_t count = ((2u << 20) - EXT) / 8;
	uint8_t *ext = mem_alloc(count * 8);
	long peak = peak_kib();
	double start = cpu_seconds();
	struct qcow2_header h;
	struct image img;

	(void)state;
	for (size_t i = 0; i < count; i++)
		put_be32(ext + i * 8, 0x1000);
	image_new(&img, &huge);
	image_put(&img, EXT, ext, count * 8);
	image_read(&img, &h);
	assert_int_equal(h.ext_count, count);
	assert_false(h.ext_marked);
	qcow2_header_release(&h);
	assert_true(cpu_seconds() - start < 1);
	assert_true(peak_kib() - peak < 32 << 10);
	image_free(&img);
	free(ext);
}

static int no_read(const struct file *f, enum file_op op, uint64_t off,
		   uint64_t len, const void *buf)
{
	(void)f, (void)off, (void)buf;
	return op == FILE_OP_READ && len > 72 ? -EIO : 0;
}

static void read_errors_name_the_file(void **state)
{
	struct image img;

	(void)state;
	image_new(&img, &plain);
	file_set_hook(no_read);
	expect_refusal(&img, "could not be read at offset 0: Input/output");
	file_set_hook(NULL);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_images_are_refused),
		cmocka_unit_test(cut_files_are_refused),
		cmocka_unit_test(unknown_features_are_named),
		cmocka_unit_test(all_fields_are_read),
		cmocka_unit_test(version_2_has_no_features),
		cmocka_unit_test(odd_but_valid_headers_are_taken),
		cmocka_unit_test(bitmaps_extension_is_read),
		cmocka_unit_test(a_quarter_million_extensions_are_kept),
		cmocka_unit_test(read_errors_name_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
