/* qcow2_check_rebuild.c - the refcount structure made anew. See qcow2_check.h.
 *
 * What is new lies behind the end of the file: the table of snapshots (where
 * its entries are incomplete), the refcount blocks, the refcount table. One
 * write of the header's sector switches to all of it; until then the image is
 * what it was. What damaged entries name behind the end keeps reading as
 * zeroes: the new part lies behind that too, and the file grows over it.
 *
 * A block device does not grow: there it lies behind all that is in use.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define ENTRIES_MAX (QCOW2_RT_MAX / 8)
#define TURNS 16	/* of looking for a place */

struct check_plan {
	uint64_t *rt;			/* ENTRIES_MAX of the new table */
	uint64_t start;			/* cluster: of the snapshots' table, */
	uint64_t snap, blocks, table;	/* and clusters of each part */
	uint64_t snap_bytes;
};

static uint64_t plan_clusters(const struct check_plan *p)
{
	return p->snap + p->blocks + p->table;
}

static int too_large(struct check *c)
{
	return check_fail(c, -EFBIG, "The refcounts of '%s' have no place "
			  "in one table", c->file->path);
}

/* Marks the blocks that the window needs. */
static int note_blocks(struct check *c)
{
	uint64_t first = c->first >> c->block_bits;

	for (uint64_t i = 0; i < c->window >> c->block_bits; i++) {
		if (!c->touched[i])
			continue;
		if (first + i >= ENTRIES_MAX)
			return too_large(c);
		c->plan->rt[first + i] = 1;
	}
	return 0;
}

/* Marks the blocks that count the new part itself. */
static bool note_self(const struct check *c, struct check_plan *p)
{
	uint64_t last = p->start + plan_clusters(p);

	if (last >> c->block_bits >= ENTRIES_MAX)
		return false;
	for (uint64_t k = p->start; k < last; k++)
		p->rt[k >> c->block_bits] = 1;
	return true;
}

/* How large the parts are; they count themselves. */
static int lay_out(struct check *c)
{
	struct check_plan *p = c->plan;
	uint64_t before;

	p->blocks = p->table = 0;
	do {
		uint64_t entries = 0;

		before = plan_clusters(p);
		if (!note_self(c, p))
			return too_large(c);
		p->blocks = 0;
		for (uint64_t i = 0; i < ENTRIES_MAX; i++) {
			if (!p->rt[i])
				continue;
			p->blocks++;
			entries = i + 1;
		}
		p->table = max_u64(div_round_up(entries * 8, c->cluster), 1);
	} while (plan_clusters(p) != before);
	return 0;
}

/* Clusters behind the end that may be wanted. */
static uint64_t clusters_at_most(const struct check *c)
{
	return c->plan->snap + (QCOW2_RT_MAX >> c->cluster_bits) +
		2 * (c->end >> c->cluster_bits >> c->block_bits) + 64;
}

static int place_on_device(struct check *c)
{
	struct check_plan *p = c->plan;
	uint64_t size = atomic_load(&c->file->size);

	c->end = size;
	if (check_windows(c, note_blocks))
		return -1;
	p->start = c->top;
	if (lay_out(c))
		return -1;
	if (p->start + plan_clusters(p) <= size >> c->cluster_bits)
		return 0;
	return check_fail(c, -ENOSPC, "'%s' has no place for new refcounts",
			  c->file->path);
}

/* Moves the end of the file (not yet on disk) until nothing is named in the
 * place behind it. */
static int place_behind_end(struct check *c)
{
	struct check_plan *p = c->plan;

	c->end = align_up(atomic_load(&c->file->size), c->cluster);
	for (int turn = 0; turn < TURNS; turn++) {
		memset(p->rt, 0, ENTRIES_MAX * sizeof(*p->rt));
		c->hit = 0;
		c->watch_end = c->end + (clusters_at_most(c) <<
					 c->cluster_bits);
		if (check_windows(c, note_blocks))
			return -1;
		p->start = c->clusters;
		if (lay_out(c))
			return -1;
		if (!c->hit && p->start << c->cluster_bits == c->end &&
		    plan_clusters(p) <= clusters_at_most(c))
			return 0;
		c->end = max_u64(align_up(c->hit, c->cluster),
				 p->start << c->cluster_bits);
		if (c->end >> c->cluster_bits > CHECK_CLUSTERS_MAX)
			break;
	}
	return check_fail(c, -EFBIG, "'%s' names so much behind its end that "
			  "there is no place for new refcounts",
			  c->file->path);
}

/* --- writing --- */

static uint64_t count_of(const struct check *c, uint64_t cluster)
{
	const struct check_plan *p = c->plan;

	if (cluster >= p->start)
		return cluster < p->start + plan_clusters(p);
	return check_needed(c, cluster);
}

static int rebuild_write_block(struct check *c, uint64_t block)
{
	uint64_t k = block << c->block_bits, n = 1ull << c->block_bits;
	int rc;

	memset(c->l2_buf, 0, c->cluster);
	for (uint64_t i = 0; i < n; i++, k++)
		qcow2_count_set(c->l2_buf, c->h.refcount_order, i,
				count_of(c, k));
	rc = file_write(c->file, c->plan->rt[block], c->l2_buf, c->cluster);
	return rc ? check_fail(c, rc, "Could not write new refcounts of '%s'",
			       c->file->path) : 0;
}

static int write_blocks(struct check *c, uint64_t from, uint64_t to)
{
	for (uint64_t b = from; b < to && b < ENTRIES_MAX; b++)
		if (c->plan->rt[b] && rebuild_write_block(c, b))
			return -1;
	return 0;
}

static int write_window(struct check *c)
{
	return write_blocks(c, c->first >> c->block_bits,
			    (c->first + c->window) >> c->block_bits);
}

static void number_blocks(struct check *c)
{
	uint64_t next = c->plan->start + c->plan->snap;

	for (uint64_t i = 0; i < ENTRIES_MAX; i++)
		if (c->plan->rt[i])
			c->plan->rt[i] = next++ << c->cluster_bits;
}

static int write_snapshots(struct check *c)
{
	struct check_plan *p = c->plan;
	uint8_t *buf;
	uint64_t size;
	int rc = -ENOMEM;

	if (!p->snap)
		return 0;
	buf = mem_try(p->snap, c->cluster);
	if (buf)
		rc = check_snapshots_write(c, buf, &size);
	if (!rc)
		rc = file_write(c->file, p->start << c->cluster_bits, buf,
				p->snap << c->cluster_bits);
	free(buf);
	return rc;
}

static int rebuild_write_table(struct check *c)
{
	struct check_plan *p = c->plan;
	uint64_t bytes = p->table << c->cluster_bits;
	uint8_t *buf = mem_try(1, bytes);
	int rc = buf ? 0 : -ENOMEM;

	for (uint64_t i = 0; buf && i < bytes / 8 && i < ENTRIES_MAX; i++)
		put_be64(buf + i * 8, p->rt[i]);
	if (!rc)
		rc = file_write(c->file, (p->start + p->snap + p->blocks) <<
				c->cluster_bits, buf, bytes);
	free(buf);
	return rc;
}

/* Flushes what was written, and the header. */
static int rebuild_switch_header(struct check *c)
{
	struct check_plan *p = c->plan;
	struct qcow2_header h = c->h;
	int rc;

	h.rt_offset = (p->start + p->snap + p->blocks) << c->cluster_bits;
	h.rt_clusters = (uint32_t)p->table;
	if (p->snap)
		h.snapshots_offset = p->start << c->cluster_bits;
	rc = qcow2_header_write_fields(c->file, &h);
	if (!rc)
		c->h = h;
	return rc;
}

static int rebuild_write_all(struct check *c)
{
	uint64_t written;
	int rc;

	number_blocks(c);
	if (check_windows(c, write_window))
		return -1;
	written = c->first >> c->block_bits;
	if (write_blocks(c, written, ENTRIES_MAX))
		return -1;
	rc = write_snapshots(c);
	if (!rc)
		rc = rebuild_write_table(c);
	if (!rc)
		rc = rebuild_switch_header(c);
	return rc ? check_fail(c, rc, "Could not write new refcounts of '%s'",
			       c->file->path) : 0;
}

int check_rebuild(struct check *c)
{
	struct check_plan p = { .rt = mem_try(ENTRIES_MAX, sizeof(*p.rt)) };
	bool snapshots = c->short_snapshots || c->long_snapshots;
	int rc;

	if (!p.rt)
		return check_fail(c, -ENOMEM, "Could not make new refcounts "
				  "of '%s'", c->file->path);
	if (snapshots)
		(void)check_snapshots_write(c, NULL, &p.snap_bytes);
	p.snap = div_round_up(p.snap_bytes, c->cluster);
	c->plan = &p;
	c->quiet = c->anew = true;
	c->replace = snapshots;
	rc = c->file->block_device ? place_on_device(c) :
		place_behind_end(c);
	if (!rc)
		rc = rebuild_write_all(c);
	c->quiet = c->anew = c->replace = false;
	c->watch_end = 0;
	c->plan = NULL;
	free(p.rt);
	return rc;
}
