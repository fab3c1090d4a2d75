/* qcow2_header.c - the header, from bytes to struct qcow2_header; see qcow2.h.
 *
 * Nothing in the file is believed: each value is checked before it is used to
 * shift, to multiply, to allocate, or to find another one. What is refused is
 * what QEMU refuses, and what only a damaged or hostile image can say (tables
 * over the header or over each other, a name with a NUL inside).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

#define KNOWN_INCOMPATIBLE                                                     \
	(QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT |                       \
	 QCOW2_INCOMPAT_DATA_FILE | QCOW2_INCOMPAT_COMPRESSION |               \
	 QCOW2_INCOMPAT_EXTENDED_L2)

#define V2_LENGTH 72u
#define V3_LENGTH 104u
#define SNAPSHOTS_MAX 65536u
#define SNAPSHOT_MIN 40u		/* bytes of an entry */
#define BITMAPS_MAX 65535u
#define BITMAP_DIR_MAX ((64u << 20) - 1024)
#define DATA_FILE_MAX 4095u
#define FILE_BYTES_MAX align_down(INT64_MAX, 1ull << 30)	/* as QEMU's */
#define FEATURE_LEN 48u			/* bytes of a feature table's entry */
#define FEATURE_NAME 46u

struct reader {
	struct file *file;
	struct qcow2_header *h;
	struct err *err;
	uint64_t bytes;		/* of the file */
	uint64_t cluster;	/* bytes */
	uint8_t *buf;		/* cluster 0 */
	uint64_t limit;		/* extensions end here at the latest */
	bool damaged;		/* a table may lie where no table can */
};

int qcow2_refuse(const struct file *file, struct err *err, const char *fmt, ...)
{
	struct str s = STR_INIT;
	va_list ap;

	str_add(&s, "'");
	str_add_safe(&s, file->path);
	str_add(&s, "' ");
	va_start(ap, fmt);
	str_addv(&s, fmt, ap);
	va_end(ap);
	err_set(err, ERR_GENERIC, "%s", str_get(&s));
	str_release(&s);
	return -1;
}

#define refuse(r, ...) qcow2_refuse((r)->file, (r)->err, __VA_ARGS__)

static int header_host_error(const struct reader *r, int rc, const char *what)
{
	qcow2_refuse(r->file, r->err, "%s", what);
	return err_sys(r->err, rc, "%s", r->err->text);
}

/* What says how much to read, then all of cluster 0. */
static int read_cluster0(struct reader *r)
{
	struct qcow2_header *h = r->h;
	uint8_t head[V2_LENGTH];
	int rc = file_read(r->file, 0, head, sizeof(head));

	if (rc)
		return header_host_error(r, rc,
					 "could not be read at offset 0");
	if (get_be32(head) != QCOW2_MAGIC)
		return refuse(r, "is not a qcow2 image");
	h->version = get_be32(head + QCOW2_AT_VERSION);
	if (h->version != 2 && h->version != 3)
		return refuse(r, "has qcow2 version %u, only 2 and 3 are known",
			      h->version);
	h->cluster_bits = get_be32(head + QCOW2_AT_CLUSTER_BITS);
	if (h->cluster_bits < 9 || h->cluster_bits > 21)
		return refuse(r, "has clusters of 2^%u bytes, only 2^9 to 2^21 "
			      "are supported", h->cluster_bits);
	r->cluster = 1ull << h->cluster_bits;
	r->buf = buf_new(r->cluster);
	if (!r->buf)
		return header_host_error(r, ENOMEM, "could not be read");
	rc = file_read(r->file, 0, r->buf, r->cluster);
	if (rc)
		return header_host_error(r, rc,
					 "could not be read at offset 0");
	return 0;
}

/* What only version 3 has. */
static int read_v3(struct reader *r)
{
	struct qcow2_header *h = r->h;

	h->refcount_order = 4;
	h->header_length = V2_LENGTH;
	if (h->version >= 3) {
		h->incompatible = get_be64(r->buf + QCOW2_AT_INCOMPATIBLE);
		h->compatible = get_be64(r->buf + QCOW2_AT_COMPATIBLE);
		h->autoclear = get_be64(r->buf + QCOW2_AT_AUTOCLEAR);
		h->refcount_order = get_be32(r->buf + QCOW2_AT_REFCOUNT_ORDER);
		h->header_length = get_be32(r->buf + QCOW2_AT_HEADER_LENGTH);
		if (h->header_length < V3_LENGTH ||
		    h->header_length > r->cluster ||
		    (h->header_length % 8 && !r->damaged))
			return refuse(r, "has a header length of %u, which is "
				      "not valid", h->header_length);
	}
	if (h->header_length > r->bytes)
		return refuse(r, "ends inside its header");
	if (h->header_length > QCOW2_AT_COMPRESSION)
		h->compression = r->buf[QCOW2_AT_COMPRESSION];
	return 0;
}

/* Sets the limit of the extensions, too: the name lies behind them. */
static int read_backing_name(struct reader *r)
{
	struct qcow2_header *h = r->h;
	uint64_t at = get_be64(r->buf + QCOW2_AT_BACKING);
	uint32_t len = get_be32(r->buf + QCOW2_AT_BACKING_LEN);

	r->limit = r->cluster;
	if (!at)
		return 0;
	if ((at < h->header_length && !r->damaged) || at > r->cluster)
		return refuse(r, "has its backing file name at offset %llu, "
			      "outside the header cluster",
			      (unsigned long long)at);
	if (len > QCOW2_NAME_MAX || len > r->cluster - at)
		return refuse(r, "has a backing file name of %u bytes, which "
			      "is too long", len);
	if (!r->damaged && memchr(r->buf + at, 0, len))
		return refuse(r, "has a backing file name with a zero byte "
			      "inside");
	r->limit = at;
	if (!len)
		return 0;
	h->backing_offset = at;
	h->backing_name = mem_printf("%.*s", (int)len, r->buf + at);
	return 0;
}

/* The extension at *at, and *at moved behind it. 1, or 0 at the end, or -1 if
 * it goes beyond the limit, which the end mark may not either. */
static int ext_next(const struct reader *r, uint64_t *at, struct qcow2_ext *e)
{
	uint64_t rest = *at < r->limit ? r->limit - *at : 0;

	e->len = 0;
	if (rest < 8)
		return rest ? -1 : 0;
	e->type = get_be32(r->buf + *at);
	e->len = get_be32(r->buf + *at + 4);
	e->data = r->buf + *at + 8;
	if (e->len > rest - 8)
		return -1;
	if (!e->type)
		return 0;
	*at += 8 + align_up(e->len, 8);
	return 1;
}

/* The name of an incompatible feature in the image's own table, or "". */
static void feature_name(const struct reader *r, unsigned bit,
			 char name[FEATURE_NAME + 1])
{
	uint64_t at = r->h->header_length;
	struct qcow2_ext e;

	*name = '\0';
	while (ext_next(r, &at, &e) > 0) {
		if (e.type != QCOW2_EXT_FEATURES)
			continue;
		for (uint32_t i = 0; i + FEATURE_LEN <= e.len;
		     i += FEATURE_LEN)
			if (!e.data[i] && e.data[i + 1] == bit)
				snprintf(name, FEATURE_NAME + 1, "%.*s",
					 (int)FEATURE_NAME, e.data + i + 2);
	}
}

static int check_known(const struct reader *r)
{
	uint64_t unknown = r->h->incompatible & ~KNOWN_INCOMPATIBLE;
	struct str list = STR_INIT;
	char name[FEATURE_NAME + 1];

	if (!unknown)
		return 0;
	for (unsigned bit = 0; bit < 64; bit++) {
		if (!(unknown >> bit & 1))
			continue;
		str_add(&list, list.len ? ", " : "");
		feature_name(r, bit, name);
		if (!*name) {
			str_addf(&list, "bit %u", bit);
			continue;
		}
		str_add(&list, "'");
		str_add_safe(&list, name);
		str_addf(&list, "' (bit %u)", bit);
	}
	refuse(r, "uses features this program does not know: %s",
	       str_get(&list));
	str_release(&list);
	return -1;
}

static int check_encryption(const struct reader *r)
{
	uint32_t method = get_be32(r->buf + QCOW2_AT_CRYPT);

	if (!method)
		return 0;
	if (method > 2)
		return refuse(r, "has an unknown encryption method %u", method);
	return refuse(r, "is encrypted (%s), which is not supported",
		      method == 1 ? "AES" : "LUKS");
}

static int check_features(const struct reader *r)
{
	const struct qcow2_header *h = r->h;
	bool bit = h->incompatible & QCOW2_INCOMPAT_COMPRESSION;

	if (h->compression > 1)
		return refuse(r, "has an unknown compression type %u",
			      h->compression);
	if (bit != (h->compression != 0))
		return refuse(r, "has compression type %u, against its "
			      "feature bits", h->compression);
	if (h->refcount_order > 6)
		return refuse(r, "has refcounts of 2^%u bits, at most 2^6 are "
			      "possible", h->refcount_order);
	if ((h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2) &&
	    h->cluster_bits < 14)
		return refuse(r, "has extended L2 entries with clusters of "
			      "less than 16 KiB");
	if (!(h->autoclear & QCOW2_AUTOCLEAR_RAW_DATA))
		return 0;
	if (!(h->incompatible & QCOW2_INCOMPAT_DATA_FILE))
		return refuse(r, "has raw external data without a data file");
	if (h->backing_name)
		return refuse(r, "has raw external data and a backing file");
	return 0;
}

/* A table at a cluster's start, behind the header (unless that may be
 * damaged), that ends where a file can. */
static bool table_is_valid(const struct reader *r, uint64_t at, uint64_t bytes)
{
	return (at || r->damaged) && is_aligned(at, r->cluster) &&
	       at <= FILE_BYTES_MAX && bytes <= FILE_BYTES_MAX - at;
}

static int read_refcount_table(struct reader *r)
{
	struct qcow2_header *h = r->h;
	uint64_t bytes;

	h->rt_offset = get_be64(r->buf + QCOW2_AT_RT);
	h->rt_clusters = get_be32(r->buf + QCOW2_AT_RT_CLUSTERS);
	bytes = (uint64_t)h->rt_clusters << h->cluster_bits;
	if (!bytes && !r->damaged)
		return refuse(r, "has no refcount table");
	if (bytes > QCOW2_RT_MAX)
		return refuse(r, "has a refcount table of %llu bytes, which is "
			      "too large", (unsigned long long)bytes);
	if (!table_is_valid(r, h->rt_offset, bytes) ||
	    (h->rt_offset >= r->bytes && !r->damaged))
		return refuse(r, "has its refcount table at offset %llu, which "
			      "is not valid",
			      (unsigned long long)h->rt_offset);
	return 0;
}

/* L1 entries that a disk of @size bytes needs. */
static uint64_t l1_needed(const struct qcow2_header *h, uint64_t size)
{
	bool extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	unsigned bits = 2 * h->cluster_bits - (extended ? 4 : 3);

	return div_round_up(size, 1ull << bits);
}

static int read_l1(struct reader *r)
{
	struct qcow2_header *h = r->h;
	uint64_t size = get_be64(r->buf + QCOW2_AT_SIZE), bytes;

	h->l1_offset = get_be64(r->buf + QCOW2_AT_L1);
	h->l1_size = get_be32(r->buf + QCOW2_AT_L1_SIZE);
	h->size = align_down(size, 512);
	bytes = h->l1_size * 8ull;
	if (bytes > QCOW2_L1_MAX)
		return refuse(r, "has an L1 table of %llu bytes, which is too "
			      "large", (unsigned long long)bytes);
	if (l1_needed(h, size) > h->l1_size)
		return refuse(r, "has an L1 table of %u entries, too small for "
			      "a disk of %llu bytes", h->l1_size,
			      (unsigned long long)size);
	if (!bytes)
		return 0;
	if (!table_is_valid(r, h->l1_offset, bytes))
		return refuse(r, "has its L1 table at offset %llu, which is "
			      "not valid", (unsigned long long)h->l1_offset);
	if (!r->damaged && h->l1_offset < h->rt_offset +
	    ((uint64_t)h->rt_clusters << h->cluster_bits) &&
	    h->rt_offset < h->l1_offset + bytes)
		return refuse(r, "has its L1 table over its refcount table");
	return 0;
}

static int read_snapshot_table(struct reader *r)
{
	struct qcow2_header *h = r->h;
	uint64_t bytes;

	h->nb_snapshots = get_be32(r->buf + QCOW2_AT_NB_SNAPSHOTS);
	h->snapshots_offset = get_be64(r->buf + QCOW2_AT_SNAPSHOTS);
	if (r->damaged || (!h->nb_snapshots &&
			   h->snapshots_offset <= INT64_MAX &&
			   is_aligned(h->snapshots_offset, r->cluster)))
		return 0;
	if (h->nb_snapshots > SNAPSHOTS_MAX)
		return refuse(r, "has %u snapshots, which are too many",
			      h->nb_snapshots);
	if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE)
		return refuse(r, "has snapshots and an external data file");
	bytes = (uint64_t)h->nb_snapshots * SNAPSHOT_MIN;
	if (!table_is_valid(r, h->snapshots_offset, bytes) ||
	    h->snapshots_offset + bytes > r->bytes)
		return refuse(r, "has its snapshot table at offset %llu, which "
			      "is not valid",
			      (unsigned long long)h->snapshots_offset);
	return 0;
}

/* --- extensions --- */

/* The string of an extension, or NULL if it has a NUL inside; of what may be
 * damaged that is its end. */
static char *ext_string(const struct reader *r, const struct qcow2_ext *e)
{
	if (!r->damaged && memchr(e->data, 0, e->len))
		return NULL;
	return mem_printf("%.*s", (int)e->len, e->data);
}

static int take_format(struct reader *r, const struct qcow2_ext *e)
{
	struct qcow2_header *h = r->h;

	if (e->len > QCOW2_FORMAT_MAX)
		return refuse(r, "has a backing format of %u bytes, which is "
			      "too long", e->len);
	h->format_at = (uint32_t)(e->data - r->buf) - 8;
	h->format_len = e->len;
	if (!h->backing_name || !e->len)
		return 0;
	h->backing_format = ext_string(r, e);
	if (!h->backing_format)
		return refuse(r, "has a backing format with a zero byte "
			      "inside");
	return 0;
}

static int take_data_file(struct reader *r, const struct qcow2_ext *e)
{
	if (!(r->h->incompatible & QCOW2_INCOMPAT_DATA_FILE) || !e->len)
		return 0;
	if (e->len > DATA_FILE_MAX)
		return refuse(r, "has a data file name of %u bytes, which is "
			      "too long", e->len);
	r->h->data_file_name = ext_string(r, e);
	if (!r->h->data_file_name)
		return refuse(r, "has a data file name with a zero byte "
			      "inside");
	return 0;
}

static int take_bitmaps(struct reader *r, const struct qcow2_ext *e)
{
	struct qcow2_header *h = r->h;

	if (e->len != 24)
		return refuse(r, "has a bitmaps extension of %u bytes instead "
			      "of 24", e->len);
	/* Without the bit nothing in it is to be believed. */
	if (!(h->autoclear & QCOW2_AUTOCLEAR_BITMAPS))
		return 0;
	h->bitmap_count = get_be32(e->data);
	h->bitmap_dir_size = get_be64(e->data + 8);
	h->bitmap_dir_offset = get_be64(e->data + 16);
	if (get_be32(e->data + 4))
		return refuse(r, "has a bitmaps extension with reserved bits "
			      "set");
	if (!h->bitmap_count || h->bitmap_count > BITMAPS_MAX)
		return refuse(r, "has a bitmaps extension with %u bitmaps",
			      h->bitmap_count);
	if (h->bitmap_dir_size > BITMAP_DIR_MAX)
		return refuse(r, "has a bitmap directory of %llu bytes, which "
			      "is too large",
			      (unsigned long long)h->bitmap_dir_size);
	if (!table_is_valid(r, h->bitmap_dir_offset, h->bitmap_dir_size) ||
	    h->bitmap_dir_offset + h->bitmap_dir_size > r->bytes)
		return refuse(r, "has its bitmap directory at offset %llu, "
			      "which is not valid",
			      (unsigned long long)h->bitmap_dir_offset);
	return 0;
}

static int take_crypto(struct reader *r, const struct qcow2_ext *e)
{
	(void)e;
	return refuse(r, "has an encryption header, but is not encrypted");
}

static int take_features(struct reader *r, const struct qcow2_ext *e)
{
	(void)r, (void)e;
	return 0;
}

/* What each known extension says; it may be there once. */
static const struct known {
	uint32_t type;
	const char *name;
	int (*take)(struct reader *r, const struct qcow2_ext *e);
} known[] = {
	{ QCOW2_EXT_BACKING_FORMAT, "backing format", take_format },
	{ QCOW2_EXT_FEATURES, "feature name", take_features },
	{ QCOW2_EXT_BITMAPS, "bitmaps", take_bitmaps },
	{ QCOW2_EXT_CRYPTO, "encryption", take_crypto },
	{ QCOW2_EXT_DATA_FILE, "data file", take_data_file },
};

#define KNOWN_COUNT (sizeof(known) / sizeof(*known))

static int take_extension(struct reader *r, const struct qcow2_ext *e,
			  unsigned *seen)
{
	for (unsigned i = 0; i < KNOWN_COUNT; i++) {
		if (known[i].type != e->type)
			continue;
		if (*seen & 1u << i && !r->damaged)
			return refuse(r, "has two %s extensions",
				      known[i].name);
		*seen |= 1u << i;
		return known[i].take(r, e);
	}
	return 0;
}

/* Copies all but the backing format, in one allocation: an image can have
 * 250,000 of them. */
static int keep_extensions(struct reader *r, uint32_t count, uint64_t bytes)
{
	struct qcow2_header *h = r->h;
	uint64_t at = h->header_length;
	struct qcow2_ext e;
	uint8_t *data;

	if (!count)
		return 0;
	h->ext = mem_try(1, count * sizeof(e) + bytes);
	if (!h->ext)
		return header_host_error(r, ENOMEM, "could not be read");
	data = (uint8_t *)(h->ext + count);
	while (ext_next(r, &at, &e) > 0) {
		if (e.type == QCOW2_EXT_BACKING_FORMAT)
			continue;
		memcpy(data, e.data, e.len);
		e.data = data;
		data += e.len;
		h->ext[h->ext_count++] = e;
	}
	return 0;
}

static int read_extensions(struct reader *r)
{
	struct qcow2_header *h = r->h;
	uint64_t at = h->header_length, bytes = 0;
	uint32_t count = 0;
	unsigned seen = 0;
	struct qcow2_ext e;
	int more;

	while ((more = ext_next(r, &at, &e)) > 0) {
		if (take_extension(r, &e, &seen))
			return -1;
		count += e.type != QCOW2_EXT_BACKING_FORMAT;
		bytes += e.len;
	}
	if (more < 0)
		return refuse(r, "has a header extension of %u bytes at offset "
			      "%llu, which is too long", e.len,
			      (unsigned long long)at);
	h->ext_end = (uint32_t)at;
	h->ext_marked = at + 8 <= r->limit;
	return keep_extensions(r, count, bytes);
}

static int header_read(struct file *file, bool damaged,
		       struct qcow2_header *h, struct err *err)
{
	struct reader r = { .file = file, .h = h, .err = err,
			    .bytes = file->size, .damaged = damaged };
	int rc;

	*h = (struct qcow2_header){ 0 };
	rc = read_cluster0(&r) || read_v3(&r) || read_backing_name(&r) ||
	     check_known(&r) || check_encryption(&r) || check_features(&r) ||
	     read_refcount_table(&r) || read_l1(&r) ||
	     read_snapshot_table(&r) || read_extensions(&r);
	free(r.buf);
	if (!rc)
		return 0;
	qcow2_header_release(h);
	return -1;
}

int qcow2_header_read(struct file *file, struct qcow2_header *h,
		      struct err *err)
{
	return header_read(file, false, h, err);
}

int qcow2_header_read_damaged(struct file *file, struct qcow2_header *h,
			      struct err *err)
{
	return header_read(file, true, h, err);
}

void qcow2_header_release(struct qcow2_header *h)
{
	free(h->backing_name);
	free(h->backing_format);
	free(h->data_file_name);
	free(h->ext);
	*h = (struct qcow2_header){ 0 };
}

int qcow2_header_write_fields(struct file *file, const struct qcow2_header *h)
{
	uint8_t s[QCOW2_SECTOR];
	int rc = file_flush(file);

	if (!rc)
		rc = file_read(file, 0, s, sizeof(s));
	if (rc)
		return rc;
	/* A size that was rounded down stays as it was. */
	if (align_down(get_be64(s + QCOW2_AT_SIZE), 512) != h->size)
		put_be64(s + QCOW2_AT_SIZE, h->size);
	put_be32(s + QCOW2_AT_L1_SIZE, h->l1_size);
	put_be64(s + QCOW2_AT_L1, h->l1_offset);
	put_be64(s + QCOW2_AT_RT, h->rt_offset);
	put_be32(s + QCOW2_AT_RT_CLUSTERS, h->rt_clusters);
	put_be32(s + QCOW2_AT_NB_SNAPSHOTS, h->nb_snapshots);
	put_be64(s + QCOW2_AT_SNAPSHOTS, h->snapshots_offset);
	if (h->version >= 3) {
		put_be64(s + QCOW2_AT_INCOMPATIBLE, h->incompatible);
		put_be64(s + QCOW2_AT_COMPATIBLE, h->compatible);
		put_be64(s + QCOW2_AT_AUTOCLEAR, h->autoclear);
	}
	rc = file_write(file, 0, s, sizeof(s));
	return rc ? rc : file_flush(file);
}
