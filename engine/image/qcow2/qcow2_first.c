/* qcow2_first.c - what has to be durable before an image changes for the first
 * time: whatever was promised to hold only for what is in it now is taken back
 * (autoclear bits). Persistent bitmaps go, and the clusters that were theirs
 * alone (docs/decisions/0004).
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

static int add_extent(void *arg, uint64_t off, uint64_t len)
{
	struct qcow2_extents *e = arg;

	if (!is_aligned(off, 512) || off + len > QCOW2_OFFSET_MAX)
		return -EIO;
	qcow2_extents_add(e, off, len);
	return 0;
}

/* Lets go of what the bitmaps own. They are not kept up to date here, and
 * with the autoclear bit gone nobody reads them any more. If their tables
 * can't be read, or name what is not theirs, their clusters are leaked. */
static void drop_bitmaps(struct qcow2 *q, const struct qcow2_extents *e)
{
	lock_take(&q->node->meta);
	for (size_t i = 0; i < e->count; i++) {
		uint64_t first = e->v[i].first >> q->cluster_bits;
		uint64_t end = div_round_up(e->v[i].first + e->v[i].count,
					    q->cluster);

		qcow2_free_later(q, first, end - first);
	}
	lock_drop(&q->node->meta);
}

/* --- what a damaged table of bitmaps may name --- */

static int first_by_offset(const void *a, const void *b)
{
	const struct qcow2_extent *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Bytes, sorted; -EEXIST ends the walk. */
static int is_bitmaps(struct qcow2 *q, uint64_t cluster, void *arg)
{
	const struct qcow2_extents *e = arg;
	uint64_t at = cluster << q->cluster_bits;
	size_t low = 0, high = e->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (e->v[middle].first <= at)
			low = middle;
		else
			high = middle;
	}
	return high && e->v[low].first <= at &&
	       at < e->v[low].first + e->v[low].count ? -EEXIST : 0;
}

static int tables_walk(struct qcow2 *q, uint64_t host, uint64_t bytes,
		       struct qcow2_extents *e)
{
	int rc = 0;

	for (uint64_t at = 0; at < bytes && !rc; at += q->cluster)
		rc = is_bitmaps(q, (host + at) >> q->cluster_bits, e);
	return rc;
}

/* The tables that are there once. */
static int walk_tables(struct qcow2 *q, struct qcow2_extents *e)
{
	int rc = tables_walk(q, q->h.l1_offset, q->l1.count * 8ull, e);

	if (!rc)
		rc = tables_walk(q, q->h.rt_offset, q->rt.count * 8ull, e);
	for (uint32_t i = 0; i < q->rt.count && !rc; i++)
		if (q->rt.entry[i])
			rc = tables_walk(q, q->rt.entry[i], 1, e);
	return rc;
}

/* Is each of these clusters named once, and counted so? */
static bool are_single(struct qcow2 *q, const struct qcow2_extents *e)
{
	uint64_t end = q->cluster, count;
	bool good = true;

	for (size_t i = 0; i < e->count && good; i++) {
		uint64_t at = align_down(e->v[i].first, q->cluster);

		good = at >= end;
		end = align_up(e->v[i].first + e->v[i].count, q->cluster);
		for (; at < end && good; at += q->cluster)
			good = !qcow2_refcount_get(q, at >> q->cluster_bits,
						   &count) && count == 1;
	}
	return good;
}

static int first_walk_snapshots(struct qcow2 *q, struct qcow2_extents *e)
{
	struct err ignored = ERR_INIT;
	struct qcow2_snapshot *s;
	uint64_t bytes;
	int rc = qcow2_snapshots_read(q->file, &q->h, &s, &bytes, &ignored);

	if (!rc)
		rc = tables_walk(q, q->h.snapshots_offset, bytes, e);
	for (uint32_t i = 0; !rc && i < q->h.nb_snapshots; i++) {
		struct qcow2_table l1;

		rc = tables_walk(q, s[i].l1_offset, s[i].l1_size * 8ull, e);
		if (rc)
			break;
		rc = qcow2_table_read(q->file, &l1, s[i].l1_offset,
				      s[i].l1_size);
		if (!rc)
			rc = qcow2_walk(q, &l1, is_bitmaps, e);
		qcow2_table_release(&l1);
	}
	if (s)
		qcow2_snapshots_free(s, q->h.nb_snapshots);
	return rc;
}

/* Do these clusters belong to the bitmaps alone? A damaged table names what
 * belongs to the guest, and that must not be let go of. */
static bool are_bitmaps_own(struct qcow2 *q, struct qcow2_extents *e)
{
	bool good;

	if (e->count)
		qsort(e->v, e->count, sizeof(*e->v), first_by_offset);
	lock_take(&q->node->meta);
	good = are_single(q, e) && !walk_tables(q, e);
	lock_drop(&q->node->meta);
	/* an external file's clusters are others */
	if (q->external || !good)
		return good;
	return !qcow2_walk(q, &q->l1, is_bitmaps, e) &&
	       !first_walk_snapshots(q, e);
}

static void say_dropped(struct qcow2 *q)
{
	struct event ev = { .type = EVENT_NOTICE };
	struct str safe = STR_INIT;

	str_add_safe(&safe, q->file->path);
	snprintf(ev.text, sizeof(ev.text), "'%s' is about to change: its "
		 "persistent bitmaps are dropped", str_get(&safe));
	str_release(&safe);
	node_tell(q->node, &ev);
}

static int clear_autoclear(struct qcow2 *q, uint64_t keep)
{
	struct qcow2_extents bitmaps = { 0 };
	struct qcow2_header h = q->h;
	bool known = !qcow2_bitmap_clusters(q->file, &q->h, add_extent,
					    &bitmaps);
	int rc;

	if (h.bitmap_count)
		say_dropped(q);
	h.autoclear &= keep;
	rc = qcow2_header_write_fields(q->file, &h);
	if (!rc) {
		q->h.autoclear = h.autoclear;
		if (known && are_bitmaps_own(q, &bitmaps))
			drop_bitmaps(q, &bitmaps);
		q->h.bitmap_count = 0;
	}
	free(bitmaps.v);
	return rc;
}

int qcow2_first_change(struct qcow2 *q)
{
	uint64_t keep = q->external ? QCOW2_AUTOCLEAR_RAW_DATA : 0;
	int rc = 0;

	if (atomic_load(&q->corrupt))
		return -EIO;
	if (!atomic_load(&q->untouched))
		return 0;
	qcow2_sync_lock(q);
	if (atomic_load(&q->untouched) && (q->h.autoclear & ~keep))
		rc = clear_autoclear(q, keep);
	if (!rc)
		atomic_store(&q->untouched, false);
	qcow2_sync_unlock(q);
	return rc;
}
