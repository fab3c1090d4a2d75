/* qcow2_given.c - what the host would get back if an image were emptied: all
 * but the clusters that are counted more often than its own L1 table names
 * them, its other tables above all.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define GIVEN_SLICE 4096u	/* clusters that are counted at a time */
#define GIVEN_BLOCK 4096u	/* the host gets back as a whole */

struct given {
	uint32_t *named;		/* of each cluster, how often */
	uint64_t end;
	struct file_need missing;	/* of the blocks that stay */
	uint64_t stays;			/* bytes of these ... */
	uint64_t counted;		/* ... that lie before this one */
};

static int given_name(struct qcow2 *q, uint64_t cluster, void *arg)
{
	struct given *g = arg;

	(void)q;
	if (cluster < g->end)
		g->named[cluster]++;
	return 0;
}

/* The data lie in a file of their own, and the entries lead there. */
static void given_name_tables(struct qcow2 *q, struct given *g)
{
	lock_take(&q->node->meta);
	for (uint32_t i = 0; i < q->l1.count; i++)
		if (q->l1.entry[i] & QCOW2_OFFSET_MASK)
			given_name(q, (q->l1.entry[i] & QCOW2_OFFSET_MASK) >>
				   q->cluster_bits, g);
	lock_drop(&q->node->meta);
}

/* Clusters [first, end), in ascending order: a block that holds some of them,
 * however few, stays. */
static void given_stay(struct qcow2 *q, struct given *g, uint64_t first,
		       uint64_t end)
{
	uint64_t off = align_down(first << q->cluster_bits, GIVEN_BLOCK);
	uint64_t last = align_up(end << q->cluster_bits, GIVEN_BLOCK);

	off = max_u64(off, g->counted);
	if (first == end || off >= last)
		return;
	file_add_missing(q->file, off, last - off, &g->missing);
	g->stays += last - off;
	g->counted = last;
}

/* [first, end), for so long with meta held. */
static int given_count_slice(struct qcow2 *q, struct given *g, uint64_t first,
			     uint64_t end)
{
	uint64_t count;
	int rc = 0;

	lock_take(&q->node->meta);
	for (uint64_t c = first; c < end && !rc; c++) {
		rc = qcow2_refcount_get(q, c, &count);
		if (rc || count > g->named[c])
			continue;
		given_stay(q, g, first, c);
		first = c + 1;
	}
	lock_drop(&q->node->meta);
	given_stay(q, g, first, max_u64(first, end));
	return rc;
}

static int given_count(struct qcow2 *q, struct given *g)
{
	int rc = 0;

	for (uint64_t at = 0, end; at < g->end && !rc; at = end) {
		end = min_u64(at + GIVEN_SLICE, g->end);
		rc = given_count_slice(q, g, at, end);
	}
	return rc;
}

static int given_name_all(struct qcow2 *q, struct given *g)
{
	struct err err = ERR_INIT;
	int rc;

	lock_take(&q->node->meta);
	rc = qcow2_load_refcounts(q, &err) ?
	     -(err.errnum ? err.errnum : EIO) : 0;
	g->end = min_u64(div_round_up(atomic_load(&q->file->size), q->cluster),
			 (uint64_t)q->rt.count << q->block_bits);
	lock_drop(&q->node->meta);
	g->named = rc ? NULL : mem_try(g->end + 1, sizeof(*g->named));
	if (!g->named)
		return rc ? rc : -ENOMEM;
	if (!q->external)
		return qcow2_walk(q, &q->l1, given_name, g);
	given_name_tables(q, g);
	return 0;
}

int qcow2_given(struct node *node, uint64_t *bytes)
{
	struct qcow2 *q = qcow2_of(node);
	struct given g = { .named = NULL };
	uint64_t has = file_disk_bytes(q->file), stays;
	int rc = given_name_all(q, &g);

	if (!rc)
		rc = given_count(q, &g);
	free(g.named);
	stays = g.stays - min_u64(g.stays, file_need(q->file, &g.missing));
	*bytes = rc ? 0 : has - min_u64(has, stays);
	if (!rc && q->external)
		*bytes += file_disk_bytes(q->data);
	return rc;
}
