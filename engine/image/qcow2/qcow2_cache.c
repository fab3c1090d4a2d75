/* qcow2_cache.c - units of L2 tables and refcount blocks in memory.
 *
 * All images together keep to one budget: who needs a unit while the budget
 * is spent gives up clean units of its own, down to a few.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define UNIT_MAX 16384u
#define UNITS_KEPT 16u			/* an image never has to go below */
#define BUDGET (48u << 20)		/* bytes, all images together */

static _Atomic size_t used_bytes;

static size_t bucket_of(const struct qcow2_cache *c, uint64_t host)
{
	return (size_t)(host / c->unit * 0x9e3779b97f4a7c15ull >> 40) &
	       (c->buckets - 1);
}

void qcow2_cache_init(struct qcow2_cache *c, uint64_t cluster)
{
	*c = (struct qcow2_cache){ 0 };
	c->unit = (uint32_t)min_u64(cluster, UNIT_MAX);
	c->buckets = 64;
	c->bucket = mem_alloc(c->buckets * sizeof(*c->bucket));
	list_init(&c->lru);
}

static void unit_drop(struct qcow2_cache *c, struct unit *u)
{
	struct unit **p = &c->bucket[bucket_of(c, u->host)];

	while (*p != u)
		p = &(*p)->next;
	*p = u->next;
	list_del(&u->lru);
	c->count--;
	if (u->dirty)
		c->dirty--;
	atomic_fetch_sub(&used_bytes, c->unit);
	free(u->data);
	free(u);
}

void qcow2_cache_release(struct qcow2_cache *c)
{
	if (!c->bucket)
		return;
	list_for_each_safe(pos, &c->lru)
		unit_drop(c, container_of(pos, struct unit, lru));
	free(c->bucket);
	c->bucket = NULL;
}

static struct unit *unit_find(const struct qcow2_cache *c, uint64_t host)
{
	struct unit *u = c->bucket[bucket_of(c, host)];

	while (u && u->host != host)
		u = u->next;
	return u;
}

static void buckets_grow(struct qcow2_cache *c)
{
	struct qcow2_cache wide = *c;

	wide.buckets *= 4;
	wide.bucket = mem_try(wide.buckets, sizeof(*wide.bucket));
	/* Longer chains are only slower. */
	if (!wide.bucket)
		return;
	list_for_each(pos, &c->lru) {
		struct unit *u = container_of(pos, struct unit, lru);
		size_t b = bucket_of(&wide, u->host);

		u->next = wide.bucket[b];
		wide.bucket[b] = u;
	}
	free(c->bucket);
	c->bucket = wide.bucket;
	c->buckets = wide.buckets;
}

static void cache_make_room(struct qcow2_cache *c)
{
	struct list *pos = c->lru.prev;

	while (pos != &c->lru && c->count > UNITS_KEPT &&
	       atomic_load(&used_bytes) > BUDGET) {
		struct unit *u = container_of(pos, struct unit, lru);

		pos = pos->prev;
		if (!u->dirty && !u->writing)
			unit_drop(c, u);
	}
}

static struct unit *unit_add(struct qcow2_cache *c, enum unit_kind kind,
			     uint64_t host)
{
	struct unit *u;
	size_t b;

	cache_make_room(c);
	if (c->count > c->buckets * 2)
		buckets_grow(c);
	u = mem_try(1, sizeof(*u));
	if (u)
		u->data = buf_new(c->unit);
	if (!u || !u->data) {
		free(u);
		return NULL;
	}
	atomic_fetch_add(&used_bytes, c->unit);
	u->host = host;
	u->kind = kind;
	b = bucket_of(c, host);
	u->next = c->bucket[b];
	c->bucket[b] = u;
	list_add(&c->lru, &u->lru);
	c->count++;
	return u;
}

int qcow2_cache_get(struct qcow2 *q, enum unit_kind kind, uint64_t host,
		    struct unit **out)
{
	struct qcow2_cache *c = &q->cache;
	struct unit *u;
	int rc;

	host = align_down(host, c->unit);
	u = unit_find(c, host);
	if (u) {
		/* one cluster as a table of two kinds: the image is broken */
		if (u->kind != kind)
			return qcow2_broken(q);
		list_del(&u->lru);
		list_add(&c->lru, &u->lru);
		*out = u;
		return 0;
	}
	u = unit_add(c, kind, host);
	if (!u)
		return -ENOMEM;
	rc = file_read(q->file, host, u->data, c->unit);
	if (rc) {
		unit_drop(c, u);
		return rc;
	}
	*out = u;
	return 0;
}

int qcow2_cache_new(struct qcow2 *q, enum unit_kind kind, uint64_t cluster,
		    uint64_t from)
{
	struct qcow2_cache *c = &q->cache;
	struct unit *u, *old;
	int rc = file_reserve(q->file, cluster, q->cluster);

	for (uint64_t at = 0; at < q->cluster && !rc; at += c->unit) {
		u = unit_find(c, cluster + at);
		if (!u)
			u = unit_add(c, kind, cluster + at);
		if (!u) {
			rc = -ENOMEM;
			break;
		}
		u->kind = kind;
		memset(u->data, 0, c->unit);
		/* dirty first: a dirty unit is not given up for the other */
		qcow2_cache_dirty(q, u);
		if (from)
			rc = qcow2_cache_get(q, kind, from + at, &old);
		if (from && !rc)
			memcpy(u->data, old->data, c->unit);
	}
	if (rc)
		qcow2_cache_forget(q, cluster);
	return rc;
}

void qcow2_cache_dirty(struct qcow2 *q, struct unit *u)
{
	if (!u->dirty)
		q->cache.dirty++;
	u->dirty = true;
}

void qcow2_cache_forget(struct qcow2 *q, uint64_t cluster)
{
	for (uint64_t at = 0; at < q->cluster; at += q->cache.unit) {
		struct unit *u = unit_find(&q->cache, cluster + at);

		if (u)
			unit_drop(&q->cache, u);
	}
}
