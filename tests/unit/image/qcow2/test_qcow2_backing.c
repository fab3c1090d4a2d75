/* test_qcow2_backing.c - another backing file: what the header says after it,
 * what stays byte for byte, and what a power cut at any point leaves. */
#include "tests/unit/qcow2_fixture.h"

#include <errno.h>

#define MIB (1u << 20)
#define LOG_MAX 8
#define DATA_MAX 2048

/* --- recorder: every operation that changes the file --- */

struct op {
	enum file_op op;
	uint64_t off, len;
	uint8_t data[DATA_MAX];
};

static struct op ops[LOG_MAX];
static int op_count, fail_at = -1;

static int record(const struct file *f, enum file_op op, uint64_t off,
		  uint64_t len, const void *buf)
{
	struct op *o = &ops[op_count];

	(void)f;
	if (op == FILE_OP_READ)
		return 0;
	assert_true(op == FILE_OP_WRITE || op == FILE_OP_FLUSH);
	assert_true(op_count < LOG_MAX && len <= DATA_MAX);
	if (op_count == fail_at)
		return -EIO;
	*o = (struct op){ .op = op, .off = off, .len = len };
	if (buf)
		memcpy(o->data, buf, len);
	op_count++;
	return 0;
}

static int set_backing(struct image *img, struct qcow2_header *h,
		       const char *name, const char *format)
{
	int rc;

	op_count = 0;
	file_set_hook(record);
	rc = qcow2_header_set_backing(img->file, h, name, format);
	file_set_hook(NULL);
	return rc;
}

/* --- what a header looks like --- */

struct shape {
	const char *what;
	uint32_t version, cluster_bits;
	uint32_t header_length;	/* 0: as it comes */
	bool features;		/* QEMU's table of 8 names */
	unsigned unknown;	/* bytes of an unknown extension, 0 none */
	unsigned name;		/* bytes of the backing name, 0 none */
	const char *format;
	bool unmarked;		/* the name follows without an end marker */
};

/* In QEMU's order: format, features, unknown, name. */
static const struct shape shapes[] = {
	{ "plain", 3, 16, 0, false, 0, 0, NULL, false },
	{ "plain with backing", 3, 16, 0, false, 0, 9, "qcow2", false },
	{ "without format", 3, 16, 0, false, 0, 9, NULL, false },
	{ "as QEMU 7.2", 3, 16, 0, true, 0, 0, NULL, false },
	{ "as QEMU 7.2 with backing", 3, 16, 0, true, 0, 9, "qcow2", false },
	{ "as QEMU 7.2, raw", 3, 16, 0, true, 0, 1023, "raw", false },
	{ "features without format", 3, 16, 0, true, 0, 9, NULL, false },
	{ "version 2", 2, 16, 0, false, 0, 9, "qcow2", false },
	{ "version 2 with features", 2, 16, 0, true, 0, 400, "raw", false },
	{ "unknown extension", 3, 16, 0, false, 33, 100, "raw", false },
	{ "large unknown extension", 3, 16, 0, false, 800, 100, "raw", false },
	{ "large one without format", 3, 16, 0, false, 800, 0, NULL, false },
	{ "features and unknown", 3, 16, 0, true, 57, 100, "qcow2", false },
	{ "features and large unknown",
	  3, 16, 0, true, 800, 9, "qcow2", false },
	{ "long header", 3, 16, 1024, false, 0, 100, "raw", false },
	{ "long header with unknown",
	  3, 16, 480, false, 64, 100, "raw", false },
	{ "cluster of 512", 3, 9, 0, false, 0, 9, "raw", false },
	{ "cluster of 512, unknown", 3, 9, 0, false, 200, 9, "raw", false },
	{ "cluster of 1024", 3, 10, 0, false, 0, 300, "raw", false },
	{ "cluster of 1024, features", 3, 10, 0, true, 0, 300, "raw", false },
	{ "cluster of 2048", 3, 11, 0, true, 100, 700, "qcow2", false },
	{ "cluster of 4096", 3, 12, 0, true, 0, 1023, "qcow2", false },
	{ "as QEMU 0.10", 2, 12, 0, false, 0, 9, NULL, true },
	{ "no end marker", 3, 12, 0, true, 0, 9, "raw", true },
	{ "no end marker, large", 3, 12, 0, false, 800, 9, "raw", true },
};

#define SHAPES (sizeof(shapes) / sizeof(*shapes))

static uint32_t put_ext(uint8_t *buf, uint32_t at, uint32_t type, uint32_t len,
			const void *data)
{
	put_be32(buf + at, type);
	put_be32(buf + at + 4, len);
	memcpy(buf + at + 8, data, len);
	return at + 8 + (uint32_t)align_up(len, 8);
}

/* Random text that is not random from run to run. */
static void fill(void *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		((char *)buf)[i] = (char)('a' + (i * 7 + seed) % 26);
}

static void image_shape(struct image *img, const struct shape *s)
{
	const struct qcow2_create o = { .size = MIB,
					.cluster_bits = s->cluster_bits,
					.refcount_order = 4 };
	uint32_t cluster = 1u << s->cluster_bits;
	uint8_t *buf = mem_alloc(cluster), data[1024];
	uint32_t at;

	image_new(img, &o);
	assert_int_equal(file_read(img->file, 0, buf, cluster), 0);
	at = s->version == 2 ? 72 : s->header_length ? s->header_length : 112;
	put_be32(buf + 4, s->version);
	memset(buf + 72, 0, s->version == 2 ? 40 : 0);
	if (s->version == 3)
		put_be32(buf + 100, at);
	if (s->format)
		at = put_ext(buf, at, QCOW2_EXT_BACKING_FORMAT,
			     (uint32_t)strlen(s->format), s->format);
	fill(data, sizeof(data), 3);
	if (s->features)
		at = put_ext(buf, at, QCOW2_EXT_FEATURES, 384, data);
	if (s->unknown)
		at = put_ext(buf, at, 0x12345678, s->unknown, data + 9);
	if (s->name) {
		at += s->unmarked ? 0 : 8;
		put_be64(buf + 8, at);
		put_be32(buf + 16, s->name);
		assert_true(at + s->name <= cluster);
		fill(buf + at, s->name, s->name);
	}
	image_put(img, 0, buf, cluster);
	free(buf);
}

/* --- comparing --- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Does the file say this backing file? Everything else must be as in @like,
 * but the feature names, which may be gone. */
static bool says(struct file *file, const struct qcow2_header *like,
		 const char *name, const char *format)
{
	struct err err = ERR_INIT;
	struct qcow2_header h;
	uint32_t k = 0;
	bool same;

	if (qcow2_header_read(file, &h, &err))
		fail_msg("%s", err.text);
	for (uint32_t i = 0; i < like->ext_count; i++) {
		const struct qcow2_ext *e = &like->ext[i];

		if (e->type == QCOW2_EXT_FEATURES &&
		    (k == h.ext_count || h.ext[k].type != e->type))
			continue;
		assert_true(k < h.ext_count);
		assert_int_equal(h.ext[k].type, e->type);
		assert_int_equal(h.ext[k].len, e->len);
		assert_memory_equal(h.ext[k].data, e->data, e->len);
		k++;
	}
	assert_int_equal(k, h.ext_count);
	assert_int_equal(h.size, like->size);
	assert_int_equal(h.l1_offset, like->l1_offset);
	assert_int_equal(h.header_length, like->header_length);
	same = same_text(h.backing_name, name) &&
	       same_text(h.backing_format, name ? format : NULL);
	qcow2_header_release(&h);
	return same;
}

/* The header in memory must be the one on disk. */
static void assert_same_header(struct image *img, const struct qcow2_header *h)
{
	struct qcow2_header disk;

	image_read(img, &disk);
	assert_true(same_text(disk.backing_name, h->backing_name));
	assert_true(same_text(disk.backing_format, h->backing_format));
	assert_int_equal(disk.backing_offset, h->backing_offset);
	assert_int_equal(disk.ext_count, h->ext_count);
	assert_int_equal(disk.format_at, h->format_at);
	assert_int_equal(disk.ext_end, h->ext_end);
	assert_int_equal(disk.ext_marked, h->ext_marked);
	if (h->format_at)
		assert_int_equal(disk.format_len, h->format_len);
	qcow2_header_release(&disk);
}

/* --- power cuts --- */

/* One write of 512 bytes at 0, between two flushes, comes last. */
static void assert_one_switch(void)
{
	assert_true(op_count == 3 || op_count == 4);
	assert_int_equal(ops[op_count - 1].op, FILE_OP_FLUSH);
	assert_int_equal(ops[op_count - 2].op, FILE_OP_WRITE);
	assert_int_equal(ops[op_count - 2].off, 0);
	assert_int_equal(ops[op_count - 2].len, 512);
	assert_int_equal(ops[op_count - 3].op, FILE_OP_FLUSH);
	if (op_count == 4) {
		assert_int_equal(ops[0].op, FILE_OP_WRITE);
		assert_true(ops[0].off >= 512);
	}
}

/* Replays the log on @img, and looks at the header after each 100 bytes of
 * the name, for a torn write of it, and after the sector. */
static void assert_old_or_new(struct image *img,
			      const struct qcow2_header *before,
			      const char *name, const char *format)
{
	char *old_name = before->backing_name;
	char *old_format = before->backing_format;

	assert_true(says(img->file, before, old_name, old_format));
	for (int i = 0; i < op_count; i++) {
		const struct op *o = &ops[i];
		uint64_t step = o->off ? 100 : 512, done = 0;

		if (o->op != FILE_OP_WRITE)
			continue;
		for (; done < o->len; done += step) {
			image_put(img, o->off + done, o->data + done,
				  min_u64(step, o->len - done));
			if (o->off)
				assert_true(says(img->file, before, old_name,
						 old_format));
			else
				assert_true(says(img->file, before, name,
						 format));
		}
	}
}

/* Changes one shape once, and judges all of it. True if there was room. */
static bool try_change(const struct shape *s, const char *name,
		       const char *format)
{
	struct qcow2_header h, before;
	struct image img, twin;
	int rc;

	image_shape(&img, s);
	image_shape(&twin, s);
	image_read(&img, &h);
	image_read(&twin, &before);
	rc = qcow2_header_check_backing(&h, name, format);
	assert_int_equal(set_backing(&img, &h, name, format), rc);
	if (rc) {
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(op_count, 0);
		assert_true(says(img.file, &before, before.backing_name,
				 before.backing_format));
	} else {
		assert_one_switch();
		assert_true(says(img.file, &before, name, format));
		assert_old_or_new(&twin, &before, name, format);
	}
	assert_same_header(&img, &h);
	qcow2_header_release(&h);
	qcow2_header_release(&before);
	image_free(&img);
	image_free(&twin);
	return !rc;
}

static const unsigned lengths[] = { 0, 1, 9, 90, 300, 368, 369, 512, 1023 };
#define LENGTHS (sizeof(lengths) / sizeof(*lengths))
static const char *const formats[] = { NULL, "raw", "qcow2", "luks-format15" };
#define FORMATS (sizeof(formats) / sizeof(*formats))

/* Also that there is room wherever the clusters are not tiny and all that
 * must be kept fits into a sector. */
static void every_change_of_every_shape(void **state)
{
	char name[1024];

	(void)state;
	for (size_t s = 0; s < SHAPES; s++)
		for (size_t n = 0; n < LENGTHS; n++)
			for (size_t f = 0; f < FORMATS; f++) {
				const char *to = lengths[n] ? name : NULL;
				bool room;

				fill(name, lengths[n], 5);
				name[lengths[n]] = '\0';
				room = try_change(&shapes[s], to, formats[f]);
				if (shapes[s].cluster_bits >= 12 &&
				    shapes[s].unknown < 100 &&
				    shapes[s].header_length < 400)
					assert_true(room);
				if (!to && !shapes[s].unmarked)
					assert_true(room);
			}
}

static void extensions_that_cannot_move(void **state)
{
	const struct shape *large = &shapes[10], *bare = &shapes[11];

	(void)state;
	assert_string_equal(large->what, "large unknown extension");
	assert_string_equal(bare->what, "large one without format");
	/* A format of as many bytes fits where the old one was. */
	assert_true(try_change(large, "other", "raw"));
	assert_true(try_change(large, "other", "qcow2"));
	assert_true(try_change(large, NULL, NULL));
	assert_false(try_change(large, "other", "luks-format15"));
	assert_false(try_change(large, "other", NULL));
	assert_true(try_change(bare, "other", NULL));
	assert_false(try_change(bare, "other", "raw"));
	assert_false(try_change(&shapes[SHAPES - 1], NULL, NULL));
}

static void feature_names_go_only_for_room(void **state)
{
	static const struct {
		unsigned shape;
		const char *name, *format;
		bool kept;
	} cases[] = {
		{ 3, NULL, NULL, true },
		{ 3, "x", NULL, true },
		{ 3, "x", "raw", false },
		{ 4, "x", "qcow2", true },
		{ 4, "x", "raw", true },
		{ 4, NULL, NULL, true },
		{ 4, "x", "luks-format15", false },
		{ 8, "x", "raw", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct qcow2_header h;
		struct image img;

		image_shape(&img, &shapes[cases[i].shape]);
		image_read(&img, &h);
		assert_int_equal(set_backing(&img, &h, cases[i].name,
					     cases[i].format), 0);
		assert_int_equal(h.ext_count, cases[i].kept);
		assert_int_equal(h.backing_format != NULL,
				 cases[i].format != NULL);
		qcow2_header_release(&h);
		image_free(&img);
	}
}

/* A long life: each change starts from what the one before left. */
static void a_thousand_changes(void **state)
{
	unsigned seed = 12345;
	char name[1024];

	(void)state;
	for (size_t s = 0; s < SHAPES; s++) {
		struct qcow2_header h, like;
		struct image img;

		image_shape(&img, &shapes[s]);
		image_read(&img, &h);
		image_read(&img, &like);
		for (int i = 0; i < 50; i++) {
			const char *format, *to;
			size_t len;

			seed = seed * 1103515245 + 12345;
			len = seed >> 16 & 1 ? 1023 : seed >> 17 & 255;
			format = formats[(seed >> 25) % FORMATS];
			fill(name, len, seed >> 20);
			name[len] = '\0';
			to = len ? name : NULL;
			if (set_backing(&img, &h, to, format))
				continue;
			assert_one_switch();
			assert_true(says(img.file, &like, to, format));
			assert_same_header(&img, &h);
		}
		qcow2_header_release(&h);
		qcow2_header_release(&like);
		image_free(&img);
	}
}

static void every_failure_leaves_a_header(void **state)
{
	struct qcow2_header h, before;
	struct image img;
	char name[1024] = { 0 };

	(void)state;
	memset(name, 'n', 1023);
	for (int n = 0; n < 4; n++) {
		image_shape(&img, &shapes[4]);
		image_read(&img, &h);
		image_read(&img, &before);
		fail_at = n;
		assert_int_equal(set_backing(&img, &h, name, "raw"), -EIO);
		fail_at = -1;
		assert_string_equal(h.backing_name, before.backing_name);
		if (n < 3)
			assert_true(says(img.file, &before,
					 before.backing_name, "qcow2"));
		else
			assert_true(says(img.file, &before, name, "raw"));
		qcow2_header_release(&h);
		qcow2_header_release(&before);
		image_free(&img);
	}
}

static void bad_words_write_nothing(void **state)
{
	struct qcow2_header h;
	struct image img;
	char name[1025] = { 0 };

	(void)state;
	memset(name, 'n', 1024);
	image_shape(&img, &shapes[0]);
	image_read(&img, &h);
	assert_int_equal(set_backing(&img, &h, "", "raw"), -EINVAL);
	assert_int_equal(set_backing(&img, &h, name, "raw"), -ENAMETOOLONG);
	assert_int_equal(set_backing(&img, &h, "x", "0123456789abcdef"),
			 -ENAMETOOLONG);
	assert_int_equal(op_count, 0);
	h.autoclear = QCOW2_AUTOCLEAR_RAW_DATA;
	assert_int_equal(set_backing(&img, &h, "x", "raw"), -EINVAL);
	assert_int_equal(set_backing(&img, &h, NULL, NULL), 0);
	/* An empty format is none; the words may be the header's own. */
	h.autoclear = 0;
	assert_int_equal(set_backing(&img, &h, "x", ""), 0);
	assert_null(h.backing_format);
	assert_int_equal(set_backing(&img, &h, h.backing_name, "raw"), 0);
	assert_string_equal(h.backing_name, "x");
	assert_same_header(&img, &h);
	qcow2_header_release(&h);
	image_free(&img);
}

/* What QEMU makes of it, on images that it made itself. */
static void qemu_reads_the_same(void **state)
{
	static const char *const options[] = {
		"compat=v3", "compat=v3,cluster_size=512", "compat=0.10",
		"compat=v3,compression_type=zstd,extended_l2=on",
	};
	struct image img;

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		struct qcow2_header h;
		char *create;
		int status;

		create = mem_printf("rm -f $I && qemu-img create -q -f qcow2 "
				    "-u -b old.qcow2 -F qcow2 -o %s $I 1M",
				    options[i]);
		image_new_empty(&img);
		status = image_shell(&img, create);
		free(create);
		if (status < 0) {
			image_free(&img);
			skip();
		}
		assert_int_equal(status, 0);
		image_read(&img, &h);
		assert_int_equal(set_backing(&img, &h, "x.qcow2.r", "raw"),
				 0);
		assert_int_equal(image_shell(&img, "touch $I.r && "
			"qemu-img check -q $I && rm $I.r && "
			"qemu-img info $I | grep -q 'file: x.qcow2.r' && "
			"qemu-img info $I | grep -q 'file format: raw'"), 0);
		assert_int_equal(set_backing(&img, &h, NULL, NULL), 0);
		assert_int_equal(image_shell(&img, "qemu-img check -q $I && "
			"! qemu-img info $I | grep -q backing"), 0);
		qcow2_header_release(&h);
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_of_every_shape),
		cmocka_unit_test(extensions_that_cannot_move),
		cmocka_unit_test(feature_names_go_only_for_room),
		cmocka_unit_test(a_thousand_changes),
		cmocka_unit_test(every_failure_leaves_a_header),
		cmocka_unit_test(bad_words_write_nothing),
		cmocka_unit_test(qemu_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
