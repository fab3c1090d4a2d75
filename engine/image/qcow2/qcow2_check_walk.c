/* qcow2_check_walk.c - over all tables of an image that may be damaged. See
 * qcow2_check.h.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <inttypes.h>

#include "engine/util/bytes.h"

/* --- L2 --- */

enum check_kind check_kind(const struct check *c, uint64_t e)
{
	if (e & QCOW2_COMPRESSED)
		return CHECK_COMPRESSED;
	if (e & QCOW2_ZERO && !c->extended)
		return e & QCOW2_OFFSET_MASK ? CHECK_ZERO_PLACE :
			CHECK_PLAIN_ZERO;
	if (e & QCOW2_OFFSET_MASK || (c->external && e & QCOW2_COPIED))
		return CHECK_NORMAL;
	return CHECK_UNALLOCATED;
}

static uint64_t bitmap_of(const struct check *c, const uint8_t *entry)
{
	return c->extended ? get_be64(entry + 8) : 0;
}

bool check_is_odd_zero(const struct check *c, const uint8_t *entry)
{
	uint64_t e = get_be64(entry);
	enum check_kind kind = check_kind(c, e);

	if ((kind != CHECK_NORMAL && kind != CHECK_ZERO_PLACE) ||
	    is_aligned(e & QCOW2_OFFSET_MASK, c->cluster))
		return false;
	return c->extended ? !(bitmap_of(c, entry) & CHECK_BITMAP_LOW) :
		e & QCOW2_ZERO;
}

static void count_compressed(struct check *c, uint32_t i, uint64_t e,
			     uint64_t bitmap, bool active)
{
	unsigned x = 62 - (c->cluster_bits - 8);
	uint64_t off = e & ((1ull << x) - 1);
	uint64_t sectors = ((e & (QCOW2_COMPRESSED - 1)) >> x) + 1;

	if (e & QCOW2_COPIED)
		check_corrupt(c, "ERROR: coffset=0x%" PRIx64 ": copied flag "
			      "must never be set for compressed clusters",
			      off);
	if (c->external || bitmap) {
		check_corrupt(c, "ERROR compressed cluster %u with %s, "
			      "entry=0x%" PRIx64, i, c->external ? "data file"
			      : "non-zero subcluster allocation bitmap",
			      (uint64_t)(e & ~QCOW2_COPIED));
		return;
	}
	check_count(c, off, sectors * 512 - (off & 511), CHECK_DATA);
	if (!active || c->again || c->quiet)
		return;
	c->r.allocated_clusters++;
	c->r.compressed_clusters++;
	c->r.fragmented_clusters++;
}

static void chkwalk_check_place(struct check *c, const uint8_t *entry,
				uint64_t off, uint64_t bitmap)
{
	if (bitmap >> 32 & bitmap)
		check_corrupt(c, "ERROR offset=%" PRIx64 ": Allocated cluster "
			      "has corrupted subcluster allocation bitmap",
			      off);
	if (is_aligned(off, c->cluster))
		return;
	if (check_is_odd_zero(c, entry)) {
		c->odd_zeroes = true;
		check_corrupt(c, "ERROR offset=%" PRIx64 ": Preallocated "
			      "cluster is not properly aligned; L2 entry "
			      "corrupted.", off);
		return;
	}
	check_corrupt(c, "ERROR offset=%" PRIx64 ": Data cluster is not "
		      "properly aligned; L2 entry corrupted.", off);
}

/* @next: where the cluster would lie that continues the one before, or 0. */
static void count_place(struct check *c, const uint8_t *entry, bool active,
			uint64_t *next)
{
	uint64_t off = get_be64(entry) & QCOW2_OFFSET_MASK;

	chkwalk_check_place(c, entry, off, bitmap_of(c, entry));
	if (active && !c->again && !c->quiet) {
		c->r.allocated_clusters++;
		if (*next && off != *next)
			c->r.fragmented_clusters++;
		*next = off + c->cluster;
	}
	if (!c->external)
		check_count(c, off, c->cluster, check_is_odd_zero(c, entry) ?
			    CHECK_NOWHERE : CHECK_DATA);
}

static void count_entry(struct check *c, uint32_t i, const uint8_t *entry,
			bool active, uint64_t *next)
{
	uint64_t e = get_be64(entry), bitmap = bitmap_of(c, entry);
	enum check_kind kind = check_kind(c, e);

	if (kind != CHECK_COMPRESSED && e & CHECK_L2_RESERVED)
		check_corrupt(c, "ERROR found l2 entry with reserved bits set: "
			      "%" PRIx64, e);
	if (kind == CHECK_COMPRESSED)
		count_compressed(c, i, e, bitmap, active);
	else if (kind == CHECK_NORMAL || kind == CHECK_ZERO_PLACE)
		count_place(c, entry, active, next);
	else if (kind == CHECK_UNALLOCATED && bitmap & CHECK_BITMAP_LOW)
		check_corrupt(c, "ERROR: Unallocated cluster has non-zero "
			      "subcluster allocation map");
}

/* A table behind the end of the file is empty. */
static int walk_l2(struct check *c, uint64_t table, bool active)
{
	uint64_t next = 0;
	uint32_t i = 0;

	if (table >= atomic_load(&c->file->size))
		return 0;
	if (check_read(c, table, c->l2_buf, c->cluster))
		return -1;
	for (uint64_t k = 0; k < c->cluster; k += c->entry_bytes)
		count_entry(c, i++, c->l2_buf + k, active, &next);
	return 0;
}

/* --- L1 --- */

static int count_l1_entry(struct check *c, uint32_t i, uint64_t e, bool active)
{
	uint64_t table = e & QCOW2_OFFSET_MASK;

	(void)i;
	if (e & CHECK_L1_RESERVED)
		check_corrupt(c, "ERROR found L1 entry with reserved bits set: "
			      "%" PRIx64, e);
	check_count(c, table, c->cluster, CHECK_L2);
	if (!is_aligned(table, c->cluster))
		check_corrupt(c, "ERROR l2_offset=%" PRIx64 ": Table is not "
			      "cluster aligned; L1 entry corrupted", table);
	return walk_l2(c, table, active);
}

int check_each_l1(struct check *c, uint64_t l1_offset, uint32_t l1_size,
		  int (*fn)(struct check *c, uint32_t i, uint64_t entry,
			    bool active), bool active)
{
	uint64_t per = c->cluster / 8;

	for (uint64_t i = 0; i < l1_size; i += per) {
		uint64_t n = min_u64(l1_size - i, per);

		if (check_read(c, l1_offset + i * 8, c->l1_buf, n * 8))
			return -1;
		for (uint64_t k = 0; k < n; k++) {
			uint64_t e = get_be64(c->l1_buf + k * 8);

			if (e && fn(c, (uint32_t)(i + k), e, active))
				return -1;
		}
	}
	return 0;
}

static int walk_l1(struct check *c, uint64_t offset, uint32_t size,
		   bool active)
{
	if (!size)
		return 0;
	if (offset > INT64_MAX - size * 8ull)
		return check_fail(c, -EIO, "Could not read an L1 table of '%s'",
				  c->file->path);
	check_count(c, offset, size * 8ull, CHECK_META);
	return check_each_l1(c, offset, size, count_l1_entry, active);
}

/* --- what else there is --- */

static int walk_snapshot(struct check *c, uint32_t i)
{
	const struct check_snapshot *s = &c->snap[i];

	if (!is_aligned(s->l1_offset, c->cluster)) {
		check_corrupt(c, "ERROR snapshot %u l1_offset=0x%" PRIx64 ": "
			      "L1 table is not cluster aligned; snapshot table "
			      "entry corrupted", i, s->l1_offset);
		return 0;
	}
	if (s->l1_size > QCOW2_L1_MAX / 8) {
		check_corrupt(c, "ERROR snapshot %u l1_size=0x%x: L1 table is "
			      "too large; snapshot table entry corrupted", i,
			      s->l1_size);
		return 0;
	}
	return walk_l1(c, s->l1_offset, s->l1_size, false);
}

static int chkwalk_walk_snapshots(struct check *c)
{
	int rc = 0;

	if (c->external && c->h.nb_snapshots)
		check_corrupt(c, "ERROR %u snapshots in image with data file",
			      c->h.nb_snapshots);
	for (uint32_t i = 0; i < c->h.nb_snapshots && !rc; i++)
		rc = walk_snapshot(c, i);
	if (!rc && !c->replace)
		check_count(c, c->h.snapshots_offset, c->snap_bytes,
			    CHECK_META);
	return rc;
}

/* In the window of the cluster only, so it is counted once. */
static void count_block(struct check *c, uint32_t i, uint64_t at)
{
	uint64_t cluster = at >> c->cluster_bits;
	bool again = c->again;

	check_count(c, at, c->cluster, CHECK_BLOCK);
	if (!check_in_window(c, cluster) || check_refs(c, cluster) == 1)
		return;
	c->again = false;
	check_corrupt(c, "ERROR refcount block %u refcount=%u", i,
		      check_refs(c, cluster));
	c->rebuild = true;
	c->again = again;
}

/* Without refcounts on disk there may still be none that are missing, so a
 * block that is outside is no reason to build all anew if only leaks are to
 * be mended. */
static bool block_is_lost(struct check *c, uint32_t i, uint64_t at)
{
	if (c->rt[i] & CHECK_RT_RESERVED) {
		check_corrupt(c, "ERROR refcount table entry %u has reserved "
			      "bits set", i);
		return true;
	}
	if (!is_aligned(at, c->cluster)) {
		check_corrupt(c, "ERROR refcount block %u is not cluster "
			      "aligned; refcount table entry corrupted", i);
		return true;
	}
	if (at >> c->cluster_bits < c->clusters)
		return false;
	check_corrupt(c, "ERROR refcount block %u is outside image", i);
	return c->o->fix == CHECK_FIX_ALL;
}

static void walk_blocks(struct check *c)
{
	for (uint32_t i = 0; i < c->rt_count; i++) {
		uint64_t at = c->rt[i] & ~CHECK_RT_RESERVED;

		if (!c->rt[i])
			continue;
		if (block_is_lost(c, i, at))
			c->rebuild = true;
		else if (at && at >> c->cluster_bits < c->clusters)
			count_block(c, i, at);
	}
}

int check_walk(struct check *c)
{
	check_count(c, 0, c->cluster, CHECK_META);
	if (c->h.l1_size && walk_l1(c, c->h.l1_offset, c->h.l1_size, true))
		return -1;
	if (chkwalk_walk_snapshots(c))
		return -1;
	if (!c->anew)
		check_count(c, c->h.rt_offset, c->rt_count * 8ull, CHECK_META);
	if (check_bitmaps_walk(c))
		return -1;
	if (!c->anew)
		walk_blocks(c);
	return 0;
}
