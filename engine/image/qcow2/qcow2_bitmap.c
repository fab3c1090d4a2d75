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
#define FLAGS_KNOWN 3u
#define FLAG_IN_USE 1u
#define TYPE_DIRTY 1u
#define TABLE_OFFSET 0x00fffffffffffe00ull
#define TABLE_ALL_ONES 1ull
#define FILE_BYTES_MAX align_down(INT64_MAX, 1ull << 30)	/* as QEMU's */
#define TABLES_MAX (64ull << 20)	/* bytes, of a file that is shorter */
#define TABLE_CHUNK 512u		/* entries read at once */

struct entry {
	uint64_t table_offset;
	uint32_t table_size;		/* entries */
	uint32_t name_len;
	uint32_t granularity;		/* bits */
	bool in_use;			/* nobody can rely on what it says */
	char name[NAME_MAX_BYTES + 1];
};

uint64_t qcow2_bitmap_entries(const struct qcow2_header *h, unsigned bits)
{
	uint64_t n = div_round_up(h->size, 1ull << bits);

	return div_round_up(div_round_up(n, 64) * 8, 1ull << h->cluster_bits);
}

bool qcow2_bitmap_entry_is_valid(const struct qcow2_header *h, uint64_t entry)
{
	uint64_t off = entry & TABLE_OFFSET;

	return !(entry & ~TABLE_OFFSET & ~TABLE_ALL_ONES) &&
	       is_aligned(off, 1ull << h->cluster_bits) &&
	       !(off && (entry & TABLE_ALL_ONES));
}

/* What is in use need not fit the disk: nobody reads it. */
static bool bitmap_is_valid(const struct qcow2_header *h, const uint8_t *head,
			    const struct entry *e)
{
	return e->table_offset && e->table_size &&
	       is_aligned(e->table_offset, 1ull << h->cluster_bits) &&
	       e->table_offset <= FILE_BYTES_MAX &&
	       e->table_size * 8ull <= FILE_BYTES_MAX - e->table_offset &&
	       e->table_size <= DATA_MAX >> h->cluster_bits &&
	       !(get_be32(head + 12) & ~FLAGS_KNOWN) && !get_be32(head + 20) &&
	       head[16] == TYPE_DIRTY && e->granularity >= GRANULARITY_MIN &&
	       e->granularity <= GRANULARITY_MAX && e->name_len &&
	       e->name_len <= NAME_MAX_BYTES &&
	       (e->in_use || e->table_size ==
			     qcow2_bitmap_entries(h, e->granularity));
}

/* The entry at *at of the directory, and *at moved behind it. */
static int bitmap_read_entry(struct file *file, const struct qcow2_header *h,
			     uint64_t *at, struct entry *e)
{
	uint64_t start = h->bitmap_dir_offset + *at;
	uint64_t left = h->bitmap_dir_size - *at, len;
	uint8_t head[ENTRY_HEAD];
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
	len = align_up((uint64_t)ENTRY_HEAD + e->name_len, 8);
	if (!bitmap_is_valid(h, head, e) || len > left)
		return -EINVAL;
	rc = file_read(file, start + ENTRY_HEAD, e->name, e->name_len);
	e->name[e->name_len] = '\0';
	*at += len;
	return rc || strlen(e->name) == e->name_len ? rc : -EINVAL;
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
	const struct qcow2_header *h;
	int (*fn)(void *arg, uint64_t off, uint64_t len); /* NULL: only looks */
	void *arg;
	uint64_t left;			/* bytes of tables that may be read */
};

static int bitmap_tell(const struct walk *w, uint64_t off, uint64_t len)
{
	return w->fn ? w->fn(w->arg, off,
			     align_up(len, 1ull << w->h->cluster_bits)) : 0;
}

static int tell_data(const struct walk *w, uint64_t entry)
{
	uint64_t off = entry & TABLE_OFFSET;

	if (!qcow2_bitmap_entry_is_valid(w->h, entry))
		return -EINVAL;
	return off ? bitmap_tell(w, off, 1ull << w->h->cluster_bits) : 0;
}

static int tell_table(void *arg, const struct entry *e)
{
	struct walk *w = arg;
	uint64_t bytes = e->table_size * 8ull;
	uint8_t buf[TABLE_CHUNK * 8];
	int rc;

	if (bytes > w->left)
		return -EINVAL;
	w->left -= bytes;
	rc = bitmap_tell(w, e->table_offset, bytes);
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

/* Clusters behind the end of the file are nobody's. */
static int tell_own_table(void *arg, const struct entry *e)
{
	const struct walk *w = arg;

	if (e->table_offset > w->file->size ||
	    e->table_size * 8ull > w->file->size - e->table_offset)
		return -EINVAL;
	return tell_table(arg, e);
}

/* Tables do not lie over each other. */
static uint64_t tables_max(const struct file *file)
{
	return max_u64(atomic_load(&file->size), TABLES_MAX);
}

int qcow2_bitmap_clusters(struct file *file, const struct qcow2_header *h,
			  int (*fn)(void *arg, uint64_t off, uint64_t len),
			  void *arg)
{
	struct walk w = { .file = file, .h = h, .fn = fn, .arg = arg,
			  .left = tables_max(file) };
	int rc;

	if (!h->bitmap_count)
		return 0;
	rc = bitmap_tell(&w, h->bitmap_dir_offset, h->bitmap_dir_size);
	return rc ? rc : for_each(file, h, tell_own_table, &w);
}

/* --- what is refused --- */

static int look_at_table(void *arg, const struct entry *e)
{
	return e->in_use ? 0 : tell_table(arg, e);
}

int qcow2_bitmaps_check(struct file *file, const struct qcow2_header *h,
			struct err *err)
{
	struct walk w = { .file = file, .h = h, .left = tables_max(file) };
	size_t count;
	char **names;
	int rc = qcow2_bitmap_names(file, h, &names, &count);

	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	if (!rc)
		rc = for_each(file, h, look_at_table, &w);
	if (rc == -EINVAL)
		return qcow2_refuse(file, err, "has persistent bitmaps that "
				    "are damaged, or not of its disk (blkmon "
				    "check tells more)");
	return rc ? err_sys(err, rc, "Could not read the bitmaps of '%s'",
			    file->path) : 0;
}
