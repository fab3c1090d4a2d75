/* qcow2_grow.c - L1 and refcount table move to a larger place. */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

/* The table with @count entries (more than it has), as bytes of whole
 * clusters. */
static uint8_t *widened(const struct qcow2_table *t, uint64_t bytes)
{
	uint8_t *raw = buf_new(bytes);

	if (!raw)
		return NULL;
	memset(raw, 0, bytes);
	for (uint32_t i = 0; i < t->count; i++)
		put_be64(raw + (size_t)i * 8, t->entry[i]);
	return raw;
}

/* The table with @count entries (more than it has), for another place. */
static int table_widen(const struct qcow2_table *old, uint64_t host,
		       uint32_t count, struct qcow2_table *new)
{
	*new = (struct qcow2_table){
		.entry = mem_try(count, sizeof(*new->entry)),
		.dirty = mem_try(count / QCOW2_PER_SECTOR + 1, 1),
		.count = count, .host = host,
	};
	if (!new->entry || !new->dirty) {
		qcow2_table_release(new);
		return -ENOMEM;
	}
	memcpy(new->entry, old->entry, old->count * sizeof(*new->entry));
	return 0;
}

static void table_replace(struct qcow2_table *t, const struct qcow2_table *new)
{
	qcow2_table_release(t);
	*t = *new;
}

/* Makes the header name another table. All that this needs in memory was
 * taken before: from here on what is there and what the header says are the
 * same. Where that can't be told, for the host failed, the old header is
 * written again, or nothing more is. */
static int grow_switch_header(struct qcow2 *q, const struct qcow2_header *h)
{
	int rc = qcow2_header_write_fields(q->file, h);

	if (rc && qcow2_header_write_fields(q->file, &q->h))
		qcow2_broken(q);
	return rc;
}

/* A place for the new refcount table: behind all that the old one covers,
 * with the refcount blocks that count it (and themselves). */
struct place {
	uint64_t first;			/* cluster number of the table */
	uint64_t table, blocks;		/* clusters */
};

static struct place place_find(const struct qcow2 *q)
{
	uint64_t per_block = 1ull << q->block_bits;
	uint64_t per_cluster = q->cluster / 8;
	struct place p = {
		.first = (uint64_t)q->rt.count << q->block_bits,
	};
	uint64_t entries = q->rt.count + (uint64_t)q->rt.count / 2 + 2;

	/* each turn can only need more; ends when it needs no more */
	for (;;) {
		uint64_t table = div_round_up(entries, per_cluster);
		uint64_t blocks = div_round_up(table + p.blocks, per_block);

		if (table == p.table && blocks == p.blocks)
			return p;
		p.table = table;
		p.blocks = blocks;
		entries = max_u64(entries, q->rt.count + blocks + 1);
	}
}

uint64_t qcow2_table_growth(const struct qcow2 *q)
{
	struct place p = place_find(q);

	return p.table + p.blocks;
}

static int place_write(struct qcow2 *q, const struct place *p)
{
	uint64_t used = p->table + p->blocks;
	uint64_t bytes = p->table << q->cluster_bits;
	uint8_t *table = widened(&q->rt, bytes);
	uint8_t *block = buf_new(q->cluster);
	uint64_t at = (p->first + p->table) << q->cluster_bits;
	int rc = table && block ? 0 : -ENOMEM;

	for (uint64_t b = 0; b < p->blocks && !rc; b++) {
		uint64_t per_block = 1ull << q->block_bits;
		uint64_t n = min_u64(used - b * per_block, per_block);

		memset(block, 0, q->cluster);
		for (uint64_t i = 0; i < n; i++)
			qcow2_count_set(block, q->h.refcount_order, i, 1);
		rc = file_write(q->file, at + (b << q->cluster_bits), block,
				q->cluster);
		put_be64(table + (q->rt.count + b) * 8,
			 at + (b << q->cluster_bits));
	}
	if (!rc)
		rc = file_write(q->file, p->first << q->cluster_bits, table,
				bytes);
	free(table);
	free(block);
	return rc;
}

static void place_enter(struct qcow2 *q, const struct place *p, uint32_t old)
{
	uint64_t block = p->first + p->table;

	for (uint64_t b = 0; b < p->blocks; b++) {
		q->rt.entry[old + b] = (block + b) << q->cluster_bits;
		qcow2_set_add(&q->set, block + b);
	}
	for (uint64_t i = 0; i < p->table; i++)
		qcow2_set_add(&q->set, p->first + i);
}

static int place_switch(struct qcow2 *q, const struct place *p)
{
	struct qcow2_header h = q->h;
	struct qcow2_table old = q->rt, new;
	uint64_t bytes = p->table << q->cluster_bits;
	int rc;

	h.rt_offset = p->first << q->cluster_bits;
	h.rt_clusters = (uint32_t)p->table;
	rc = table_widen(&q->rt, h.rt_offset, (uint32_t)(bytes / 8), &new);
	if (!rc)
		rc = qcow2_set_reserve(&q->set, p->table + p->blocks);
	if (!rc)
		rc = grow_switch_header(q, &h);
	if (rc) {
		qcow2_table_release(&new);
		return rc;
	}
	q->h.rt_offset = h.rt_offset;
	q->h.rt_clusters = h.rt_clusters;
	table_replace(&q->rt, &new);
	place_enter(q, p, old.count);
	qcow2_free_later(q, old.host >> q->cluster_bits,
			 div_round_up((uint64_t)old.count * 8, q->cluster));
	return 0;
}

int qcow2_table_grow(struct qcow2 *q)
{
	struct place p;
	int rc;

	qcow2_sync_lock(q);
	/* the blocks that the table names must be on disk before it */
	rc = qcow2_checkpoint(q);
	lock_take(&q->node->meta);
	p = place_find(q);
	if (!rc && (p.table << q->cluster_bits) > QCOW2_RT_MAX)
		rc = -EFBIG;
	/* entries set since the checkpoint name blocks not written yet: they
	 * are dirty in the new table too, so the next flush orders them */
	if (!rc && q->rt.any_dirty)
		rc = -EAGAIN;
	if (!rc)
		rc = place_write(q, &p);
	if (!rc)
		rc = place_switch(q, &p);
	lock_drop(&q->node->meta);
	qcow2_sync_unlock(q);
	return rc == -EAGAIN ? 0 : rc;
}

static int l1_place(struct qcow2 *q, uint64_t bytes, struct qcow2_extent *e)
{
	int rc;

	do {
		lock_take(&q->node->meta);
		rc = qcow2_alloc_row(q, bytes >> q->cluster_bits, e);
		lock_drop(&q->node->meta);
	} while (rc == QCOW2_TABLE_FULL && !(rc = qcow2_table_grow(q)));
	return rc;
}

/* The refcounts of the new place first, and what the old table still waits to
 * say. */
static int l1_write(struct qcow2 *q, uint64_t host, uint64_t bytes)
{
	int rc = qcow2_flush(q->node);
	uint8_t *raw = widened(&q->l1, bytes);

	if (!rc && !raw)
		rc = -ENOMEM;
	if (!rc)
		rc = file_write(q->file, host, raw, bytes);
	free(raw);
	return rc;
}

static void l1_replace(struct qcow2 *q, const struct qcow2_table *new,
		       struct qcow2_extent e)
{
	struct qcow2_table old = q->l1;

	lock_take(&q->node->meta);
	q->h.l1_offset = new->host;
	q->h.l1_size = new->count;
	table_replace(&q->l1, new);
	for (uint64_t i = 0; i < e.count; i++)
		qcow2_set_add(&q->set, e.first + i);
	qcow2_free_later(q, old.host >> q->cluster_bits,
			 div_round_up((uint64_t)old.count * 8, q->cluster));
	lock_drop(&q->node->meta);
}

/* A place that the header may name after all is rather leaked than used. */
static void l1_give_up(struct qcow2 *q, struct qcow2_table *new,
		       struct qcow2_extent e)
{
	qcow2_table_release(new);
	lock_take(&q->node->meta);
	if (!atomic_load(&q->corrupt))
		qcow2_unalloc(q, e);
	lock_drop(&q->node->meta);
}

int qcow2_l1_grow(struct qcow2 *q, uint32_t count)
{
	uint64_t bytes = align_up((uint64_t)count * 8, q->cluster);
	struct qcow2_extent e = { 0 };
	struct qcow2_table new = { 0 };
	struct qcow2_header h;
	int rc = l1_place(q, bytes, &e);

	if (rc)
		return rc;
	h = q->h;
	h.l1_offset = e.first << q->cluster_bits;
	h.l1_size = count;
	rc = l1_write(q, h.l1_offset, bytes);
	if (!rc)
		rc = table_widen(&q->l1, h.l1_offset, count, &new);
	if (!rc)
		rc = qcow2_set_reserve(&q->set, e.count);
	if (!rc)
		rc = grow_switch_header(q, &h);
	if (rc)
		l1_give_up(q, &new, e);
	else
		l1_replace(q, &new, e);
	return rc;
}
