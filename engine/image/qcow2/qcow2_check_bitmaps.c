/* qcow2_check_bitmaps.c - the persistent bitmaps of an image that may be
 * damaged. See qcow2_check.h. A directory that QEMU cannot load ends a check.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

#define HEAD 24u			/* bytes of an entry */
#define IN_USE 1u
#define FLAGS_RESERVED 0xfffffffcu
#define DATA_MAX (512ull << 20)		/* bytes of a bitmap */
#define TABLE_MAX 0x8000000u		/* entries */

struct bitmap {
	uint64_t table;
	uint32_t entries, flags, name_len;
	unsigned granularity;		/* bits */
	const uint8_t *name;
};

struct directory {
	uint8_t *buf;
	struct bitmap *v;		/* c->h.bitmap_count */
};

static bool bits_is_valid(const struct check *c, const struct bitmap *b)
{
	return b->entries && b->entries <= TABLE_MAX && b->table &&
	       is_aligned(b->table, c->cluster) &&
	       b->table <= INT64_MAX - b->entries * 8ull &&
	       b->granularity >= 9 && b->granularity <= 31 &&
	       !(b->flags & FLAGS_RESERVED) && b->name_len <= 1023 &&
	       b->entries <= DATA_MAX >> c->cluster_bits &&
	       (b->flags & IN_USE ||
		b->entries == qcow2_bitmap_entries(&c->h, b->granularity));
}

/* The entry at *at of @size bytes, and *at moved behind it. */
static bool take_entry(const struct check *c, const uint8_t *dir,
		       uint64_t size, uint64_t *at, struct bitmap *b)
{
	const uint8_t *head = dir + *at;
	uint64_t len;

	if (size - *at < HEAD)
		return false;
	b->table = get_be64(head);
	b->entries = get_be32(head + 8);
	b->flags = get_be32(head + 12);
	b->granularity = head[17];
	b->name_len = get_be16(head + 18);
	b->name = head + HEAD;
	len = align_up((uint64_t)HEAD + b->name_len, 8);
	if (len > size - *at || get_be32(head + 20) || head[16] != 1)
		return false;
	*at += len;
	return bits_is_valid(c, b);
}

static int bits_compare(const void *a, const void *b)
{
	const struct bitmap *x = a, *y = b;
	size_t n = min_u64(x->name_len, y->name_len);
	int rc = memcmp(x->name, y->name, n);

	return rc ? rc : (x->name_len > y->name_len) -
			 (x->name_len < y->name_len);
}

static bool names_differ(const struct bitmap *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (!bits_compare(&v[i - 1], &v[i]))
			return false;
	return true;
}

static void directory_release(struct directory *d)
{
	free(d->buf);
	free(d->v);
}

static int directory_read(struct check *c, struct directory *d)
{
	uint64_t size = c->h.bitmap_dir_size, at = 0;
	uint32_t n = c->h.bitmap_count;
	bool ok = true;

	*d = (struct directory){
		.buf = mem_try(max_u64(size, 1), 1),
		.v = mem_try(n, sizeof(*d->v)),
	};
	if (!d->buf || !d->v)
		return check_fail(c, -ENOMEM, "Could not read the bitmaps of "
				  "'%s'", c->file->path);
	if (check_read(c, c->h.bitmap_dir_offset, d->buf, size))
		return -1;
	for (uint32_t i = 0; i < n && ok; i++)
		ok = take_entry(c, d->buf, size, &at, &d->v[i]);
	if (ok && at == size) {
		qsort(d->v, n, sizeof(*d->v), bits_compare);
		ok = names_differ(d->v, n);
	}
	if (ok && at == size)
		return 0;
	return check_fail(c, -EINVAL, "'%s' has a bitmap directory that is "
			  "damaged", c->file->path);
}

/* --- tables --- */

static int bad_table(struct check *c, const struct bitmap *b)
{
	struct str name = STR_INIT;
	char *raw = mem_printf("%.*s", (int)b->name_len, b->name);

	str_add_safe(&name, raw);
	free(raw);
	check_fail(c, -EINVAL, "'%s' has a damaged table of bitmap '%s'",
		   c->file->path, str_get(&name));
	str_release(&name);
	return -1;
}

static int bits_walk_table(struct check *c, const struct bitmap *b, bool count)
{
	uint64_t per = c->cluster / 8;

	for (uint64_t i = 0; i < b->entries; i += per) {
		uint64_t n = min_u64(b->entries - i, per);

		if (check_read(c, b->table + i * 8, c->l1_buf, n * 8))
			return -1;
		for (uint64_t k = 0; k < n; k++) {
			uint64_t e = get_be64(c->l1_buf + k * 8);
			uint64_t off = e & QCOW2_OFFSET_MASK;

			if (!qcow2_bitmap_entry_is_valid(&c->h, e))
				return bad_table(c, b);
			if (count && off)
				check_count(c, off, c->cluster, CHECK_META);
		}
	}
	return 0;
}

int check_bitmaps_load(struct check *c)
{
	struct directory d = { 0 };
	int rc;

	if (!c->h.bitmap_count)
		return 0;
	rc = directory_read(c, &d);
	for (uint32_t i = 0; i < c->h.bitmap_count && !rc; i++)
		if (!(d.v[i].flags & IN_USE))
			rc = bits_walk_table(c, &d.v[i], false);
	directory_release(&d);
	return rc;
}

int check_bitmaps_walk(struct check *c)
{
	struct directory d = { 0 };
	int rc;

	if (!c->h.bitmap_count)
		return 0;
	check_count(c, c->h.bitmap_dir_offset, c->h.bitmap_dir_size,
		    CHECK_META);
	rc = directory_read(c, &d);
	for (uint32_t i = 0; i < c->h.bitmap_count && !rc; i++) {
		check_count(c, d.v[i].table, d.v[i].entries * 8ull,
			    CHECK_META);
		rc = bits_walk_table(c, &d.v[i], true);
	}
	directory_release(&d);
	return rc;
}
