/* test_event.c - listeners hear everything from when they listen, or are told
 * how much they lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "engine/event/event.h"
#include "engine/util/clock.h"

static void publish(struct event_ring *ring, unsigned n)
{
	struct event ev = { .type = EVENT_NOTICE };

	for (unsigned i = 0; i < n; i++) {
		snprintf(ev.text, sizeof(ev.text), "%u", i);
		event_publish(ring, &ev);
	}
}

static bool readable(const struct event_listener *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void everyone_hears_from_when_he_listens(void **state)
{
	struct event_ring ring;
	struct event_listener early, late;
	struct event ev;
	uint64_t lost;

	(void)state;
	event_ring_init(&ring);
	assert_int_equal(event_listen(&ring, &early), 0);
	publish(&ring, 1);
	assert_int_equal(event_listen(&ring, &late), 0);
	assert_false(event_next(&late, &ev, 0, &lost));
	publish(&ring, 1);
	for (uint64_t seq = 1; seq <= 2; seq++) {
		assert_true(event_next(&early, &ev, 0, &lost));
		assert_int_equal(ev.seq, seq);
		assert_int_equal(lost, 0);
		assert_true(ev.wall_us > 0);
	}
	assert_true(event_next(&late, &ev, 0, &lost));
	assert_int_equal(ev.seq, 2);
	event_unlisten(&early);
	event_unlisten(&late);
	event_ring_release(&ring);
}

static void the_descriptor_says_whether_events_wait(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev;
	uint64_t lost;

	(void)state;
	event_ring_init(&ring);
	assert_int_equal(event_listen(&ring, &l), 0);
	assert_false(readable(&l));
	publish(&ring, 2);
	assert_true(readable(&l));
	event_next(&l, &ev, 0, &lost);
	assert_true(readable(&l));
	event_next(&l, &ev, 0, &lost);
	assert_false(readable(&l));
	event_unlisten(&l);
	event_ring_release(&ring);
}

static void who_falls_behind_is_told_how_far(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev;
	uint64_t lost;

	(void)state;
	event_ring_init(&ring);
	assert_int_equal(event_listen(&ring, &l), 0);
	publish(&ring, EVENT_RING + 10);
	assert_true(event_next(&l, &ev, 0, &lost));
	assert_int_equal(lost, 10);
	assert_string_equal(ev.text, "10");
	for (unsigned i = 1; i < EVENT_RING; i++) {
		assert_true(event_next(&l, &ev, 0, &lost));
		assert_int_equal(lost, 0);
		assert_int_equal(ev.seq, 11 + i);
	}
	assert_false(event_next(&l, &ev, 0, &lost));
	event_unlisten(&l);
	event_ring_release(&ring);
}

static void publish_one(void *arg)
{
	publish(arg, 1);
}

static void a_waiter_is_woken(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev;
	pthread_t thread;
	uint64_t lost;

	(void)state;
	event_ring_init(&ring);
	assert_int_equal(event_listen(&ring, &l), 0);
	assert_false(event_next(&l, &ev, clock_ns() + NS_PER_MS, &lost));
	assert_int_equal(thread_start(&thread, "publish", publish_one, &ring),
			 0);
	assert_true(event_next(&l, &ev, UINT64_MAX, &lost));
	thread_join(thread);
	event_unlisten(&l);
	event_ring_release(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everyone_hears_from_when_he_listens),
		cmocka_unit_test(the_descriptor_says_whether_events_wait),
		cmocka_unit_test(who_falls_behind_is_told_how_far),
		cmocka_unit_test(a_waiter_is_woken),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
