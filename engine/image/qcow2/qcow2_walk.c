/* qcow2_walk.c - over all clusters that an L1 table reaches, and whether all of
 * them can be counted once more.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

static int walk_entry(struct qcow2 *q, uint64_t e, qcow2_walk_fn *fn,
		      void *arg)
{
	struct qcow2_extent x = { .first = 0, .count = 0 };
	int rc = 0;

	if (e & QCOW2_COMPRESSED)
		x = qcow2_compressed_extent(q, e);
	else if (!is_aligned(e & QCOW2_OFFSET_MASK, q->cluster))
		return qcow2_broken(q);
	else if (e & QCOW2_OFFSET_MASK)
		x = (struct qcow2_extent){
			(e & QCOW2_OFFSET_MASK) >> q->cluster_bits, 1 };
	for (uint64_t i = 0; i < x.count && !rc; i++)
		rc = fn(q, x.first + i, arg);
	return rc;
}

/* The table itself last: as long as it is counted nobody reuses it. */
static int walk_l2_table(struct qcow2 *q, uint64_t table, qcow2_walk_fn *fn,
			 void *arg)
{
	uint64_t entries = 1ull << q->l2_bits;
	struct qcow2_entry entry;
	int rc = is_aligned(table, q->cluster) ? 0 : qcow2_broken(q);

	for (uint64_t i = 0; i < entries && !rc; i++) {
		rc = qcow2_entry_get(q, table, i, &entry);
		if (!rc)
			rc = walk_entry(q, entry.e, fn, arg);
	}
	return rc ? rc : fn(q, table >> q->cluster_bits, arg);
}

int qcow2_make_room(struct qcow2 *q)
{
	if (q->cache.dirty * q->cache.unit < QCOW2_DIRTY_MAX)
		return 0;
	return qcow2_flush(q->node);
}

int qcow2_walk(struct qcow2 *q, const struct qcow2_table *l1,
	       qcow2_walk_fn *fn, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; !rc; i++) {
		uint64_t table = 0;
		bool more;

		rc = qcow2_make_room(q);
		lock_take(&q->node->meta);
		more = i < l1->count;
		if (more)
			table = l1->entry[i] & QCOW2_OFFSET_MASK;
		if (!rc && table)
			rc = walk_l2_table(q, table, fn, arg);
		lock_drop(&q->node->meta);
		if (!more)
			break;
	}
	return rc;
}

/* --- is there room in the refcounts? --- */

/* Clusters that are referenced by more than half of what can be counted, each
 * as often as the tables name it: compressed clusters share. */
struct crowd {
	uint64_t *cluster;
	size_t count, cap;
};

static int crowd_add(struct qcow2 *q, uint64_t cluster, void *arg)
{
	struct crowd *c = arg;
	uint64_t max = qcow2_refcount_max(q), count;
	int rc = qcow2_refcount_get(q, cluster, &count);
	void *p;

	if (rc || count <= max / 2)
		return rc;
	if (count >= max)
		return -EOVERFLOW;
	p = mem_try_more(c->cluster, &c->cap, c->count + 1,
			 sizeof(*c->cluster));
	if (!p)
		return -ENOMEM;
	c->cluster = p;
	c->cluster[c->count++] = cluster;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int crowd_check(struct qcow2 *q, const struct crowd *c)
{
	uint64_t max = qcow2_refcount_max(q), count = 0;
	int rc = 0;

	if (c->count)
		qsort(c->cluster, c->count, sizeof(*c->cluster), by_number);
	for (size_t i = 0; i < c->count && !rc; i++) {
		if (!i || c->cluster[i] != c->cluster[i - 1])
			rc = qcow2_refcount_get(q, c->cluster[i], &count);
		if (!rc && ++count > max)
			rc = -EOVERFLOW;
	}
	return rc;
}

int qcow2_check_room(struct qcow2 *q)
{
	struct crowd crowd = { 0 };
	int rc = qcow2_flush(q->node);

	if (rc || q->h.refcount_order > 4 ||
	    (q->h.refcount_order == 4 && !q->h.nb_snapshots))
		return rc;
	rc = qcow2_walk(q, &q->l1, crowd_add, &crowd);
	lock_take(&q->node->meta);
	if (!rc)
		rc = crowd_check(q, &crowd);
	lock_drop(&q->node->meta);
	free(crowd.cluster);
	return rc;
}
