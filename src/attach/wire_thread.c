/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/attach/rival.h"
#include "src/attach/wire_impl.h"

#define DIAL_NS (10 * NS_PER_SEC)
#define HELD_NS (2 * NS_PER_SEC)
#define REACH_NS (30 * NS_PER_SEC)
#define NEGOTIATE_NS (10 * NS_PER_SEC)
/* What is to be tidied up is, also by one who leaves. */
#define LAST_NS NS_PER_SEC
/* Of an end that is visited: how often, and how long it is stayed for the next
 * request. */
#define VISIT_NS (2 * NS_PER_SEC)
#define LINGER_NS (NS_PER_SEC / 10)
#define PAUSE_LEAST_NS (NS_PER_SEC / 4)
#define PAUSE_MOST_NS (5 * NS_PER_SEC)

/* A chain of a thousand images takes some MiB, and query-block nests each in
 * what lies on it. */
static const struct json_limits wire_limits = {
	.bytes = (size_t)64 << 20, .values = (size_t)4 << 20,
	.depth = JSON_STREAM_DEPTH_MOST,
};

/* Whose thread this is; NULL of all others. */
static _Thread_local const struct wire *wire_of_thread;

bool wire_is_own_thread(const struct wire *w)
{
	return wire_of_thread == w;
}

static void wire_set_state(struct wire *w, enum wire_state state,
			   const char *why)
{
	lock_take(&w->lock);
	if (w->status.state != state)
		w->status.since_us = clock_wall_us();
	w->status.state = state;
	w->status.stalled = false;
	snprintf(w->status.why, sizeof(w->status.why), "%s", why);
	cond_wake_all(&w->changed);
	lock_drop(&w->lock);
	w->ops->changed(w->arg, state, why);
}

static bool wire_stops(struct wire *w)
{
	bool stop;

	lock_take(&w->lock);
	stop = w->stop;
	lock_drop(&w->lock);
	return stop;
}

/* --- what comes --- */

/* Lock held. */
static void wire_call_end(struct wire_call *call, json_t *reply)
{
	call->reply = reply;
	call->over = true;
	list_del(&call->link);
	if (call->abandoned)
		wire_call_free(call);
	else if (call->fd >= 0)
		eventfd_write(call->fd, 1);
}

/* A reply with no id, or one that nobody waits for, is passed over; else it
 * is his alone from here on. Takes it. */
static void wire_take_reply(struct wire *w, json_t *reply)
{
	json_t *id = json_object_get(reply, "id");
	uint64_t number = json_is_integer(id) ?
		(uint64_t)json_integer_value(id) : 0;
	struct wire_call *found = NULL;

	json_object_del(reply, "id");
	lock_take(&w->lock);
	list_for_each(link, &w->sent)
		if (wire_call_of(link)->id == number)
			found = wire_call_of(link);
	if (found)
		wire_call_end(found, reply);
	lock_drop(&w->lock);
	if (!found)
		json_decref(reply);
}

/* Takes @value. */
static int wire_take(struct wire *w, json_t *value, struct err *err)
{
	bool reply = json_is_object(json_object_get(value, "error")) ||
		json_object_get(value, "return");

	if (!w->greeted) {
		w->greeted = json_is_object(json_object_get(value, "QMP"));
		json_decref(value);
		dialled_forget(&w->line);
		return w->greeted ? 0 : err_set(err, ERR_GENERIC, "what it "
						"says first is no greeting "
						"of QMP");
	}
	if (reply) {
		wire_take_reply(w, value);
		return 0;
	}
	if (json_is_string(json_object_get(value, "event")))
		w->ops->event(w->arg, value);
	json_decref(value);
	return 0;
}

static int wire_take_bytes(struct wire *w, const char *data, size_t len,
			   struct err *err)
{
	json_t *value;

	lock_take(&w->lock);
	w->status.stalled = false;
	w->status.heard_us = clock_wall_us();
	w->heard_ns = clock_ns();
	lock_drop(&w->lock);
	while (json_stream_next(&w->in, &data, &len, &value, err))
		if (!value || wire_take(w, value, err))
			return -1;
	return 0;
}

static int wire_read(struct wire *w, struct err *err)
{
	char buf[65536];
	ssize_t n = read(w->line.fd, buf, sizeof(buf));

	if (n > 0)
		return wire_take_bytes(w, buf, (size_t)n, err);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return err_set(err, ERR_GENERIC, "%s", n ? strerror(errno) :
		       "it hung up");
}

/* --- what goes --- */

/* Lock held. Bytes sent, or -errno. */
static ssize_t wire_write_some(struct wire *w, struct wire_call *call)
{
	ssize_t n = send(w->line.fd, call->text + call->sent,
			 call->len - call->sent, MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

/* Lock held. Before it is negotiated only the thread itself asks. */
static struct wire_call *wire_next_call(struct wire *w)
{
	list_for_each(link, &w->unsent)
		if (w->open || wire_call_of(link)->fd < 0)
			return wire_call_of(link);
	return NULL;
}

static int wire_write(struct wire *w, struct err *err)
{
	struct wire_call *call;
	ssize_t n = 0;

	lock_take(&w->lock);
	while (n >= 0 && (call = wire_next_call(w))) {
		n = wire_write_some(w, call);
		if (n > 0)
			call->sent += (size_t)n;
		if (call->sent < call->len)
			continue;
		list_del(&call->link);
		list_add_tail(&w->sent, &call->link);
	}
	lock_drop(&w->lock);
	if (n >= 0 || n == -EAGAIN || n == -EINTR)
		return 0;
	return err_set(err, ERR_GENERIC, "%s", strerror((int)-n));
}

/* --- the thread --- */

/* Waits for bytes, requests or @deadline, and moves what there is. -1: this
 * connection is over. */
static int wire_pump(struct wire *w, uint64_t deadline, struct err *err)
{
	struct pollfd fds[] = {
		{ .fd = w->line.fd, .events = POLLIN },
		{ .fd = w->wake, .events = POLLIN },
		{ .fd = w->line.complaints, .events = POLLIN },
	};
	eventfd_t count;
	bool stop;

	lock_take(&w->lock);
	if (wire_next_call(w))
		fds[0].events |= POLLOUT;
	stop = w->stop;
	lock_drop(&w->lock);
	if (stop && !w->own_call)
		return err_set(err, ERR_GENERIC, "disconnected");
	if (poll(fds, 3, clock_poll_ms(deadline)) < 0)
		return 0;
	if (fds[2].revents)
		dialled_hear(&w->line);
	if (fds[1].revents)
		eventfd_read(w->wake, &count);
	if ((fds[0].revents & POLLOUT) && wire_write(w, err))
		return -1;
	if (fds[0].revents & ~POLLOUT)
		return wire_read(w, err);
	return 0;
}

bool wire_call_over(struct wire *w, struct wire_call *call)
{
	bool over;

	lock_take(&w->lock);
	over = call->over;
	lock_drop(&w->lock);
	return over;
}

void wire_pump_call(struct wire *w, struct wire_call *call, uint64_t deadline)
{
	struct err err = ERR_INIT;

	w->own_call = true;
	while (!wire_call_over(w, call) && clock_ns() < deadline) {
		uint64_t soon = clock_ns() + LAST_NS;

		if (wire_stops(w) && soon < deadline)
			deadline = soon;
		if (wire_pump(w, deadline, &err))
			break;
	}
	w->own_call = false;
}

static void wire_tell_held(struct wire *w)
{
	char rival[128], why[192];
	bool found = w->address->kind == ADDRESS_UNIX &&
		rival_find(w->address->path, w->line.fd, rival,
			   sizeof(rival));

	snprintf(why, sizeof(why), "connected, but not greeted: %s hold%s its "
		 "monitor", found ? rival : "somebody else may",
		 found ? "s" : "");
	wire_set_state(w, WIRE_HELD, why);
}

static int wire_reach(struct wire *w, struct err *err)
{
	uint64_t late = clock_ns() + REACH_NS;

	while (!w->line.reached && !w->greeted) {
		if (wire_pump(w, late, err))
			return -1;
		if (clock_ns() >= late && !w->line.reached)
			return err_set(err, ERR_GENERIC, "ssh did not get "
				       "through in %d s",
				       (int)(REACH_NS / NS_PER_SEC));
	}
	return 0;
}

/* One who is not greeted may stand in a queue: he waits as long as it takes,
 * and says so. */
static int wire_await_greeting(struct wire *w, struct err *err)
{
	uint64_t held;

	if (wire_reach(w, err))
		return -1;
	held = clock_ns() + HELD_NS;
	while (!w->greeted) {
		if (wire_pump(w, held, err))
			return -1;
		if (w->greeted || clock_ns() < held)
			continue;
		wire_tell_held(w);
		held = UINT64_MAX;
	}
	return 0;
}

static int wire_negotiate(struct wire *w, struct err *err)
{
	const struct wire_terms terms = { .limit_ns = NEGOTIATE_NS };
	json_t *reply = wire_request(w, json_pack("{s:s}", "execute",
						  "qmp_capabilities"),
				     &terms, err);
	int rc = reply ? 0 : -1;

	if (reply && !json_object_get(reply, "return"))
		rc = err_set(err, ERR_GENERIC, "it refuses to negotiate");
	json_decref(reply);
	return rc;
}

/* From here on others ask, too. One that is visited was live all the time. */
static void wire_open(struct wire *w)
{
	bool news;

	lock_take(&w->lock);
	w->open = true;
	news = w->status.state != WIRE_LIVE || *w->status.why;
	lock_drop(&w->lock);
	if (news)
		wire_set_state(w, WIRE_LIVE, "");
}

static bool wire_wants(struct wire *w)
{
	bool any;

	lock_take(&w->lock);
	any = !list_is_empty(&w->unsent) || !list_is_empty(&w->sent);
	lock_drop(&w->lock);
	return any;
}

/* 0: nobody wants anything any more; -1: this connection is over. */
static int wire_visit(struct wire *w, struct err *err)
{
	uint64_t leave = clock_ns() + LINGER_NS;

	while (clock_ns() < leave) {
		w->ops->tend(w->arg);
		if (wire_pump(w, leave, err))
			return -1;
		if (wire_wants(w))
			leave = clock_ns() + LINGER_NS;
	}
	return 0;
}

/* The same. */
static int wire_talk(struct wire *w, struct err *err)
{
	if (wire_await_greeting(w, err) || wire_negotiate(w, err) ||
	    w->ops->up(w->arg, err))
		return -1;
	w->pause_ns = PAUSE_LEAST_NS;
	wire_open(w);
	if (!w->address->hold)
		return wire_visit(w, err);
	do
		w->ops->tend(w->arg);
	while (!wire_pump(w, UINT64_MAX, err));
	return -1;
}

static void wire_end_calls(struct list *calls)
{
	list_for_each_safe(link, calls)
		wire_call_end(wire_call_of(link), NULL);
}

/* What is half read is forgotten. */
static void wire_close(struct wire *w, struct err *err)
{
	dialled_close(&w->line, err);
	json_stream_release(&w->in);
	w->in = (struct json_stream) { .limits = &wire_limits };
	w->greeted = false;
	lock_take(&w->lock);
	w->open = false;
	lock_drop(&w->lock);
}

/* Everybody is told. */
static void wire_hang_up(struct wire *w, struct err *err)
{
	wire_close(w, err);
	wire_set_state(w, WIRE_GONE, err->text);
	lock_take(&w->lock);
	wire_end_calls(&w->unsent);
	wire_end_calls(&w->sent);
	lock_drop(&w->lock);
}

/* Nothing but the end of the program wakes it: a request to one that is gone
 * fails. */
static void wire_pause(struct wire *w)
{
	uint64_t until = clock_ns() + w->pause_ns;
	struct pollfd wake = { .fd = w->wake, .events = POLLIN };
	eventfd_t count;

	while (!wire_stops(w) && clock_ns() < until)
		if (poll(&wake, 1, clock_poll_ms(until)) > 0)
			eventfd_read(w->wake, &count);
	w->pause_ns *= 2;
	if (w->pause_ns > PAUSE_MOST_NS)
		w->pause_ns = PAUSE_MOST_NS;
}

static bool wire_is_called(struct wire *w)
{
	bool urgent = false;

	lock_take(&w->lock);
	list_for_each(link, &w->unsent)
		urgent |= wire_call_of(link)->urgent;
	lock_drop(&w->lock);
	return urgent;
}

/* Others may have the monitor until the next visit. */
static void wire_rest(struct wire *w)
{
	uint64_t until = clock_ns() + VISIT_NS;
	struct pollfd wake = { .fd = w->wake, .events = POLLIN };
	eventfd_t count;

	wire_close(w, NULL);
	while (!wire_stops(w) && !wire_is_called(w) && clock_ns() < until)
		if (poll(&wake, 1, clock_poll_ms(until)) > 0)
			eventfd_read(w->wake, &count);
}

static int wire_dial(struct wire *w, struct err *err)
{
	if (address_dial(w->address, clock_ns() + DIAL_NS, w->wake, &w->line,
			 err))
		return -1;
	lock_take(&w->lock);
	w->status.peer = w->line.peer;
	lock_drop(&w->lock);
	return 0;
}

void wire_thread(void *wire)
{
	struct wire *w = wire;

	wire_of_thread = w;
	w->pause_ns = PAUSE_LEAST_NS;
	w->in.limits = &wire_limits;
	while (!wire_stops(w)) {
		struct err err = ERR_INIT;

		if (!wire_dial(w, &err) && !wire_talk(w, &err)) {
			wire_rest(w);
			continue;
		}
		wire_hang_up(w, &err);
		wire_pause(w);
	}
}
