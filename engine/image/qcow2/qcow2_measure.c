/* qcow2_measure.c - how large a file is going to be, and how much of one is
 * there. Of tables alone.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

/* --- how large --- */

/* Clusters of the refcount table and its blocks, for @others and themselves:
 * each round counts what the one before has added. */
static uint64_t refcount_clusters(const struct qcow2_shape *s, uint64_t others)
{
	uint64_t per_block = (8ull << s->cluster_bits) >> s->refcount_order;
	uint64_t per_table = (1ull << s->cluster_bits) / 8;
	uint64_t sum = 0, before, blocks;

	do {
		before = sum;
		blocks = div_round_up(others + before, per_block);
		sum = blocks + div_round_up(blocks, per_table);
	} while (sum != before);
	return sum;
}

uint64_t qcow2_full_bytes(const struct qcow2_shape *s)
{
	uint64_t cluster = 1ull << s->cluster_bits;
	uint64_t guest = div_round_up(s->size, cluster);
	uint64_t l2 = div_round_up(guest, cluster / (s->extended ? 16 : 8));
	uint64_t l1 = div_round_up(l2, cluster / 8);
	uint64_t sum = 1 + l1 + l2 + guest;

	if (l2 > QCOW2_L1_MAX / 8)
		return 0;
	return (sum + refcount_clusters(s, sum)) << s->cluster_bits;
}

int qcow2_node_bitmap_bytes(struct node *node, uint64_t cluster,
			    uint64_t *bytes)
{
	struct qcow2 *q;

	if (node->drv != &driver_qcow2 || qcow2_of(node)->h.version < 3)
		return -ENOTSUP;
	q = qcow2_of(node);
	return qcow2_bitmap_bytes(q->file, &q->h, node->size, cluster, bytes);
}

/* --- how much is there --- */

enum { HOLLOW_UNKNOWN, HOLLOW_NO, HOLLOW_YES };

/* Adds up the clusters of the file that one block counts as used, until they
 * are enough. */
static int hollow_block(struct qcow2 *q, uint64_t block, uint64_t clusters,
		       uint64_t enough, uint8_t *buf, uint64_t *used)
{
	int rc = file_read(q->file, block, buf, q->cluster);

	for (uint64_t i = 0; !rc && i < clusters && *used < enough; i++)
		*used += !!qcow2_count_get(buf, q->h.refcount_order, i);
	return rc;
}

/* Does the file have @enough used clusters? What can't be read says no. */
static bool has_used(struct qcow2 *q, uint64_t enough)
{
	uint64_t end = div_round_up(q->file->size, q->cluster);
	uint64_t blocks = (q->h.rt_clusters << q->cluster_bits) / 8;
	uint8_t *buf = buf_new(q->cluster);
	struct qcow2_table rt = { 0 };
	uint64_t used = 0, first, block;
	int rc = buf ? qcow2_table_read(q->file, &rt, q->h.rt_offset,
					(uint32_t)blocks) : -ENOMEM;

	for (uint32_t i = 0; !rc && i < rt.count && used < enough; i++) {
		first = (uint64_t)i << q->block_bits;
		block = rt.entry[i] & QCOW2_OFFSET_MASK;
		if (first >= end)
			break;
		if (block)
			rc = hollow_block(q, block, min_u64(end - first,
					 1ull << q->block_bits), enough, buf,
					 &used);
	}
	qcow2_table_release(&rt);
	free(buf);
	return !rc && used >= enough;
}

/* QEMU's measure, so that both say the same of an image. */
bool qcow2_hollow(struct node *node)
{
	struct qcow2 *q = qcow2_of(node);
	int hollow = atomic_load(&q->hollow);
	uint64_t there, enough;

	if (hollow)
		return hollow == HOLLOW_YES;
	there = file_disk_bytes(q->file) / q->cluster;
	enough = max_u64(there * 10 / 9, there + 2);
	hollow = enough <= div_round_up(q->file->size, q->cluster) &&
		 has_used(q, enough) ? HOLLOW_YES : HOLLOW_NO;
	atomic_store(&q->hollow, hollow);
	return hollow == HOLLOW_YES;
}
