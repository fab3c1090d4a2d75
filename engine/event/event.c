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
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

void event_ring_init(struct event_ring *ring)
{
	*ring = (struct event_ring){
		.ring = mem_alloc(EVENT_RING * sizeof(*ring->ring)),
		.next = 1,
	};
	lock_init(&ring->lock);
	cond_init(&ring->more);
	list_init(&ring->listeners);
}

void event_ring_release(struct event_ring *ring)
{
	BUG_ON(!list_is_empty(&ring->listeners));
	free(ring->ring);
	cond_release(&ring->more);
	lock_release(&ring->lock);
}

static struct event *event_slot(struct event_ring *ring, uint64_t seq)
{
	return &ring->ring[seq % EVENT_RING];
}

void event_publish(struct event_ring *ring, const struct event *ev)
{
	struct event *slot;

	lock_take(&ring->lock);
	slot = event_slot(ring, ring->next);
	*slot = *ev;
	slot->seq = ring->next++;
	slot->wall_us = clock_wall_us();
	list_for_each(link, &ring->listeners)
		eventfd_write(container_of(link, struct event_listener,
					   link)->fd, 1);
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

int event_listen(struct event_ring *ring, struct event_listener *l)
{
	l->ring = ring;
	l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	lock_take(&ring->lock);
	l->next = ring->next;
	list_add_tail(&ring->listeners, &l->link);
	lock_drop(&ring->lock);
	return 0;
}

void event_unlisten(struct event_listener *l)
{
	lock_take(&l->ring->lock);
	list_del(&l->link);
	lock_drop(&l->ring->lock);
	close(l->fd);
}

bool event_next(struct event_listener *l, struct event *ev, uint64_t deadline,
		uint64_t *lost)
{
	struct event_ring *ring = l->ring;
	eventfd_t count;
	bool found;

	*lost = 0;
	lock_take(&ring->lock);
	while (l->next == ring->next && deadline &&
	       cond_wait_until(&ring->more, &ring->lock, deadline))
		;
	found = l->next != ring->next;
	if (found) {
		if (ring->next - l->next > EVENT_RING) {
			*lost = ring->next - EVENT_RING - l->next;
			l->next += *lost;
		}
		*ev = *event_slot(ring, l->next++);
	}
	if (l->next == ring->next)
		eventfd_read(l->fd, &count);
	lock_drop(&ring->lock);
	return found;
}
