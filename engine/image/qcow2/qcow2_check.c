/* qcow2_check.c - an image compared with itself, and mended. See
 * qcow2_check.h.
 *
 * Mending goes in the order that survives a power cut: entries that lose a
 * place -> flush -> refcounts -> flush -> flags that follow from refcounts ->
 * flush -> the header's bits. Then all is looked at again.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define AUTOCLEAR_KNOWN (QCOW2_AUTOCLEAR_BITMAPS | QCOW2_AUTOCLEAR_RAW_DATA)

/* --- looking --- */

static void forget_findings(struct check *c)
{
	c->r = (struct check_report){
		.total_clusters = div_round_up(c->h.size, c->cluster),
	};
	c->outside = c->rebuild = c->odd_zeroes = false;
	c->highest = 0;
}

static int check_look(struct check *c)
{
	forget_findings(c);
	c->end = align_up(atomic_load(&c->file->size), CHECK_SECTOR);
	if (div_round_up(c->end, c->cluster) > CHECK_CLUSTERS_MAX)
		return check_fail(c, -EFBIG, "'%s' has too many clusters to be "
				  "checked", c->file->path);
	check_budget(c);
	if (check_load_table(c) || check_snapshots_read(c) ||
	    check_bitmaps_load(c) || check_windows(c, check_compare))
		return -1;
	c->r.corruptions += c->short_snapshots + c->long_snapshots;
	c->in_tables = c->r.corruptions;
	if (check_flags(c))
		return -1;
	c->r.image_end = (c->highest + 1) << c->cluster_bits;
	return 0;
}

/* --- mending --- */

static int check_flush(struct check *c)
{
	int rc = file_flush(c->file);

	return rc ? check_fail(c, rc, "Could not flush '%s'", c->file->path) :
		0;
}

/* All walks that change what is on disk. In an image whose tables are damaged
 * a leak may be data that a table no longer names: the host keeps it. */
static int walk_and(struct check *c, int (*fn)(struct check *c))
{
	int rc;

	c->quiet = true;
	c->end = align_up(atomic_load(&c->file->size), CHECK_SECTOR);
	rc = check_windows(c, fn);
	c->quiet = false;
	if (rc || check_flush(c))
		return -1;
	if (!c->in_tables && !c->r.check_errors)
		check_give_back(c);
	c->freed_count = 0;
	return 0;
}

/* What must be durable before the first change, and after the last. */
static int check_write_header(struct check *c, uint64_t incompatible,
			      uint32_t nb_snapshots, bool changed)
{
	struct qcow2_header h = c->h;
	int rc;

	h.autoclear &= AUTOCLEAR_KNOWN;
	if (!h.bitmap_count)
		h.autoclear &= ~QCOW2_AUTOCLEAR_BITMAPS;
	h.incompatible = incompatible;
	h.nb_snapshots = nb_snapshots;
	if (!changed && h.autoclear == c->h.autoclear &&
	    h.incompatible == c->h.incompatible &&
	    h.nb_snapshots == c->h.nb_snapshots)
		return 0;
	rc = qcow2_header_write_fields(c->file, &h);
	if (rc)
		return check_fail(c, rc, "Could not write the header of '%s'",
				  c->file->path);
	c->h = h;
	return 0;
}

static int write_bits(struct check *c, uint64_t incompatible)
{
	return check_write_header(c, incompatible, c->h.nb_snapshots, false);
}

/* Where the header itself would be the table of snapshots there is none; and
 * without snapshots it does not matter where their table would be. */
static int mend_no_table(struct check *c)
{
	uint64_t at = c->h.snapshots_offset;
	bool lost = !c->h.nb_snapshots && (!is_aligned(at, c->cluster) ||
					   at > INT64_MAX);

	if (!lost && (!c->h.nb_snapshots || at))
		return 0;
	check_say(c, "Repairing the header: %u snapshots, their table at "
		  "0x%llx", c->h.nb_snapshots, (unsigned long long)at);
	c->h.snapshots_offset = 0;
	c->others_fixed++;
	return check_write_header(c, c->h.incompatible, 0, lost);
}

/* More than anybody can read are none. */
static int mend_many_snapshots(struct check *c)
{
	uint32_t n = c->h.nb_snapshots;

	if (n <= CHECK_SNAPSHOTS_MAX || c->o->fix != CHECK_FIX_ALL)
		return 0;
	n -= CHECK_SNAPSHOTS_MAX;
	check_say(c, "Discarding %u overhanging snapshots", n);
	c->others_fixed += n;
	return check_write_header(c, c->h.incompatible, CHECK_SNAPSHOTS_MAX,
				  false);
}

static int mend_zeroes(struct check *c)
{
	if (!c->odd_zeroes)
		return 0;
	return walk_and(c, check_zeroes_fix) || check_look(c) ? -1 : 0;
}

static int mend_counts(struct check *c)
{
	if (c->rebuild || c->short_snapshots || c->long_snapshots)
		return check_rebuild(c) || check_load_table(c) ? -1 : 0;
	return walk_and(c, check_correct);
}

static int mend_all(struct check *c)
{
	if (mend_counts(c) || check_snapshots_read(c))
		return -1;
	return walk_and(c, check_flags_fix);
}

/* The flags only where it is certain that the refcounts are right. */
static int mend_leaks(struct check *c)
{
	if (c->rebuild)
		return check_fail(c, -EIO, "'%s' needs new refcounts (-r all "
				  "makes them)", c->file->path);
	if (walk_and(c, check_correct))
		return -1;
	if (c->in_tables || c->r.check_errors)
		return 0;
	return walk_and(c, check_flags_fix);
}

/* Where a table lies over the header, what it names has changed with it. */
static int mend_rest(struct check *c)
{
	if (!c->r.leaks || c->rebuild)
		return 0;
	return walk_and(c, check_correct) || check_look(c) ? -1 : 0;
}

/* A table may lie over the header: then it has changed, too. */
static int begin_mending(struct check *c)
{
	uint64_t autoclear = c->h.autoclear;

	if (write_bits(c, c->h.incompatible))
		return -1;
	return c->h.autoclear != autoclear ? check_look(c) : 0;
}

/* Mends, looks again, and says in c->r what was mended and what is left. */
static int mend(struct check *c)
{
	uint64_t in_tables, leaks;
	bool all = c->o->fix == CHECK_FIX_ALL;

	c->mending = c->silent = true;
	if (begin_mending(c) || (all && mend_zeroes(c)))
		return -1;
	in_tables = c->in_tables;
	leaks = c->r.leaks;
	if ((all ? mend_all(c) : mend_leaks(c)) || check_look(c) ||
	    mend_rest(c))
		return -1;
	if (in_tables > c->in_tables)
		c->r.corruptions_fixed = in_tables - c->in_tables;
	if (leaks > c->r.leaks)
		c->r.leaks_fixed = leaks - c->r.leaks;
	return 0;
}

static int check_and_mend(struct check *c)
{
	if ((c->o->fix && mend_no_table(c)) || mend_many_snapshots(c) ||
	    check_look(c))
		return -1;
	if (!c->o->fix)
		return 0;
	if ((c->r.corruptions || c->r.leaks) && mend(c))
		return -1;
	c->r.corruptions_fixed += c->others_fixed;
	if (c->r.corruptions || c->r.check_errors)
		return 0;
	return write_bits(c, c->h.incompatible & ~(QCOW2_INCOMPAT_DIRTY |
						   QCOW2_INCOMPAT_CORRUPT));
}

/* --- the whole --- */

static void check_set_geometry(struct check *c)
{
	const struct qcow2_header *h = &c->h;
	uint64_t kept;

	c->cluster_bits = h->cluster_bits;
	c->cluster = 1ull << h->cluster_bits;
	c->block_bits = h->cluster_bits + 3 - h->refcount_order;
	c->extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	c->external = h->incompatible & QCOW2_INCOMPAT_DATA_FILE;
	c->entry_bytes = c->extended ? 16 : 8;
	c->count_max = h->refcount_order >= 5 ? CHECK_COUNT :
		(uint32_t)((1ull << (1u << h->refcount_order)) - 1);
	kept = CHECK_BLOCK_BYTES >> h->cluster_bits;
	c->stored_count = (unsigned)min_u64(max_u64(kept, 1), CHECK_BLOCKS);
}

static void check_release(struct check *c)
{
	check_stored_forget(c);
	qcow2_header_release(&c->h);
	free(c->rt);
	free(c->snap);
	free(c->count);
	free(c->touched);
	free(c->freed);
	free(c->l1_buf);
	free(c->l2_buf);
}

int qcow2_check(struct file *file, const struct check_options *o,
		struct check_report *out, struct err *err)
{
	struct check c = { .file = file, .o = o, .err = err };
	int rc = -1;

	*out = (struct check_report){ 0 };
	if (qcow2_header_read_damaged(file, &c.h, err))
		return -1;
	check_set_geometry(&c);
	if (c.external && !c.h.data_file_name) {
		qcow2_header_release(&c.h);
		return err_set(err, ERR_GENERIC, "'data-file' is required for "
			       "this image ('%s')", file->path);
	}
	c.l1_buf = buf_new(c.cluster);
	c.l2_buf = buf_new(c.cluster);
	if (c.l1_buf && c.l2_buf)
		rc = check_and_mend(&c);
	else
		check_fail(&c, -ENOMEM, "Could not check '%s'", file->path);
	*out = c.r;
	check_release(&c);
	return rc;
}
