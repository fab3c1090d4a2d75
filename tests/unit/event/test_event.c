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

/* A ring with one listener. */
static void ring_enter(struct event_ring *ring, struct event_listener *l)
{
	event_ring_init(ring);
	assert_int_equal(event_listen(ring, l), 0);
}

static void ring_leave(struct event_ring *ring, struct event_listener *l)
{
	event_unlisten(l);
	event_ring_release(ring);
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
	ring_enter(&ring, &early);
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
	event_unlisten(&late);
	ring_leave(&ring, &early);
}

static void the_descriptor_says_whether_events_wait(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev;
	uint64_t lost;

	(void)state;
	ring_enter(&ring, &l);
	assert_false(readable(&l));
	publish(&ring, 2);
	assert_true(readable(&l));
	event_next(&l, &ev, 0, &lost);
	assert_true(readable(&l));
	event_next(&l, &ev, 0, &lost);
	assert_false(readable(&l));
	ring_leave(&ring, &l);
}

static void who_falls_behind_is_told_how_far(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev;
	uint64_t lost;

	(void)state;
	ring_enter(&ring, &l);
	publish(&ring, EVENT_MOST + 10);
	assert_true(event_next(&l, &ev, 0, &lost));
	assert_int_equal(lost, 10);
	assert_string_equal(ev.text, "10");
	for (unsigned i = 1; i < EVENT_MOST; i++) {
		assert_true(event_next(&l, &ev, 0, &lost));
		assert_int_equal(lost, 0);
		assert_int_equal(ev.seq, 11 + i);
	}
	assert_false(event_next(&l, &ev, 0, &lost));
	ring_leave(&ring, &l);
}

/* Errors of @id, each with a line about where. */
static void publish_errors(struct event_ring *ring, const char *id,
			   unsigned n)
{
	struct event ev = { .operation = "read", .action = "ignore" };

	snprintf(ev.id, sizeof(ev.id), "%s", id);
	for (unsigned i = 0; i < n; i++) {
		ev.type = EVENT_NOTICE;
		snprintf(ev.text, sizeof(ev.text), "%s at %u", id, i);
		event_publish(ring, &ev);
		ev.type = EVENT_JOB_ERROR;
		ev.text[0] = '\0';
		event_publish(ring, &ev);
	}
}

static void publish_status(struct event_ring *ring, const char *id,
			   const char *status)
{
	struct event ev = { .type = EVENT_JOB_STATUS, .status = status };

	snprintf(ev.id, sizeof(ev.id), "%s", id);
	event_publish(ring, &ev);
}

/* How many of @type and @id come until a status of @until; with those that
 * were joined. */
static uint64_t count(struct event_listener *l, enum event_type type,
		      const char *id, const char *until, unsigned *taken)
{
	uint64_t n = 0, lost;
	struct event ev;

	for (*taken = 0; event_next(l, &ev, 0, &lost); ++*taken) {
		assert_int_equal(lost, 0);
		if (ev.type == type && !strcmp(ev.id, id))
			n += 1 + ev.more;
		if (ev.type == EVENT_JOB_STATUS && !strcmp(ev.status, until))
			return n;
	}
	fail_msg("no status %s", until);
	return 0;
}

/* What else happened stays where it was among them. */
static void errors_of_a_flood_are_joined(void **state)
{
	struct event_ring ring;
	struct event_listener slow, slower;
	struct event ev;
	uint64_t lost;
	unsigned taken;

	(void)state;
	ring_enter(&ring, &slow);
	publish_status(&ring, "a", "created");
	assert_int_equal(event_listen(&ring, &slower), 0);
	for (unsigned i = 0; i < 1000; i++) {
		publish_errors(&ring, "a", 50);
		publish_errors(&ring, "b", 50);
	}
	publish_status(&ring, "a", "paused");
	publish_errors(&ring, "a", EVENT_MOST);
	publish_status(&ring, "b", "concluded");
	assert_true(event_next(&slow, &ev, 0, &lost));
	assert_int_equal(ev.type, EVENT_JOB_STATUS);
	assert_int_equal(count(&slow, EVENT_JOB_ERROR, "b", "paused", &taken),
			 50000);
	assert_true(taken <= 2 * EVENT_FLOOD);
	assert_int_equal(count(&slow, EVENT_JOB_ERROR, "a", "concluded",
			       &taken), EVENT_MOST);
	assert_true(taken <= 3);
	assert_false(event_next(&slow, &ev, 0, &lost));
	assert_int_equal(count(&slower, EVENT_NOTICE, "a", "paused", &taken),
			 50000);
	event_unlisten(&slower);
	ring_leave(&ring, &slow);
}

/* One who keeps up sees each, with its own line. */
static void who_keeps_up_sees_each(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev;
	uint64_t lost;

	(void)state;
	ring_enter(&ring, &l);
	for (unsigned i = 0; i < 3; i++) {
		publish_errors(&ring, "a", EVENT_FLOOD / 2);
		for (unsigned k = 0; k < EVENT_FLOOD; k++) {
			assert_true(event_next(&l, &ev, 0, &lost));
			assert_int_equal(ev.more, 0);
		}
		assert_false(event_next(&l, &ev, 0, &lost));
	}
	ring_leave(&ring, &l);
}

/* Other errors are other events. */
static void unlike_errors_stay_apart(void **state)
{
	struct event_ring ring;
	struct event_listener l;
	struct event ev = { .type = EVENT_IO_ERROR, .id = "d", .node = "n",
			    .operation = "read", .action = "report" };
	uint64_t lost;

	(void)state;
	ring_enter(&ring, &l);
	publish(&ring, EVENT_FLOOD);
	for (unsigned i = 0; i < 8; i++) {
		ev.operation = i % 2 ? "read" : "write";
		ev.nospace = i % 4 >= 2;
		strcpy(ev.text, i < 4 ? "Input/output error" : "No space");
		event_publish(&ring, &ev);
		event_publish(&ring, &ev);
	}
	for (unsigned i = 0; i < EVENT_FLOOD + 8; i++) {
		assert_true(event_next(&l, &ev, 0, &lost));
		assert_int_equal(ev.more, i >= EVENT_FLOOD);
	}
	assert_false(event_next(&l, &ev, 0, &lost));
	ring_leave(&ring, &l);
}

/* What a job did outlives the job and the event, till the next is taken. */
static void the_end_of_a_job_is_counted(void **state)
{
	struct event_ring ring;
	struct event_listener l, other;
	struct event ev = { .type = EVENT_JOB_COMPLETED,
			    .end = job_end_new() };
	uint64_t lost;

	(void)state;
	ring_enter(&ring, &l);
	assert_int_equal(event_listen(&ring, &other), 0);
	job_files_add(&ev.end->unused, "/a", 7);
	event_publish(&ring, &ev);
	assert_int_equal(ev.end->refs, 2);
	job_end_put(ev.end);
	publish(&ring, 1);
	assert_true(event_next(&l, &ev, 0, &lost));
	event_unlisten(&other);
	assert_int_equal(ev.end->refs, 1);
	assert_string_equal(ev.end->unused.list[0].path, "/a");
	assert_int_equal(job_files_bytes(&ev.end->unused), 7);
	assert_true(event_next(&l, &ev, 0, &lost));
	assert_null(ev.end);
	ring_leave(&ring, &l);
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
	ring_enter(&ring, &l);
	assert_false(event_next(&l, &ev, clock_ns() + NS_PER_MS, &lost));
	assert_int_equal(thread_start(&thread, "publish", publish_one, &ring),
			 0);
	assert_true(event_next(&l, &ev, UINT64_MAX, &lost));
	thread_join(thread);
	ring_leave(&ring, &l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everyone_hears_from_when_he_listens),
		cmocka_unit_test(the_descriptor_says_whether_events_wait),
		cmocka_unit_test(who_falls_behind_is_told_how_far),
		cmocka_unit_test(errors_of_a_flood_are_joined),
		cmocka_unit_test(who_keeps_up_sees_each),
		cmocka_unit_test(unlike_errors_stay_apart),
		cmocka_unit_test(the_end_of_a_job_is_counted),
		cmocka_unit_test(a_waiter_is_woken),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
