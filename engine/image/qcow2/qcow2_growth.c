/* qcow2_growth.c - what an image's file would take of its host for clusters
 * that are not allocated yet: the places are those that the allocator would
 * find, the lowest free ones, and some of them the host has given room to
 * already.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include "engine/util/bytes.h"

struct growth {
	struct qcow2 *q;
	uint64_t at;			/* the next cluster to look at */
	uint64_t left;			/* clusters still to be placed */
	uint64_t placed;		/* byte of the file; no block below is
					   counted again */
	struct file_need need;
};

static void growth_place(struct growth *g, uint64_t first, uint64_t count)
{
	uint64_t off = first << g->q->cluster_bits;
	uint64_t end = (first + count) << g->q->cluster_bits;

	off = max_u64(off, min_u64(g->placed, end));
	file_add_missing(g->q->file, off, end - off, &g->need);
	g->placed = align_up(end, 4096);
}

static void growth_take(struct growth *g, uint64_t end)
{
	uint64_t n = min_u64(g->left, end - g->at);

	growth_place(g, g->at, n);
	g->left -= n;
	g->at = end;
}

/* No block counts these clusters yet: it takes the first of them. */
static void growth_new_block(struct growth *g)
{
	struct qcow2 *q = g->q;
	uint64_t first = align_down(g->at, 1ull << q->block_bits);

	if (first >> q->block_bits == q->rt.count) {
		growth_place(g, first, qcow2_table_growth(q));
		first += align_up(qcow2_table_growth(q), 1ull << q->block_bits);
	}
	growth_place(g, first, 1);
	g->at = max_u64(g->at, first + 1);
	growth_take(g, first + (1ull << q->block_bits));
}

static int growth_in_block(struct growth *g)
{
	uint64_t end = align_down(g->at, 1ull << g->q->block_bits) +
		       (1ull << g->q->block_bits);
	uint64_t free = g->at, count;
	int rc = 0;

	/* [free, at) is a row of free clusters. */
	for (; g->at < end && g->at - free < g->left; g->at++) {
		rc = qcow2_refcount_get(g->q, g->at, &count);
		if (rc)
			return rc;
		if (!count)
			continue;
		growth_place(g, free, g->at - free);
		g->left -= g->at - free;
		free = g->at + 1;
	}
	growth_place(g, free, g->at - free);
	g->left -= g->at - free;
	return 0;
}

/* The L1 table moves when it gets longer. */
static uint64_t growth_of_l1(const struct qcow2 *q, uint64_t size)
{
	uint64_t count = div_round_up(size, q->cluster << q->l2_bits);

	return count > q->l1.count ? div_round_up(count * 8, q->cluster) : 0;
}

static int growth_find(struct growth *g)
{
	struct qcow2 *q = g->q;
	int rc = 0;

	while (g->left && !rc) {
		uint64_t i = g->at >> q->block_bits;

		if (i < q->rt.count && q->rt.entry[i])
			rc = growth_in_block(g);
		else
			growth_new_block(g);
	}
	return rc;
}

int qcow2_growth(struct node *node, uint64_t size, uint64_t clusters,
		 struct file_need *need)
{
	struct qcow2 *q = qcow2_of(node);
	struct growth g = { .q = q };
	struct err err = ERR_INIT;
	int rc;

	lock_take(&node->meta);
	rc = qcow2_load_refcounts(q, &err) ? -EIO : 0;
	g.at = q->hint;
	g.left = clusters + growth_of_l1(q, size);
	if (!rc)
		rc = growth_find(&g);
	lock_drop(&node->meta);
	*need = g.need;
	return rc;
}
