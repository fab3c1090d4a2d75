/* qcow2_refcount.c - counts clusters, finds free ones, lets go of used ones.
 *
 * A new cluster's refcount may reach the disk at any time (a leak at worst).
 * A cluster that is let go keeps its refcount until the table that named it
 * is durable without it (hazard H11): qcow2_free_later() queues it, the flush
 * counts it down.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define SET_MIN 64

uint64_t qcow2_count_get(const uint8_t *data, unsigned order, uint64_t i)
{
	switch (order) {
	case 3:
		return data[i];
	case 4:
		return get_be16(data + i * 2);
	case 5:
		return get_be32(data + i * 4);
	case 6:
		return get_be64(data + i * 8);
	default:	/* several in a byte, the first in the low bits */
		return (unsigned)data[(i << order) >> 3] >>
		       ((i << order) & 7) & ((1u << (1u << order)) - 1);
	}
}

void qcow2_count_set(uint8_t *data, unsigned order, uint64_t i, uint64_t v)
{
	unsigned shift, mask;

	switch (order) {
	case 3:
		data[i] = (uint8_t)v;
		break;
	case 4:
		put_be16(data + i * 2, (uint16_t)v);
		break;
	case 5:
		put_be32(data + i * 4, (uint32_t)v);
		break;
	case 6:
		put_be64(data + i * 8, v);
		break;
	default:
		shift = (unsigned)((i << order) & 7);
		mask = (1u << (1u << order)) - 1;
		data += (i << order) >> 3;
		*data = (uint8_t)((*data & ~(mask << shift)) |
				  ((unsigned)v & mask) << shift);
	}
}

uint64_t qcow2_refcount_max(const struct qcow2 *q)
{
	unsigned order = q->h.refcount_order;

	return order == 6 ? UINT64_MAX : (1ull << (1u << order)) - 1;
}

/* Counts in one unit of the cache. */
static uint64_t per_unit(const struct qcow2 *q)
{
	return (uint64_t)q->cache.unit * 8 >> q->h.refcount_order;
}

/* The unit with the count of @cluster; *out NULL where no block covers it. */
static int unit_of(struct qcow2 *q, uint64_t cluster, struct unit **out)
{
	uint64_t i = cluster >> q->block_bits;
	uint64_t in_block = cluster & ((1ull << q->block_bits) - 1);
	uint64_t block;

	*out = NULL;
	if (i >= q->rt.count || !q->rt.entry[i])
		return 0;
	block = q->rt.entry[i];
	if (!is_aligned(block, q->cluster) || block >= QCOW2_OFFSET_MAX)
		return qcow2_broken(q);
	return qcow2_cache_get(q, UNIT_REFBLOCK,
			       block + in_block / per_unit(q) * q->cache.unit,
			       out);
}

int qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *count)
{
	struct unit *u;
	int rc = unit_of(q, cluster, &u);

	*count = 0;
	if (!rc && u)
		*count = qcow2_count_get(u->data, q->h.refcount_order,
					 cluster % per_unit(q));
	return rc;
}

static int count_put(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
	struct unit *u;
	int rc = unit_of(q, cluster, &u);

	if (rc)
		return rc;
	if (!u || count > qcow2_refcount_max(q))
		return qcow2_broken(q);
	qcow2_count_set(u->data, q->h.refcount_order, cluster % per_unit(q),
			count);
	qcow2_cache_dirty(q, u);
	return 0;
}

int qcow2_refcount_up(struct qcow2 *q, uint64_t cluster)
{
	uint64_t count;
	int rc = qcow2_refcount_get(q, cluster, &count);

	if (!rc && !count)
		rc = qcow2_broken(q);
	if (!rc && count == qcow2_refcount_max(q))
		rc = -EOVERFLOW;
	return rc ? rc : count_put(q, cluster, count + 1);
}

/* A refcount block for @cluster where there is none. It takes the first
 * cluster that it covers, and counts itself. */
static int block_ensure(struct qcow2 *q, uint64_t cluster)
{
	uint64_t i = cluster >> q->block_bits;
	uint64_t place = i << q->block_bits;
	int rc;

	if (i >= q->rt.count)
		return QCOW2_TABLE_FULL;
	if (q->rt.entry[i])
		return 0;
	if (place == 0 || qcow2_set_has(&q->set, place))
		return qcow2_broken(q);
	rc = qcow2_cache_new(q, UNIT_REFBLOCK, place << q->cluster_bits, 0);
	if (rc)
		return rc;
	qcow2_table_set(&q->rt, (uint32_t)i, place << q->cluster_bits);
	qcow2_set_add(&q->set, place);
	return count_put(q, place, 1);
}

/* The first free cluster from @from on and how many follow, at most @want,
 * within the unit that counts them. */
static int find_free(struct qcow2 *q, uint64_t from, uint64_t want,
		     struct qcow2_extent *out)
{
	unsigned order = q->h.refcount_order;
	uint64_t n = per_unit(q);
	struct unit *u;
	int rc;

	for (;; from = (from / n + 1) * n) {
		uint64_t i = from % n, end;

		if ((from + 1) << q->cluster_bits >= QCOW2_OFFSET_MAX)
			return -EFBIG;
		rc = block_ensure(q, from);
		if (!rc)
			rc = unit_of(q, from, &u);
		if (rc)
			return rc;
		while (i < n && qcow2_count_get(u->data, order, i))
			i++;
		if (i == n)
			continue;
		for (end = i; end < n && end - i < want &&
			      !qcow2_count_get(u->data, order, end); end++)
			;
		out->first = from / n * n + i;
		out->count = end - i;
		return 0;
	}
}

static int refcount_take(struct qcow2 *q, struct qcow2_extent e)
{
	int rc = 0;

	for (uint64_t i = 0; i < e.count; i++)
		if (e.first + i == 0 || qcow2_set_has(&q->set, e.first + i))
			return qcow2_broken(q);
	for (uint64_t i = 0; i < e.count && !rc; i++)
		rc = count_put(q, e.first + i, 1);
	return rc;
}

/* Whoever takes clusters may add them to the set of metadata. */
int qcow2_alloc(struct qcow2 *q, uint64_t want, struct qcow2_extent *out)
{
	int rc = qcow2_set_reserve(&q->set, 1);

	if (!rc)
		rc = find_free(q, q->hint, want, out);
	if (!rc)
		rc = qcow2_set_reserve(&q->set, out->count);
	if (!rc)
		rc = refcount_take(q, *out);
	if (!rc)
		q->hint = out->first + out->count;
	return rc;
}

int qcow2_alloc_row(struct qcow2 *q, uint64_t want, struct qcow2_extent *out)
{
	struct qcow2_extent e = { .first = q->hint };
	int rc = qcow2_set_reserve(&q->set, want);

	if (rc)
		return rc;
	*out = e;
	while (out->count < want) {
		rc = find_free(q, out->first + out->count, want - out->count,
			       &e);
		if (rc)
			return rc;
		if (out->count && e.first == out->first + out->count)
			out->count += e.count;
		else
			*out = e;
	}
	return refcount_take(q, *out);
}

static int count_down(struct qcow2 *q, uint64_t cluster)
{
	uint64_t count;
	int rc = qcow2_refcount_get(q, cluster, &count);

	if (!rc && !count)
		rc = qcow2_broken(q);
	if (!rc)
		rc = count_put(q, cluster, count - 1);
	if (rc || count != 1)
		return rc;
	q->hint = min_u64(q->hint, cluster);
	if (qcow2_set_has(&q->set, cluster)) {
		qcow2_set_del(&q->set, cluster);
		qcow2_cache_forget(q, cluster << q->cluster_bits);
	}
	return 0;
}

int qcow2_unalloc(struct qcow2 *q, struct qcow2_extent e)
{
	int rc = 0;

	for (uint64_t i = 0; i < e.count; i++) {
		int got = count_down(q, e.first + i);

		if (got && !rc)
			rc = got;
	}
	return rc;
}

void qcow2_extents_add(struct qcow2_extents *e, uint64_t first, uint64_t count)
{
	struct qcow2_extent *last = e->count ? &e->v[e->count - 1] : NULL;

	if (last && last->first + last->count == first) {
		last->count += count;
		return;
	}
	if (e->count == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : 64;
		void *v = mem_spare(e->v, cap * sizeof(*e->v));

		if (!v)
			return;
		e->v = v;
		e->cap = cap;
	}
	e->v[e->count++] = (struct qcow2_extent){ first, count };
}

void qcow2_free_later(struct qcow2 *q, uint64_t first, uint64_t count)
{
	qcow2_extents_add(&q->freed, first, count);
}

/* --- the set of metadata clusters --- */

static size_t slot_of(const struct qcow2_set *s, uint64_t cluster)
{
	size_t i = (size_t)(cluster * 0x9e3779b97f4a7c15ull >> 20) &
		   (s->slots - 1);

	while (s->slot[i] && s->slot[i] != cluster)
		i = (i + 1) & (s->slots - 1);
	return i;
}

/* Takes @slot, zeroed, @slots members. */
static void set_widen(struct qcow2_set *s, uint64_t *slot, size_t slots)
{
	struct qcow2_set wide = {
		.slot = slot, .slots = slots, .used = s->used,
	};

	for (size_t i = 0; i < s->slots; i++)
		if (s->slot[i])
			wide.slot[slot_of(&wide, s->slot[i])] = s->slot[i];
	free(s->slot);
	*s = wide;
}

/* Some more, so that what follows from an allocation (a refcount block) has
 * room as well. */
int qcow2_set_reserve(struct qcow2_set *s, uint64_t more)
{
	size_t slots = SET_MIN;
	uint64_t *slot;

	more += SET_MIN / 4;
	if ((s->used + more) * 2 <= s->slots)
		return 0;
	while (slots < (s->used + more) * 2)
		slots *= 2;
	slot = mem_try(slots, sizeof(*slot));
	if (slot)
		set_widen(s, slot, slots);
	/* A fuller set is only slower; one place at least has to be free. */
	return slot || s->used + more < s->slots ? 0 : -ENOMEM;
}

void qcow2_set_add(struct qcow2_set *s, uint64_t cluster)
{
	size_t grown = s->slots ? s->slots * 2 : SET_MIN;

	if (!cluster)
		return;
	if (s->used + 1 >= s->slots)
		set_widen(s, mem_alloc(grown * sizeof(*s->slot)), grown);
	if (!s->slot[slot_of(s, cluster)])
		s->used++;
	s->slot[slot_of(s, cluster)] = cluster;
}

/* Closes the gap, so that no search stops short of its goal. */
void qcow2_set_del(struct qcow2_set *s, uint64_t cluster)
{
	size_t i;

	if (!s->slots || !s->slot[i = slot_of(s, cluster)])
		return;
	s->slot[i] = 0;
	s->used--;
	for (i = (i + 1) & (s->slots - 1); s->slot[i];
	     i = (i + 1) & (s->slots - 1)) {
		uint64_t moved = s->slot[i];

		s->slot[i] = 0;
		s->slot[slot_of(s, moved)] = moved;
	}
}

bool qcow2_set_has(const struct qcow2_set *s, uint64_t cluster)
{
	return s->slots && s->slot[slot_of(s, cluster)];
}

/* What the tables of an image claim, as it is opened. */
struct claims {
	struct qcow2 *q;
	bool clash;			/* two tables in one cluster */
	int rc;				/* no memory */
};

static void claim(struct claims *m, uint64_t off, uint64_t len)
{
	struct qcow2 *q = m->q;
	uint64_t end = div_round_up(off + len, q->cluster);

	for (uint64_t c = off >> q->cluster_bits; len && c < end; c++) {
		if (!m->rc)
			m->rc = qcow2_set_reserve(&q->set, 1);
		if (m->rc)
			return;
		m->clash |= !c || qcow2_set_has(&q->set, c);
		qcow2_set_add(&q->set, c);
	}
}

/* What the entries of a table name. */
static void claim_named(struct claims *m, const struct qcow2_table *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->entry[i] & QCOW2_OFFSET_MASK)
			claim(m, align_down(t->entry[i] & QCOW2_OFFSET_MASK,
					    m->q->cluster), 1);
}

static int claim_bitmap(void *arg, uint64_t off, uint64_t len)
{
	struct claims *m = arg;
	bool clash = m->clash;

	claim(m, off, len);
	m->clash = clash;
	return m->rc;
}

static int refcount_refuse(const struct claims *m, struct err *err)
{
	struct qcow2 *q = m->q;

	if (m->rc)
		return err_sys(err, m->rc, "Could not open '%s' read-write",
			       q->file->path);
	return err_set(err, ERR_GENERIC, "'%s' has tables that overlap; it "
		       "cannot be opened read-write (blkmon cat shows what "
		       "can be read)", q->file->path);
}

/* Two tables in one cluster would undo each other's changes (hazard H4). */
int qcow2_set_build(struct qcow2 *q, struct err *err)
{
	struct qcow2_snapshot *snap = NULL;
	struct claims m = { .q = q };
	uint64_t bytes = 0;

	if (q->h.nb_snapshots &&
	    qcow2_snapshots_read(q->file, &q->h, &snap, &bytes, err))
		return -1;
	claim(&m, q->h.l1_offset, (uint64_t)q->l1.count * 8);
	claim(&m, q->h.rt_offset,
	      (uint64_t)q->h.rt_clusters << q->cluster_bits);
	claim_named(&m, &q->l1);
	claim_named(&m, &q->rt);
	claim(&m, q->h.snapshots_offset, bytes);
	for (uint32_t i = 0; snap && i < q->h.nb_snapshots; i++)
		claim(&m, snap[i].l1_offset, (uint64_t)snap[i].l1_size * 8);
	qcow2_snapshots_free(snap, q->h.nb_snapshots);
	/* a damaged bitmap directory does not keep the disk from its guest:
	 * its clusters are counted, if not known by name */
	(void)qcow2_bitmap_clusters(q->file, &q->h, claim_bitmap, &m);
	return m.clash || m.rc ? refcount_refuse(&m, err) : 0;
}
