/* qcow2_flush.c - the one way from memory to disk.
 *
 * A checkpoint takes a copy of all that is dirty, at one moment under meta,
 * and writes it without holding up anybody:
 *
 *   1. refcount blocks, and what was written of data -> flush
 *      (a new block has to be durable before the refcount table names it)
 *   2. L2 tables -> flush
 *   3. L1, where a new L2 table hangs on it -> flush
 *   4. only now clusters that are named no more count down in memory, and
 *      may be used again; their new refcounts go out with the next one
 *
 * Whatever a copied entry names was counted before the copy was made, so it
 * is in the same copy or on disk already.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define SECTOR 512u

struct copied_unit {
	uint64_t host;
	enum unit_kind kind;
	const struct unit *from;	/* good under meta only */
};

struct copied_table {
	uint32_t *sector;		/* numbers of the dirty ones */
	size_t count;
	uint8_t *data;			/* SECTOR bytes each */
};

struct checkpoint {
	struct copied_unit *unit;
	size_t units;
	uint8_t *data;			/* one after the other, as unit[] */
	struct copied_table l1, rt;
	struct qcow2_extents freed;
};

static int by_place(const void *a, const void *b)
{
	const struct copied_unit *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->host < y->host ? -1 : x->host > y->host;
}

static int units_copy(struct qcow2 *q, struct checkpoint *cp)
{
	struct qcow2_cache *c = &q->cache;

	if (!c->dirty)
		return 0;
	cp->unit = mem_try(c->dirty, sizeof(*cp->unit));
	cp->data = buf_new(c->dirty * c->unit);
	if (!cp->unit || !cp->data)
		return -ENOMEM;
	list_for_each(pos, &c->lru) {
		struct unit *u = container_of(pos, struct unit, lru);

		if (!u->dirty)
			continue;
		u->dirty = false;
		u->writing = true;
		cp->unit[cp->units++] = (struct copied_unit){
			u->host, u->kind, u,
		};
	}
	c->dirty = 0;
	qsort(cp->unit, cp->units, sizeof(*cp->unit), by_place);
	for (size_t i = 0; i < cp->units; i++)
		memcpy(cp->data + i * c->unit, cp->unit[i].from->data,
		       c->unit);
	return 0;
}

static int table_copy(struct qcow2_table *t, struct copied_table *out)
{
	uint32_t sectors = t->count / 64 + 1;
	size_t n = 0;

	if (!t->any_dirty)
		return 0;
	for (uint32_t s = 0; s < sectors; s++)
		n += t->dirty[s];
	out->sector = mem_try(n, sizeof(*out->sector));
	out->data = mem_try(n, SECTOR);
	if (!out->sector || !out->data)
		return -ENOMEM;
	for (uint32_t s = 0; s < sectors; s++) {
		uint8_t *p = out->data + out->count * SECTOR;

		if (!t->dirty[s])
			continue;
		for (uint32_t i = s * 64; i < t->count && i < s * 64 + 64; i++)
			put_be64(p + (i - s * 64) * 8, t->entry[i]);
		out->sector[out->count++] = s;
		t->dirty[s] = 0;
	}
	t->any_dirty = false;
	return 0;
}

static int units_write(struct qcow2 *q, const struct checkpoint *cp,
		       enum unit_kind kind)
{
	uint32_t size = q->cache.unit;
	size_t i = 0, n;
	int rc = 0;

	for (; i < cp->units && !rc; i += n) {
		n = 1;
		if (cp->unit[i].kind != kind)
			continue;
		while (i + n < cp->units && cp->unit[i + n].kind == kind &&
		       cp->unit[i + n].host == cp->unit[i].host + n * size)
			n++;
		rc = file_write(q->file, cp->unit[i].host,
				cp->data + i * size, n * size);
	}
	return rc;
}

static bool has_kind(const struct checkpoint *cp, enum unit_kind kind)
{
	for (size_t i = 0; i < cp->units; i++)
		if (cp->unit[i].kind == kind)
			return true;
	return false;
}

static int table_write(struct qcow2 *q, const struct qcow2_table *t,
		       const struct copied_table *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->count && !rc; i++) {
		uint64_t at = (uint64_t)c->sector[i] * SECTOR;

		rc = file_write(q->file, t->host + at, c->data + i * SECTOR,
				min_u64(SECTOR, (uint64_t)t->count * 8 - at));
	}
	return rc;
}

static int write_refcounts_and_data(struct qcow2 *q, struct checkpoint *cp)
{
	int rc = units_write(q, cp, UNIT_REFBLOCK);

	if (!rc && cp->rt.count)
		rc = file_flush(q->file);
	if (!rc)
		rc = table_write(q, &q->rt, &cp->rt);
	if (!rc && q->external)
		rc = file_flush(q->data);
	return rc ? rc : file_flush(q->file);
}

static int write_maps(struct qcow2 *q, struct checkpoint *cp)
{
	int rc;

	if (!has_kind(cp, UNIT_L2) && !cp->l1.count)
		return 0;
	rc = units_write(q, cp, UNIT_L2);
	if (!rc && cp->l1.count)
		rc = file_flush(q->file);
	if (!rc)
		rc = table_write(q, &q->l1, &cp->l1);
	return rc ? rc : file_flush(q->file);
}

/* After a failure all that was copied is dirty again. */
static void table_restore(struct qcow2_table *t, const struct copied_table *c)
{
	for (size_t i = 0; i < c->count; i++) {
		t->dirty[c->sector[i]] = 1;
		t->any_dirty = true;
	}
}

static void checkpoint_end(struct qcow2 *q, struct checkpoint *cp, int rc)
{
	list_for_each(pos, &q->cache.lru) {
		struct unit *u = container_of(pos, struct unit, lru);

		if (u->writing && rc)
			qcow2_cache_dirty(q, u);
		u->writing = false;
	}
	if (rc) {
		table_restore(&q->l1, &cp->l1);
		table_restore(&q->rt, &cp->rt);
	}
	for (size_t i = 0; i < cp->freed.count; i++) {
		struct qcow2_extent e = cp->freed.v[i];

		if (rc)
			qcow2_free_later(q, e.first, e.count);
		else
			qcow2_unalloc(q, e);
	}
	free(cp->unit);
	free(cp->data);
	free(cp->l1.sector);
	free(cp->l1.data);
	free(cp->rt.sector);
	free(cp->rt.data);
	free(cp->freed.v);
}

static void say_corrupt(struct node *node)
{
	struct event ev = { .type = EVENT_CORRUPTED, .fatal = true };

	snprintf(ev.text, sizeof(ev.text), "Metadata of the image contradicts "
		 "itself; no more writes");
	node_tell(node, &ev);
}

/* The image was found broken: say so in its header. */
static int mark_corrupt(struct qcow2 *q)
{
	struct qcow2_header h;
	int rc;

	if (!atomic_load(&q->corrupt) || q->h.version < 3 ||
	    (q->h.incompatible & QCOW2_INCOMPAT_CORRUPT))
		return 0;
	h = q->h;
	h.incompatible |= QCOW2_INCOMPAT_CORRUPT;
	rc = qcow2_header_write_fields(q->file, &h);
	if (!rc) {
		q->h.incompatible = h.incompatible;
		say_corrupt(q->node);
	}
	return rc;
}

int qcow2_checkpoint(struct qcow2 *q)
{
	struct checkpoint cp = { 0 };
	int rc = mark_corrupt(q);

	lock_take(&q->node->meta);
	if (!rc)
		rc = units_copy(q, &cp);
	if (!rc)
		rc = table_copy(&q->l1, &cp.l1);
	if (!rc)
		rc = table_copy(&q->rt, &cp.rt);
	cp.freed = q->freed;
	q->freed = (struct qcow2_extents){ 0 };
	lock_drop(&q->node->meta);
	if (!rc)
		rc = write_refcounts_and_data(q, &cp);
	if (!rc)
		rc = write_maps(q, &cp);
	lock_take(&q->node->meta);
	checkpoint_end(q, &cp, rc);
	lock_drop(&q->node->meta);
	return rc;
}

void qcow2_sync_lock(struct qcow2 *q)
{
	lock_take(&q->sync);
	while (q->syncing)
		cond_wait(&q->synced, &q->sync);
	q->syncing = true;
	lock_drop(&q->sync);
}

void qcow2_sync_unlock(struct qcow2 *q)
{
	lock_take(&q->sync);
	q->syncing = false;
	cond_wake_all(&q->synced);
	lock_drop(&q->sync);
}

/* A caller is served by any checkpoint that begins after its call. */
int qcow2_flush(struct node *node)
{
	struct qcow2 *q = qcow2_of(node);
	uint64_t mine;
	int rc;

	if (!atomic_load(&q->writable))
		return 0;
	lock_take(&q->sync);
	mine = q->sync_begun + 1;
	while (q->sync_done < mine) {
		if (q->syncing) {
			cond_wait(&q->synced, &q->sync);
			continue;
		}
		q->syncing = true;
		q->sync_begun++;
		lock_drop(&q->sync);
		rc = qcow2_checkpoint(q);
		lock_take(&q->sync);
		q->syncing = false;
		q->sync_done = q->sync_begun;
		q->sync_rc = rc;
		cond_wake_all(&q->synced);
	}
	rc = q->sync_rc;
	lock_drop(&q->sync);
	return rc;
}
