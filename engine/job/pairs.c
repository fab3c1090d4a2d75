/* pairs.c - see pairs.h.
 *
 * A load of pieces is looked up, what has to be read of it is read side by
 * side, and then they are handed out one by one.
 */
#include "engine/job/pairs.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/chain/node_io.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define PAIRS_MAX 64u			/* pieces of one load */
#define PAIRS_BYTES (4u << 20)		/* of each disk in one load */
#define PAIR_READ_MAX (512u << 10)	/* bytes of a piece that is read */

struct pair_slot {
	struct task task;
	const struct pairs *pairs;
	struct pair pair;
	uint8_t *buf[2];		/* to be read to; NULL: not */
};

struct pairs {
	struct pairs_options o;
	struct places places[2];
	struct batch batch;
	struct pair_slot slot[PAIRS_MAX];
	unsigned count, at;		/* of the load */
	uint64_t off;			/* behind the load */
	int rc;				/* why the load ended there */
	unsigned failed;
	uint8_t *buf[2];		/* PAIRS_BYTES each, or NULL */
	uint64_t used;			/* bytes of both */
};

struct pairs *pairs_new(const struct pairs_options *o)
{
	struct pairs *p = mem_try(1, sizeof(*p));

	if (!p)
		return NULL;
	p->o = *o;
	batch_init(&p->batch, o->pool);
	for (unsigned i = 0; i < 2; i++) {
		places_init(&p->places[i], o->top[i]);
		p->buf[i] = buf_new(PAIRS_BYTES);
	}
	if (p->buf[0] && p->buf[1])
		return p;
	pairs_free(p);
	return NULL;
}

void pairs_free(struct pairs *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < 2; i++) {
		places_release(&p->places[i]);
		free(p->buf[i]);
	}
	batch_release(&p->batch);
	free(p);
}

/* Does the image above hold the bytes from p->off on? *len is cut to what that
 * answer is good for. */
static int pairs_pass_over(const struct pairs *p, uint64_t *len, bool *held)
{
	struct run run = { .len = *len };
	uint64_t size = p->o.over ? p->o.over->size : 0;
	int rc = 0;

	*held = false;
	if (p->off >= size)
		return 0;
	rc = node_map(p->o.over, p->off, min_u64(*len, size - p->off), &run);
	*len = run.len;
	*held = run.kind != RUN_HOLE;
	return rc;
}

/* The bytes from p->off on, at most @len, as both maps have them. */
static int pairs_look(struct pairs *p, uint64_t len, struct pair *pair)
{
	int rc = 0;

	*pair = (struct pair){ .off = p->off, .len = len };
	for (unsigned i = 0; i < 2 && !rc; i++) {
		rc = places_at(&p->places[i], p->off, pair->len,
			       &pair->place[i]);
		pair->len = pair->place[i].len;
		p->failed = i;
	}
	if (rc)
		return rc;
	pair->same = place_is_same(&pair->place[0], &pair->place[1]);
	if (!pair->same && !p->o.unread)
		pair->len = min_u64(pair->len, PAIR_READ_MAX);
	pair->place[0].len = pair->place[1].len = pair->len;
	return 0;
}

/* A place in the buffers, where there is one to be read. False: they are
 * full. */
static bool pairs_place(struct pairs *p, struct pair_slot *slot)
{
	if (slot->pair.same || p->o.unread)
		return true;
	if (p->used + slot->pair.len > PAIRS_BYTES)
		return false;
	for (unsigned i = 0; i < 2; i++)
		if (!slot->pair.place[i].zero)
			slot->pair.data[i] = slot->buf[i] = p->buf[i] + p->used;
	p->used += slot->pair.len;
	return true;
}

/* The chain is held by who called us. */
static int pair_read(struct task *task)
{
	struct pair_slot *slot = container_of(task, struct pair_slot, task);
	struct pair *pair = &slot->pair;

	for (unsigned i = 0; i < 2 && !pair->rc; i++) {
		if (slot->buf[i])
			pair->rc = node_read(slot->pairs->o.top[i], pair->off,
					     pair->len, slot->buf[i]);
		pair->failed = i;
	}
	return 0;
}

static void pairs_load(struct pairs *p)
{
	bool held;

	p->count = p->at = 0;
	p->used = 0;
	while (p->count < PAIRS_MAX && p->off < p->o.size && !p->rc) {
		struct pair_slot *slot = &p->slot[p->count];
		uint64_t len = p->o.size - p->off;

		p->failed = 2;
		p->rc = pairs_pass_over(p, &len, &held);
		if (!p->rc && !held) {
			*slot = (struct pair_slot){ .task.fn = pair_read,
						    .pairs = p };
			p->rc = pairs_look(p, len, &slot->pair);
			len = slot->pair.len;
			if (p->rc || !pairs_place(p, slot))
				break;
			p->count++;
		}
		p->off += p->rc ? 0 : len;
	}
	for (unsigned i = 0; i < p->count; i++)
		if (!p->slot[i].pair.same && !p->o.unread)
			pool_submit(&p->batch, &p->slot[i].task);
	batch_wait(&p->batch);
}

int pairs_next(struct pairs *p, struct pair *out, unsigned *failed)
{
	while (p->at == p->count) {
		*failed = p->failed;
		out->off = p->off;
		if (p->rc)
			return p->rc;
		if (p->off >= p->o.size)
			return 0;
		pairs_load(p);
	}
	*out = p->slot[p->at++].pair;
	return 1;
}

void pairs_again(struct pairs *p, uint64_t off)
{
	p->off = off;
	p->count = p->at = 0;
	p->rc = 0;
}
