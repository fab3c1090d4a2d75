/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/after/after.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/after/entry.h"
#include "src/after/hook.h"
#include "src/after/hook_call.h"
#include "src/history/job_history.h"
#include "src/qmp/event.h"

/* From being asked to end to being killed. */
#define AFTER_TERM_NS NS_PER_SEC

struct after {
	struct event_ring *ring;
	struct event_listener listener;
	struct hooks hooks;
	bool history;			/* is kept */
	bool told;			/* that it can't be */
	int stop_fd;			/* readable when it is to end */
	pthread_t thread;
};

/* --- events --- */

/* Said once: what is wrong with the disk or the home is so for all of them. */
static void after_remember(struct after *a, const struct event *ev)
{
	struct err err = ERR_INIT;
	json_t *entry = entry_new(ev);

	if (!entry)
		err_sys(&err, ENOMEM, "No line for '%s'", ev->id);
	else
		job_history_add(entry, &err);
	if (err.class && !a->told) {
		a->told = true;
		event_notice(a->ring, "The history of jobs is not kept: %s",
			     err.text);
	}
	json_decref(entry);
}

static void after_hear(struct after *a, const struct event *ev)
{
	bool over = ev->type == EVENT_JOB_COMPLETED ||
		ev->type == EVENT_JOB_CANCELLED;
	json_t *json;

	if (over && a->history)
		after_remember(a, ev);
	if (!a->hooks.n || !hook_event_name(ev))
		return;
	json = qmp_event(ev);
	hooks_event(&a->hooks, ev, json);
	json_decref(json);
}

static void after_take_events(struct after *a)
{
	struct event ev;
	uint64_t lost;

	while (event_next(&a->listener, &ev, 0, &lost))
		after_hear(a, &ev);
}

/* --- the thread --- */

/* @deadline: clock_ns() at which it has waited enough. */
static bool after_wait(struct after *a, bool stops, uint64_t deadline)
{
	struct pollfd fds[HOOK_FDS + 2];
	int timeout = hooks_poll(&a->hooks, fds);
	int left = clock_poll_ms(deadline);

	fds[HOOK_FDS] = (struct pollfd) { .fd = a->listener.fd,
					  .events = POLLIN };
	fds[HOOK_FDS + 1] = (struct pollfd) { .fd = stops ? -1 : a->stop_fd,
					      .events = POLLIN };
	if (left >= 0)
		timeout = timeout < 0 || left < timeout ? left : timeout;
	/* More than the process may have open can't be waited for at once. */
	if (poll(fds, HOOK_FDS + 2, timeout) < 0 && errno == EINVAL)
		poll(fds + HOOK_FDS, 2, timeout);
	return fds[HOOK_FDS + 1].revents;
}

/* True when all that there was to do has been done by the time @until. */
static bool after_finish(struct after *a, uint64_t until)
{
	for (;;) {
		after_take_events(a);
		hooks_look(&a->hooks);
		if (hooks_idle(&a->hooks))
			return true;
		if (clock_ns() >= until)
			return false;
		after_wait(a, true, until);
	}
}

static void after_main(void *arg)
{
	struct after *a = arg;

	do {
		after_take_events(a);
		hooks_look(&a->hooks);
	} while (!after_wait(a, false, UINT64_MAX));
	if (after_finish(a, clock_ns() + AFTER_GRACE_NS))
		return;
	hooks_end(&a->hooks, SIGTERM);
	after_finish(a, clock_ns() + AFTER_TERM_NS);
}

static void after_free(struct after *a)
{
	hooks_release(&a->hooks);
	event_unlisten(&a->listener);
	if (a->stop_fd >= 0)
		close(a->stop_fd);
	free(a);
}

struct after *after_start(struct engine *e, const struct after_options *o,
			  struct err *err)
{
	struct after *a = mem_alloc(sizeof(*a));
	int rc;

	*a = (struct after) { .ring = engine_events(e),
			      .history = !o->no_history };
	hooks_init(&a->hooks, o->hooks, o->hook_count, a->ring);
	a->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = a->stop_fd < 0 ? -errno : event_listen(a->ring, &a->listener);
	if (!rc) {
		rc = thread_start(&a->thread, "after", after_main, a);
		if (!rc)
			return a;
		event_unlisten(&a->listener);
	}
	err_sys(err, rc, "Could not start");
	if (a->stop_fd >= 0)
		close(a->stop_fd);
	free(a);
	return NULL;
}

void after_stop(struct after *a)
{
	if (!a)
		return;
	eventfd_write(a->stop_fd, 1);
	thread_join(a->thread);
	after_free(a);
}
