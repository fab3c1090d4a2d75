/* qcow2_create.c - an empty image; see qcow2.h.
 *
 * The file is: header, refcount table, refcount blocks, L1 table. No feature
 * names are written: QEMU does without them, and there is more room to change
 * the backing file later.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define HEADER_LENGTH 112u	/* as QEMU's, with its padding */

/* All in clusters. */
struct plan {
	uint64_t cluster;	/* bytes of one */
	uint64_t per_block;	/* refcounts in a block */
	uint64_t table, blocks, l1, total;
};

static int create_check_options(const struct qcow2_create *o,
				struct qcow2_header *h)
{
	*h = (struct qcow2_header){
		.version = 3,
		.cluster_bits = o->cluster_bits ? o->cluster_bits : 16,
		.refcount_order = o->cluster_bits ? o->refcount_order : 4,
		.header_length = HEADER_LENGTH,
		.ext_end = HEADER_LENGTH,
	};
	if (h->cluster_bits < 9 || h->cluster_bits > 21 ||
	    h->refcount_order > 6)
		return -EINVAL;
	if (o->size > INT64_MAX - 511)
		return -EFBIG;
	h->size = align_up(o->size, 512);
	return qcow2_header_check_backing(h, o->backing_name,
					  o->backing_format);
}

/* Sizes all tables; the refcounts also count the blocks they lie in. */
static int make_plan(struct qcow2_header *h, struct plan *p)
{
	/* An empty disk gets an entry, too: it may grow. */
	uint64_t l1_size = max_u64(1, div_round_up(
		h->size, 1ull << (2 * h->cluster_bits - 3)));

	if (l1_size > QCOW2_L1_MAX / 8)
		return -EFBIG;
	p->cluster = 1ull << h->cluster_bits;
	p->per_block = p->cluster * 8 >> h->refcount_order;
	p->l1 = div_round_up(l1_size * 8, p->cluster);
	p->blocks = 0;
	do {
		p->blocks++;
		p->table = div_round_up(p->blocks * 8, p->cluster);
		p->total = 1 + p->table + p->blocks + p->l1;
	} while (p->blocks * p->per_block < p->total);
	h->rt_offset = p->cluster;
	h->rt_clusters = (uint32_t)p->table;
	h->l1_offset = (p->total - p->l1) * p->cluster;
	h->l1_size = (uint32_t)l1_size;
	return 0;
}

static int write_refcount_table(struct file *file, const struct plan *p)
{
	uint64_t first = (1 + p->table) * p->cluster;
	uint8_t *table = mem_try(p->table, p->cluster);
	int rc;

	if (!table)
		return -ENOMEM;
	for (uint64_t i = 0; i < p->blocks; i++)
		put_be64(table + i * 8, first + i * p->cluster);
	rc = file_write(file, p->cluster, table, p->table * p->cluster);
	free(table);
	return rc;
}

/* Entry @i of a refcount block becomes 1. */
static void set_one(uint8_t *block, uint64_t i, uint32_t order)
{
	if (order < 3)	/* entry 0 is in the low bits */
		block[i >> (3 - order)] |=
			(uint8_t)(1u << ((i << order) & 7));
	else		/* the last byte of a big-endian number */
		block[((i + 1) << (order - 3)) - 1] = 1;
}

static int write_refcount_blocks(struct file *file, const struct plan *p,
				 uint32_t order)
{
	uint64_t at = (1 + p->table) * p->cluster, left = p->total;
	int rc = 0;

	for (; !rc && left; at += p->cluster) {
		uint64_t n = min_u64(left, p->per_block);
		uint8_t *block = mem_try(1, p->cluster);

		if (!block)
			return -ENOMEM;
		for (uint64_t i = 0; i < n; i++)
			set_one(block, i, order);
		rc = file_write(file, at, block, p->cluster);
		free(block);
		left -= n;
	}
	return rc;
}

static void put_header(uint8_t *s, const struct qcow2_header *h)
{
	put_be32(s + QCOW2_AT_MAGIC, QCOW2_MAGIC);
	put_be32(s + QCOW2_AT_VERSION, h->version);
	put_be32(s + QCOW2_AT_CLUSTER_BITS, h->cluster_bits);
	put_be64(s + QCOW2_AT_SIZE, h->size);
	put_be32(s + QCOW2_AT_L1_SIZE, h->l1_size);
	put_be64(s + QCOW2_AT_L1, h->l1_offset);
	put_be64(s + QCOW2_AT_RT, h->rt_offset);
	put_be32(s + QCOW2_AT_RT_CLUSTERS, h->rt_clusters);
	put_be32(s + QCOW2_AT_REFCOUNT_ORDER, h->refcount_order);
	put_be32(s + QCOW2_AT_HEADER_LENGTH, h->header_length);
}

int qcow2_create_size(const struct qcow2_create *o, uint64_t *bytes)
{
	struct qcow2_header h;
	struct plan p = { 0 };
	int rc = create_check_options(o, &h);

	if (!rc)
		rc = make_plan(&h, &p);
	*bytes = p.total * p.cluster;
	return rc;
}

int qcow2_create(struct file *file, const struct qcow2_create *o)
{
	uint8_t sector[QCOW2_SECTOR] = { 0 };
	struct qcow2_header h;
	struct plan p = { 0 };
	int rc = create_check_options(o, &h);

	if (!rc)
		rc = make_plan(&h, &p);
	/* Also takes away what a block device held. */
	if (!rc)
		rc = file_zero(file, 0, p.total * p.cluster);
	if (!rc)
		rc = write_refcount_table(file, &p);
	if (!rc)
		rc = write_refcount_blocks(file, &p, h.refcount_order);
	if (rc)
		return rc;
	put_header(sector, &h);
	rc = qcow2_header_switch(file, &h, sector, o->backing_name,
				 o->backing_format);
	qcow2_header_release(&h);
	return rc;
}
