/* qcow2_write.c - where a write goes, and how it becomes visible.
 *
 * Nothing that a table names is ever moved or wiped for a write: new data
 * goes to clusters that no table names, and one change of an entry, after the
 * data has arrived, makes it visible.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"

/* What a write meets at a (sub)cluster. */
enum target {
	TARGET_IN_PLACE,	/* data of our own: overwrite it */
	TARGET_FILL,		/* a place of our own that shows no data yet */
	TARGET_FRESH,		/* no place, or one that others share */
};

/* Does the entry name a place that only it names? */
static bool is_own(const struct qcow2 *q, uint64_t e)
{
	return !(e & QCOW2_COMPRESSED) && qcow2_has_place(q, e) &&
	       (e & QCOW2_COPIED);
}

/* The host clusters that an entry names; none: count 0. */
static struct qcow2_extent write_extent_of(const struct qcow2 *q, uint64_t e)
{
	struct qcow2_extent none = { 0, 0 };

	if (e & QCOW2_COMPRESSED)
		return qcow2_compressed_extent(q, e);
	if (q->external || !(e & QCOW2_OFFSET_MASK))
		return none;
	return (struct qcow2_extent){
		(e & QCOW2_OFFSET_MASK) >> q->cluster_bits, 1,
	};
}

/* A damaged entry may name a table. Its cluster is neither a place for data
 * nor to be let go of (hazard H4). */
static int write_check_place(struct qcow2 *q, uint64_t e)
{
	struct qcow2_extent x = write_extent_of(q, e);

	for (uint64_t i = 0; i < x.count; i++)
		if (!(x.first + i) || qcow2_set_has(&q->set, x.first + i))
			return qcow2_broken(q);
	return 0;
}

static int target_of(struct qcow2 *q, struct qcow2_entry entry, uint64_t off)
{
	int kind = qcow2_kind(q, entry, (unsigned)((off & (q->cluster - 1)) /
						   q->sub));

	if (kind < 0)
		return kind;
	if (write_check_place(q, entry.e))
		return -EIO;
	if (!is_own(q, entry.e))
		return TARGET_FRESH;
	return kind == RUN_DATA ? TARGET_IN_PLACE : TARGET_FILL;
}

static int entry_at(struct qcow2 *q, uint64_t off, struct qcow2_entry *out)
{
	uint64_t table;
	int rc = qcow2_l2_find(q, off, &table);

	*out = (struct qcow2_entry){ 0 };
	if (!rc && table)
		rc = qcow2_entry_get(q, table, qcow2_l2_index(q, off), out);
	return rc;
}

/* How far a write of this kind goes on from @off, within one L2 table. */
static int target_extend(struct qcow2 *q, enum target target, uint64_t step,
			 uint64_t off, uint64_t end, uint64_t *stop)
{
	uint64_t table = q->cluster << q->l2_bits;
	struct qcow2_entry entry;
	int rc = 0;

	end = min_u64(end, align_down(off, table) + table);
	for (off = align_down(off, step) + step; off < end; off += step) {
		rc = entry_at(q, off, &entry);
		if (rc)
			break;
		rc = target_of(q, entry, off);
		if (rc != (int)target)
			break;
	}
	*stop = min_u64(off, end);
	return rc < 0 ? rc : 0;
}

static int begin_in_place(struct qcow2 *q, struct qcow2_entry entry,
			  struct write_op *op)
{
	uint64_t host = (entry.e & QCOW2_OFFSET_MASK) +
			(op->off & (q->cluster - 1));
	uint64_t end = op->off + op->len;
	uint64_t pos = align_down(op->off, q->sub) + q->sub;

	while (pos < end) {
		if (entry_at(q, pos, &entry) ||
		    target_of(q, entry, pos) != TARGET_IN_PLACE ||
		    (entry.e & QCOW2_OFFSET_MASK) + (pos & (q->cluster - 1)) !=
		    host + (pos - op->off))
			break;
		pos += q->sub;
	}
	op->len = min_u64(pos, end) - op->off;
	op->file = q->data;
	op->host = host;
	op->in_place = true;
	return 0;
}

/* Edges up to multiples of @head_unit and @tail_unit. */
static void set_edges(struct write_op *op, uint64_t head_unit,
		      uint64_t tail_unit)
{
	uint64_t end = op->off + op->len;

	op->head = op->off & (head_unit - 1);
	op->tail = align_up(end, tail_unit) - end;
}

static int begin_fill(struct qcow2 *q, struct qcow2_entry entry,
		      struct write_op *op)
{
	uint64_t end = min_u64(op->off + op->len,
			       align_down(op->off, q->cluster) + q->cluster);
	uint64_t stop;
	int rc = target_extend(q, TARGET_FILL, q->sub, op->off, end, &stop);

	op->len = stop - op->off;
	op->file = q->data;
	op->host = (entry.e & QCOW2_OFFSET_MASK) +
		   (op->off & (q->cluster - 1));
	set_edges(op, q->sub, q->sub);
	return rc;
}

/* An entry whose cluster has to be copied whole when it gets a new place:
 * other subclusters than those written show data of the old one. */
static bool has_content(const struct qcow2 *q, struct qcow2_entry entry)
{
	return (entry.e & QCOW2_COMPRESSED) || qcow2_has_place(q, entry.e);
}

/* Does the L2 table for @off have to be made, or copied, to be written? */
static int table_is_needed(struct qcow2 *q, uint64_t off, bool *needed)
{
	uint64_t table;
	int rc = qcow2_l2_find(q, off, &table);

	*needed = !table ||
		  !(q->l1.entry[qcow2_l1_index(q, off)] & QCOW2_COPIED);
	return rc;
}

/* With @dry no cluster is taken: op->table instead. */
static int begin_fresh(struct qcow2 *q, struct qcow2_entry first, bool dry,
		       struct write_op *op)
{
	uint64_t start = align_down(op->off, q->cluster), stop;
	struct qcow2_extent got;
	struct qcow2_entry last;
	bool table = false;
	int rc;

	rc = target_extend(q, TARGET_FRESH, q->cluster, op->off,
			   op->off + op->len, &stop);
	if (rc)
		return rc;
	got.count = div_round_up(stop - start, q->cluster);
	got.first = start >> q->cluster_bits;
	if (dry)
		rc = table_is_needed(q, op->off, &table);
	else if (!q->external)
		rc = qcow2_alloc(q, got.count, &got);
	if (rc)
		return rc;
	op->table = table ? qcow2_l1_index(q, op->off) + 1ull : 0;
	stop = min_u64(stop, start + (got.count << q->cluster_bits));
	op->len = stop - op->off;
	op->clusters = (uint32_t)got.count;
	op->file = q->data;
	op->host = (got.first << q->cluster_bits) + (op->off - start);
	rc = entry_at(q, stop - 1, &last);
	set_edges(op, has_content(q, first) ? q->cluster : q->sub,
		  has_content(q, last) ? q->cluster : q->sub);
	if (rc && !q->external && !dry)
		qcow2_unalloc(q, got);
	return rc;
}

static int write_begin_locked(struct qcow2 *q, unsigned flags,
			      struct write_op *op)
{
	struct qcow2_entry entry;
	int rc = entry_at(q, op->off, &entry);

	if (!rc)
		rc = target_of(q, entry, op->off);
	if (rc == TARGET_IN_PLACE)
		return begin_in_place(q, entry, op);
	if (rc >= 0 && (flags & WRITE_IN_PLACE))
		return -EAGAIN;
	if (rc == TARGET_FILL)
		return begin_fill(q, entry, op);
	return rc == TARGET_FRESH ?
	       begin_fresh(q, entry, flags & WRITE_DRY, op) : rc;
}

int qcow2_write_begin(struct node *node, uint64_t off, uint64_t len,
		      unsigned flags, struct write_op *op)
{
	struct qcow2 *q = qcow2_of(node);
	int rc = flags & WRITE_DRY ? 0 : qcow2_first_change(q);

	while (!rc) {
		*op = (struct write_op){ .off = off, .len = len };
		lock_take(&node->meta);
		rc = write_begin_locked(q, flags, op);
		lock_drop(&node->meta);
		if (rc != QCOW2_TABLE_FULL)
			break;
		rc = qcow2_table_grow(q);
	}
	return rc;
}

/* The L2 table for @off, of our own: made, or copied from one that an
 * internal snapshot shares. */
static int table_for_write(struct qcow2 *q, uint64_t off, uint64_t *table)
{
	uint32_t i = qcow2_l1_index(q, off);
	struct qcow2_extent e;
	uint64_t old;
	int rc = qcow2_l2_find(q, off, &old);

	*table = old;
	if (rc || (old && (q->l1.entry[i] & QCOW2_COPIED)))
		return rc;
	rc = qcow2_alloc(q, 1, &e);
	if (rc)
		return rc;
	*table = e.first << q->cluster_bits;
	rc = qcow2_cache_new(q, UNIT_L2, *table, old);
	if (rc) {
		qcow2_unalloc(q, e);
		return rc;
	}
	qcow2_set_add(&q->set, e.first);
	qcow2_table_set(&q->l1, i, *table | QCOW2_COPIED);
	if (old)
		qcow2_free_later(q, old >> q->cluster_bits, 1);
	return 0;
}

/* Drops the references of an entry that no table names any more. */
static void write_let_go(struct qcow2 *q, uint64_t e)
{
	struct qcow2_extent x = write_extent_of(q, e);

	if (x.count)
		qcow2_free_later(q, x.first, x.count);
}

/* The entry for the cluster at @at after the write @op. */
static struct qcow2_entry entry_after(const struct qcow2 *q,
				      const struct write_op *op, uint64_t at,
				      struct qcow2_entry old)
{
	uint64_t from = max_u64(op->off - op->head, at) - at;
	uint64_t to = min_u64(op->off + op->len + op->tail,
			      at + q->cluster) - at;
	uint64_t touched = 0;
	struct qcow2_entry new = old;

	if (op->clusters) {
		new.e = (op->host + (at - op->off)) | QCOW2_COPIED;
		new.bitmap &= ~0xffffffffull;
	}
	if (!q->extended) {
		new.e &= ~QCOW2_ZERO;
		return new;
	}
	for (uint64_t s = from / q->sub; s * q->sub < to; s++)
		touched |= 1ull << s;
	new.bitmap = (new.bitmap | touched) & ~(touched << 32);
	return new;
}

/* On an error what was linked stays; *linked says how far. */
static int link_all(struct qcow2 *q, const struct write_op *op,
		    uint64_t *linked)
{
	uint64_t start = align_down(op->off - op->head, q->cluster);
	uint64_t count = op->clusters ? op->clusters : 1;
	struct qcow2_entry old;
	uint64_t table;
	int rc;

	*linked = 0;
	rc = table_for_write(q, op->off, &table);
	for (uint64_t i = 0; i < count && !rc; i++) {
		uint64_t at = start + (i << q->cluster_bits);
		uint64_t index = qcow2_l2_index(q, at);

		rc = qcow2_entry_get(q, table, index, &old);
		if (!rc)
			rc = qcow2_entry_set(q, table, index,
					     entry_after(q, op, at, old));
		if (rc)
			break;
		if (op->clusters)
			write_let_go(q, old.e);
		*linked = i + 1;
	}
	return rc;
}

/* What a write that failed has taken of the host's room is free for others at
 * once: no table ever named it. */
static void write_give_room(struct qcow2 *q, const struct write_op *op)
{
	if (!q->external && op->clusters && !q->file->block_device)
		file_discard(q->file, op->host - op->head,
			     (uint64_t)op->clusters << q->cluster_bits);
}

static int write_take_back(struct qcow2 *q, const struct write_op *op,
			   uint64_t linked)
{
	struct qcow2_extent e = {
		((op->host - op->head) >> q->cluster_bits) + linked,
		op->clusters - linked,
	};

	return q->external || !op->clusters ? 0 : qcow2_unalloc(q, e);
}

/* So much waits in memory that it has to be written before more comes. */
static bool write_is_full(const struct qcow2 *q)
{
	return q->cache.dirty * q->cache.unit > QCOW2_DIRTY_MAX ||
	       q->freed.count > 65536;
}

int qcow2_write_end(struct node *node, struct write_op *op, int rc)
{
	struct qcow2 *q = qcow2_of(node);
	uint64_t linked = 0;
	bool full = false;
	int got;

	if (op->in_place)
		return rc;
	if (rc)
		write_give_room(q, op);
	do {
		lock_take(&node->meta);
		got = rc ? rc : link_all(q, op, &linked);
		if (got && got != QCOW2_TABLE_FULL)
			write_take_back(q, op, linked);
		full = write_is_full(q);
		lock_drop(&node->meta);
		if (got == QCOW2_TABLE_FULL)
			rc = qcow2_table_grow(q);
	} while (got == QCOW2_TABLE_FULL);
	return got || !full ? got : qcow2_flush(node);
}

/* --- zeroes --- */

/* The entry that reads as zeroes instead of @old. */
static struct qcow2_entry entry_zero(const struct qcow2 *q,
				     struct qcow2_entry old, bool unmap)
{
	struct qcow2_entry new = { 0 };

	if (!unmap && is_own(q, old.e))
		new.e = old.e;
	if (q->extended)
		new.bitmap = 0xffffffffull << 32;
	else if (q->h.version >= 3)
		new.e |= QCOW2_ZERO;
	return new;
}

static int zero_entry(struct qcow2 *q, uint64_t table, uint64_t off,
		      bool unmap)
{
	struct qcow2_entry old, new;
	int rc = qcow2_entry_get(q, table, qcow2_l2_index(q, off), &old);

	if (rc)
		return rc;
	new = entry_zero(q, old, unmap);
	if (new.e == old.e && new.bitmap == old.bitmap)
		return 0;
	/* a hole with nothing below it reads as zeroes already */
	if (!node_hides(q->node) && !old.e && !old.bitmap)
		return 0;
	rc = write_check_place(q, old.e);
	if (rc)
		return rc;
	rc = qcow2_entry_set(q, table, qcow2_l2_index(q, off), new);
	if (!rc && !(new.e & QCOW2_OFFSET_MASK))
		write_let_go(q, old.e);
	return rc;
}

/* One L2 table's part of [*off, end); *off moves on. */
static int zero_step(struct qcow2 *q, uint64_t *off, uint64_t end, bool unmap)
{
	uint64_t span = q->cluster << q->l2_bits;
	uint64_t table;
	int rc = qcow2_l2_find(q, *off, &table);

	end = min_u64(end, align_down(*off, span) + span);
	if (!rc && !table && !node_hides(q->node)) {
		*off = end;
		return 0;
	}
	if (!rc)
		rc = table_for_write(q, *off, &table);
	for (; !rc && *off < end; *off += q->cluster) {
		rc = zero_entry(q, table, *off, unmap);
		if (rc)
			break;
	}
	return rc;
}

bool qcow2_zeroes_fast(const struct node *node)
{
	const struct qcow2_header *h = &qcow2_of(node)->h;

	return !(h->version < 3 && node_hides(node)) &&
	       !(h->autoclear & QCOW2_AUTOCLEAR_RAW_DATA);
}

int qcow2_zero(struct node *node, uint64_t off, uint64_t len, bool unmap)
{
	struct qcow2 *q = qcow2_of(node);
	uint64_t end = off + len;
	int rc;

	if (!qcow2_zeroes_fast(node))
		return -EOPNOTSUPP;
	rc = qcow2_first_change(q);
	while (!rc && off < end) {
		bool full;

		lock_take(&node->meta);
		rc = zero_step(q, &off, end, unmap || q->h.version < 3);
		full = write_is_full(q);
		lock_drop(&node->meta);
		if (rc == QCOW2_TABLE_FULL)
			rc = qcow2_table_grow(q);
		else if (!rc && full)
			rc = qcow2_flush(node);
	}
	return rc;
}

/* --- empty --- */

/* Collects what the table names first: as long as some of it can't be read
 * the L1 table goes on naming it, and none of it may be let go. */
static int table_let_go(struct qcow2 *q, uint32_t i)
{
	uint64_t table = q->l1.entry[i] & QCOW2_OFFSET_MASK;
	struct qcow2_extents named = { 0 };
	struct qcow2_entry entry;
	int rc = is_aligned(table, q->cluster) ? 0 : qcow2_broken(q);

	for (uint64_t k = 0; !rc && k < 1ull << q->l2_bits; k++) {
		struct qcow2_extent x;

		rc = qcow2_entry_get(q, table, k, &entry);
		if (!rc)
			rc = write_check_place(q, entry.e);
		if (rc)
			break;
		x = write_extent_of(q, entry.e);
		if (x.count)
			qcow2_extents_add(&named, x.first, x.count);
	}
	if (!rc) {
		for (size_t k = 0; k < named.count; k++)
			qcow2_free_later(q, named.v[k].first,
					 named.v[k].count);
		qcow2_free_later(q, table >> q->cluster_bits, 1);
		qcow2_table_set(&q->l1, i, 0);
	}
	free(named.v);
	return rc;
}

/* Behind the last cluster that may be in use. A file can be much longer than
 * its refcounts say, and has to be cut all the same. */
static uint64_t counted_end(const struct qcow2 *q)
{
	uint32_t i = q->rt.count;

	while (i && !q->rt.entry[i - 1])
		i--;
	return (uint64_t)i << q->block_bits;
}

/* Gives free clusters back to the host: the tail by truncating (a device has
 * a size of its own), the rest by punching. Their refcounts are durably 0. */
static int write_give_back(struct qcow2 *q)
{
	uint64_t size = atomic_load(&q->file->size);
	uint64_t first = 0, used, end, count;
	int rc = 0;

	lock_take(&q->node->meta);
	end = min_u64(div_round_up(size, q->cluster), counted_end(q));
	for (uint64_t c = 0; c < end && !rc; c++) {
		if (!q->rt.entry[c >> q->block_bits]) {
			c |= (1ull << q->block_bits) - 1;
			continue;
		}
		rc = qcow2_refcount_get(q, c, &count);
		if (rc || !count)
			continue;
		if (c > first)
			file_discard(q->file, first << q->cluster_bits,
				     (c - first) << q->cluster_bits);
		first = c + 1;
	}
	lock_drop(&q->node->meta);
	used = first << q->cluster_bits;
	if (!rc && used < size && q->file->block_device)
		rc = file_discard(q->file, used, size - used);
	else if (!rc && used < size)
		rc = file_truncate(q->file, used);
	if (!rc && q->external)
		rc = file_discard(q->data, 0, atomic_load(&q->data->size));
	return rc;
}

/* What is cut counts nothing in memory, so no table that is durable names it;
 * where its refcount on disk says otherwise the next flush puts that right. */
void qcow2_cut(struct node *node, uint64_t least)
{
	struct qcow2 *q = qcow2_of(node);
	uint64_t size = atomic_load(&q->file->size), end, count;
	int rc = 0;

	if (!atomic_load(&q->writable) || q->file->block_device)
		return;
	lock_take(&node->meta);
	end = min_u64(div_round_up(size, q->cluster), counted_end(q));
	for (; end; end--) {
		rc = qcow2_refcount_get(q, end - 1, &count);
		if (rc || count)
			break;
	}
	lock_drop(&node->meta);
	end = max_u64(end << q->cluster_bits, least);
	if (!rc && !atomic_load(&q->corrupt) && end < size)
		(void)file_truncate(q->file, end);
}

int qcow2_empty(struct node *node)
{
	struct qcow2 *q = qcow2_of(node);
	int rc = qcow2_first_change(q);

	/* a data file that is read as raw has nothing below it to show */
	if (q->h.autoclear & QCOW2_AUTOCLEAR_RAW_DATA)
		return -EOPNOTSUPP;
	lock_take(&node->meta);
	for (uint32_t i = 0; i < q->l1.count && !rc; i++)
		if (q->l1.entry[i] & QCOW2_OFFSET_MASK)
			rc = table_let_go(q, i);
	lock_drop(&node->meta);
	/* the first flush unlinks, the second counts down */
	if (!rc)
		rc = qcow2_flush(node);
	if (!rc)
		rc = qcow2_flush(node);
	return rc ? rc : write_give_back(q);
}
