/* qcow2_bitmap.c - the directory of persistent bitmaps; see qcow2.h.
 *
 * Bitmaps are only looked at: their clusters must be counted, their names
 * shown. Who writes to the image clears their autoclear bit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define ENTRY_HEAD 24u			/* bytes in front of the extra data */
#define NAME_MAX_BYTES 1023u
#define DATA_MAX (512ull << 20)		/* bytes of one bitmap */
#define GRANULARITY_MIN 9u		/* bits */
#define GRANULARITY_MAX 31u
#define FLAGS_KNOWN 7u
#define FLAG_IN_USE 1u
#define TYPE_DIRTY 1u
#define TABLE_OFFSET 0x00fffffffffffe00ull
#define TABLE_ALL_ONES 1ull
#define TABLE_CHUNK 512u		/* entries read at once */

struct entry {
	uint64_t table_offset;
	uint32_t table_size;		/* entries */
	uint32_t name_len;
	uint32_t granularity;		/* bits */
	bool in_use;			/* nobody can rely on what it says */
	char name[NAME_MAX_BYTES + 1];
};

static bool bitmap_is_valid(const struct qcow2_header *h, const uint8_t *head,
			    const struct entry *e)
{
	return e->table_offset && e->table_size &&
	       is_aligned(e->table_offset, 1ull << h->cluster_bits) &&
	       e->table_size <= DATA_MAX >> h->cluster_bits &&
	       !(get_be32(head + 12) & ~FLAGS_KNOWN) &&
	       head[16] == TYPE_DIRTY && e->granularity >= GRANULARITY_MIN &&
	       e->granularity <= GRANULARITY_MAX && e->name_len &&
	       e->name_len <= NAME_MAX_BYTES;
}

/* The entry at *at of the directory, and *at moved behind it. */
static int bitmap_read_entry(struct file *file, const struct qcow2_header *h,
			     uint64_t *at, struct entry *e)
{
	uint64_t start = h->bitmap_dir_offset + *at;
	uint64_t left = h->bitmap_dir_size - *at, len;
	uint8_t head[ENTRY_HEAD];
	uint32_t extra;
	int rc;

	if (left < ENTRY_HEAD)
		return -EINVAL;
	rc = file_read(file, start, head, sizeof(head));
	if (rc)
		return rc;
	e->table_offset = get_be64(head);
	e->table_size = get_be32(head + 8);
	e->in_use = get_be32(head + 12) & FLAG_IN_USE;
	e->granularity = head[17];
	e->name_len = get_be16(head + 18);
	extra = get_be32(head + 20);
	len = (uint64_t)ENTRY_HEAD + extra + e->name_len;
	if (!bitmap_is_valid(h, head, e) || align_up(len, 8) > left ||
	    e->table_offset > file->size ||
	    e->table_size * 8ull > file->size - e->table_offset)
		return -EINVAL;
	rc = file_read(file, start + ENTRY_HEAD + extra, e->name, e->name_len);
	e->name[e->name_len] = '\0';
	*at += align_up(len, 8);
	return rc;
}

/* Calls fn for each entry; they fill the directory exactly. */
static int for_each(struct file *file, const struct qcow2_header *h,
		    int (*fn)(void *arg, const struct entry *e), void *arg)
{
	struct entry e;
	uint64_t at = 0;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < h->bitmap_count; i++) {
		rc = bitmap_read_entry(file, h, &at, &e);
		if (!rc)
			rc = fn(arg, &e);
	}
	if (!rc && at != (h->bitmap_count ? h->bitmap_dir_size : 0))
		rc = -EINVAL;
	return rc;
}

/* --- sizes --- */

struct sum {
	uint64_t size, cluster;
	uint64_t bitmaps, directory;	/* bytes */
};

static int bitmap_add_size(void *arg, const struct entry *e)
{
	struct sum *s = arg;
	uint64_t bits = div_round_up(s->size, 1ull << e->granularity);
	uint64_t clusters = div_round_up(div_round_up(bits, 8), s->cluster);

	if (e->in_use)
		return 0;
	s->bitmaps += clusters * s->cluster +
		      align_up(clusters * 8, s->cluster);
	s->directory += align_up((uint64_t)ENTRY_HEAD + e->name_len, 8);
	return 0;
}

int qcow2_bitmap_bytes(struct file *file, const struct qcow2_header *h,
		       uint64_t size, uint64_t cluster, uint64_t *bytes)
{
	struct sum s = { .size = size, .cluster = cluster };
	int rc = for_each(file, h, bitmap_add_size, &s);

	*bytes = s.bitmaps + align_up(s.directory, cluster);
	return rc;
}

/* --- names --- */

struct names {
	char **v;
	size_t count;
};

static int bitmap_add_name(void *arg, const struct entry *e)
{
	struct names *n = arg;

	n->v[n->count] = mem_try_dup(e->name, e->name_len);
	return n->v[n->count] ? (n->count++, 0) : -ENOMEM;
}

static int bitmap_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, equal ones are neighbours. */
static bool all_differ(const struct names *n)
{
	for (size_t i = 1; i < n->count; i++)
		if (!strcmp(n->v[i - 1], n->v[i]))
			return false;
	return true;
}

int qcow2_bitmap_names(struct file *file, const struct qcow2_header *h,
		       char ***names, size_t *count)
{
	struct names n = { 0 };
	int rc;

	*names = NULL;
	*count = 0;
	if (!h->bitmap_count)
		return 0;
	n.v = mem_try(h->bitmap_count, sizeof(*n.v));
	if (!n.v)
		return -ENOMEM;
	rc = for_each(file, h, bitmap_add_name, &n);
	qsort(n.v, n.count, sizeof(*n.v), bitmap_compare);
	if (!rc && !all_differ(&n))
		rc = -EINVAL;
	if (rc) {
		for (size_t i = 0; i < n.count; i++)
			free(n.v[i]);
		free(n.v);
		return rc;
	}
	*names = n.v;
	*count = n.count;
	return 0;
}

/* --- clusters --- */

struct walk {
	struct file *file;
	uint32_t cluster_bits;
	int (*fn)(void *arg, uint64_t off, uint64_t len);
	void *arg;
};

static int bitmap_tell(const struct walk *w, uint64_t off, uint64_t len)
{
	return w->fn(w->arg, off, align_up(len, 1ull << w->cluster_bits));
}

static int tell_data(const struct walk *w, uint64_t entry)
{
	uint64_t off = entry & TABLE_OFFSET;
	uint64_t cluster = 1ull << w->cluster_bits;

	if ((entry & ~TABLE_OFFSET & ~TABLE_ALL_ONES) ||
	    (off && (entry & TABLE_ALL_ONES)) || !is_aligned(off, cluster))
		return -EINVAL;
	return off ? bitmap_tell(w, off, cluster) : 0;
}

static int tell_table(void *arg, const struct entry *e)
{
	const struct walk *w = arg;
	uint8_t buf[TABLE_CHUNK * 8];
	int rc = bitmap_tell(w, e->table_offset, e->table_size * 8ull);

	for (uint32_t i = 0; !rc && i < e->table_size; i += TABLE_CHUNK) {
		uint32_t n = e->table_size - i;

		n = n < TABLE_CHUNK ? n : TABLE_CHUNK;
		rc = file_read(w->file, e->table_offset + i * 8ull, buf,
			       n * 8ull);
		for (uint32_t k = 0; !rc && k < n; k++)
			rc = tell_data(w, get_be64(buf + k * 8));
	}
	return rc;
}

int qcow2_bitmap_clusters(struct file *file, const struct qcow2_header *h,
			  int (*fn)(void *arg, uint64_t off, uint64_t len),
			  void *arg)
{
	struct walk w = { .file = file, .cluster_bits = h->cluster_bits,
			  .fn = fn, .arg = arg };
	int rc;

	if (!h->bitmap_count)
		return 0;
	rc = bitmap_tell(&w, h->bitmap_dir_offset, h->bitmap_dir_size);
	return rc ? rc : for_each(file, h, tell_table, &w);
}
