/* event.c - see event.h.
 *
 * A listener's eventfd counts nothing, it only says "not empty": written with
 * every event, emptied when the listener has caught up. Both happen under the
 * ring's lock, so that no event slips between; the calls don't block.
 */
#include "engine/event/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* So far back is looked for an error to join another with. */
#define LOOK_BACK 64

/* One event, for all who have not taken it; its text is cut to its length. */
struct kept {
	unsigned users;
	struct event ev;
};

struct waiting {
	struct list link;	/* event_listener->waiting */
	struct kept *kept;
	uint64_t more;
};

void event_ring_init(struct event_ring *ring)
{
	*ring = (struct event_ring){ .next = 1 };
	lock_init(&ring->lock);
	cond_init(&ring->more);
	list_init(&ring->listeners);
}

void event_ring_release(struct event_ring *ring)
{
	BUG_ON(!list_is_empty(&ring->listeners));
	cond_release(&ring->more);
	lock_release(&ring->lock);
}

/* --- what waits; the ring's lock is held --- */

static struct waiting *waiting_at(struct list *link)
{
	return container_of(link, struct waiting, link);
}

static size_t event_size(const struct event *ev)
{
	return offsetof(struct event, text) + strlen(ev->text) + 1;
}

/* NULL: no memory. Nobody uses it yet. */
static struct kept *event_keep(const struct event *ev, uint64_t seq)
{
	size_t size = event_size(ev);
	struct kept *kept = mem_try(1, offsetof(struct kept, ev) + size);

	if (!kept)
		return NULL;
	memcpy(&kept->ev, ev, size);
	job_end_get(kept->ev.end);
	kept->ev.seq = seq;
	kept->ev.wall_us = clock_wall_us();
	return kept;
}

static void event_put(struct kept *kept)
{
	if (--kept->users)
		return;
	job_end_put(kept->ev.end);
	free(kept);
}

static bool event_append(struct event_listener *l, struct kept *kept)
{
	struct waiting *w = mem_try(1, sizeof(*w));

	if (!w)
		return false;
	w->kept = kept;
	kept->users++;
	list_add_tail(&l->waiting, &w->link);
	l->count++;
	return true;
}

static void drop_first(struct event_listener *l)
{
	struct waiting *w = waiting_at(l->waiting.next);

	list_del(&w->link);
	l->count--;
	event_put(w->kept);
	free(w);
}

/* --- errors of a flood --- */

static bool may_join(const struct event *ev)
{
	return ev->type == EVENT_JOB_ERROR || ev->type == EVENT_IO_ERROR ||
	       ev->type == EVENT_NOTICE;
}

static bool same_words(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Lines about one job say the same, though at other places of its disk. */
static bool says_the_same(const struct event *a, const struct event *b)
{
	return a->type == b->type && !strcmp(a->node, b->node) &&
	       same_words(a->operation, b->operation) &&
	       same_words(a->action, b->action) && a->nospace == b->nospace &&
	       ((a->type == EVENT_NOTICE && *a->id) ||
		!strcmp(a->text, b->text));
}

/* Looks back over events of others, and over errors. */
static bool join(struct event_listener *l, const struct event *ev)
{
	struct list *link = l->waiting.prev;

	if (l->count < EVENT_FLOOD || !may_join(ev))
		return false;
	for (unsigned i = 0; i < LOOK_BACK; i++, link = link->prev) {
		const struct event *before = &waiting_at(link)->kept->ev;

		if (strcmp(before->id, ev->id))
			continue;
		if (!may_join(before))
			return false;
		if (says_the_same(before, ev)) {
			waiting_at(link)->more++;
			return true;
		}
	}
	return false;
}

/* --- publishing --- */

/* *kept: the copy of @ev, made for the first who does not have it joined. */
static void event_tell(struct event_listener *l, const struct event *ev,
		       uint64_t seq, struct kept **kept)
{
	if (join(l, ev))
		return;
	if (!*kept)
		*kept = event_keep(ev, seq);
	if (!*kept || !event_append(l, *kept)) {
		l->lost++;
		return;
	}
	if (l->count > EVENT_MOST) {
		l->lost += 1 + waiting_at(l->waiting.next)->more;
		drop_first(l);
	}
	eventfd_write(l->fd, 1);
}

void event_publish(struct event_ring *ring, const struct event *ev)
{
	struct kept *kept = NULL;
	uint64_t seq;

	lock_take(&ring->lock);
	seq = ring->next++;
	list_for_each(link, &ring->listeners)
		event_tell(container_of(link, struct event_listener, link), ev,
			   seq, &kept);
	if (kept && !kept->users) {
		job_end_put(kept->ev.end);
		free(kept);
	}
	cond_wake_all(&ring->more);
	lock_drop(&ring->lock);
}

void event_notice(struct event_ring *ring, const char *fmt, ...)
{
	struct event ev = { .type = EVENT_NOTICE };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ev.text, sizeof(ev.text), fmt, ap);
	va_end(ap);
	event_publish(ring, &ev);
}

/* --- listening --- */

int event_listen(struct event_ring *ring, struct event_listener *l)
{
	*l = (struct event_listener){ .ring = ring };
	list_init(&l->waiting);
	l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	lock_take(&ring->lock);
	list_add_tail(&ring->listeners, &l->link);
	lock_drop(&ring->lock);
	return 0;
}

void event_unlisten(struct event_listener *l)
{
	lock_take(&l->ring->lock);
	list_del(&l->link);
	while (l->count)
		drop_first(l);
	lock_drop(&l->ring->lock);
	job_end_put(l->end);
	close(l->fd);
}

static void take_first(struct event_listener *l, struct event *ev,
		       uint64_t *lost)
{
	const struct waiting *w = waiting_at(l->waiting.next);

	memcpy(ev, &w->kept->ev, event_size(&w->kept->ev));
	ev->more = w->more;
	job_end_put(l->end);
	l->end = job_end_get(ev->end);
	*lost = l->lost;
	l->lost = 0;
	drop_first(l);
}

bool event_next(struct event_listener *l, struct event *ev, uint64_t deadline,
		uint64_t *lost)
{
	struct event_ring *ring = l->ring;
	eventfd_t count;
	bool found;

	*lost = 0;
	lock_take(&ring->lock);
	while (!l->count && deadline &&
	       cond_wait_until(&ring->more, &ring->lock, deadline))
		;
	found = l->count;
	if (found)
		take_first(l, ev, lost);
	if (!l->count)
		eventfd_read(l->fd, &count);
	lock_drop(&ring->lock);
	return found;
}
