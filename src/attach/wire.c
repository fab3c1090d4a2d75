/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The callers' side of a wire; its thread is in wire_thread.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/attach/wire_impl.h"

#define VISIT_LIMIT_NS (4 * NS_PER_SEC)	/* of one who only looks */

static void wire_release(struct wire *w)
{
	close(w->wake);
	cond_release(&w->changed);
	lock_release(&w->lock);
	free(w);
}

struct wire *wire_new(const struct address *address,
		      const struct wire_ops *ops, void *arg, struct err *err)
{
	struct wire *w = mem_alloc(sizeof(*w));

	w->address = address;
	w->ops = ops;
	w->arg = arg;
	w->line.fd = w->line.complaints = -1;
	w->status.since_us = clock_wall_us();
	list_init(&w->unsent);
	list_init(&w->sent);
	lock_init(&w->lock);
	cond_init(&w->changed);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake >= 0)
		return w;
	err_sys(err, errno, "No connection");
	wire_release(w);
	return NULL;
}

int wire_start(struct wire *w, struct err *err)
{
	int rc = thread_start(&w->thread, "wire", wire_thread, w);

	w->started = !rc;
	return rc ? err_sys(err, rc, "No connection") : 0;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	lock_take(&w->lock);
	w->stop = true;
	lock_drop(&w->lock);
	eventfd_write(w->wake, 1);
	if (w->started)
		thread_join(w->thread);
	wire_release(w);
}

/* --- requests --- */

void wire_call_free(struct wire_call *call)
{
	json_decref(call->reply);
	free(call->text);
	free(call);
}

/* Takes @request. NULL and err if there is no memory for it. */
static struct wire_call *wire_call_new(struct wire *w, json_t *request,
				       struct err *err)
{
	struct wire_call *call = mem_alloc(sizeof(*call));
	json_t *copy = json_copy(request);

	json_decref(request);
	call->fd = -1;
	lock_take(&w->lock);
	call->id = ++w->ids;
	lock_drop(&w->lock);
	if (copy)
		json_object_set_new(copy, "id",
				    json_integer((json_int_t)call->id));
	call->text = copy ? json_dumps(copy, JSON_ENSURE_ASCII) : NULL;
	json_decref(copy);
	if (call->text) {
		call->len = strlen(call->text);
		return call;
	}
	wire_call_free(call);
	err_sys(err, ENOMEM, "No request");
	return NULL;
}

/* So long nothing has come though somebody waits for it. Lock held. */
static uint64_t wire_waits(struct wire *w)
{
	uint64_t now = clock_ns(), most = 0;

	list_for_each(link, &w->sent) {
		uint64_t since = wire_call_of(link)->began;

		if (since < w->heard_ns)
			since = w->heard_ns;
		if (now > since && now - since > most)
			most = now - since;
	}
	return most;
}

/* 0 and it is on its way, or -1: it was not sent. */
static int wire_enqueue(struct wire *w, struct wire_call *call, bool own,
			bool impatient, struct err *err)
{
	int rc = -1;

	lock_take(&w->lock);
	call->began = clock_ns();
	if (w->status.state != WIRE_LIVE && !own)
		err_set(err, ERR_GENERIC, "%s%s%s",
			w->status.state == WIRE_GONE ? "it is gone" :
			"it is not connected",
			*w->status.why ? ": " : "", w->status.why);
	else if (w->status.stalled && !own)
		err_set(err, ERR_GENERIC, "it does not answer; nothing was "
			"sent");
	else if (impatient && wire_waits(w) >= NS_PER_SEC)
		err_set(err, ERR_GENERIC, "it answers slowly");
	else
		rc = 0;
	if (!rc)
		list_add_tail(&w->unsent, &call->link);
	lock_drop(&w->lock);
	if (!rc)
		eventfd_write(w->wake, 1);
	return rc;
}

/* Waits until the call is over, its time is up, or somebody wants to stop. */
static void wire_await(struct wire *w, struct wire_call *call,
		       uint64_t deadline, const struct interrupt *interrupt)
{
	struct pollfd fds[] = {
		{ .fd = call->fd, .events = POLLIN },
		{ .fd = interrupt ? interrupt->fd : -1, .events = POLLIN },
	};

	while (clock_ns() < deadline && !wire_call_over(w, call)) {
		poll(fds, 2, clock_poll_ms(deadline));
		if (interrupt && interrupt->signal)
			break;
	}
}

/* Never "failed": who reads that does it again. */
static void wire_tell_lost(bool doubtful, const char *why, struct err *err)
{
	err_set(err, ERR_GENERIC, "%s%s", why, doubtful ?
		": no answer; it may have been done" : "");
	err->errnum = doubtful ? EINPROGRESS : 0;
}

static uint64_t wire_limit(const struct wire *w,
			   const struct wire_terms *terms)
{
	uint64_t most = w->address->hold ? NS_PER_SEC : VISIT_LIMIT_NS;

	return terms->impatient && terms->limit_ns > most ? most :
		terms->limit_ns;
}

/* The call's end: its reply, or NULL and err. It is not used any more. */
static json_t *wire_finish(struct wire *w, struct wire_call *call,
			   const struct wire_terms *terms, struct err *err)
{
	bool late, out, left, call_over;
	json_t *reply;

	lock_take(&w->lock);
	reply = call->reply;
	call->reply = NULL;
	call_over = call->over;
	late = !call->over && clock_ns() - call->began >=
		wire_limit(w, terms);
	out = call->sent > 0;
	/* What is half on its way has to go out whole, or not at all. */
	left = !call->over && out;
	w->status.stalled |= late && out && !terms->impatient;
	call->abandoned = left;
	if (left)
		call->fd = -1;
	else
		list_del(&call->link);
	lock_drop(&w->lock);
	if (!left)
		wire_call_free(call);
	if (reply)
		return reply;
	wire_tell_lost(out && terms->changes, late ? "no answer in time" :
		       left || !call_over ? "interrupted" :
		       "the connection is lost", err);
	return NULL;
}

json_t *wire_request(struct wire *w, json_t *request,
		     const struct wire_terms *terms, struct err *err)
{
	struct wire_call *call = wire_call_new(w, request, err);
	bool own = wire_is_own_thread(w);
	json_t *reply;
	int fd;

	if (!call)
		return NULL;
	fd = own ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	call->fd = fd;
	call->urgent = !terms->impatient;
	if (fd < 0 && !own) {
		err_sys(err, errno, "No request");
		wire_call_free(call);
		return NULL;
	}
	list_init(&call->link);
	if (wire_enqueue(w, call, own, terms->impatient, err)) {
		wire_call_free(call);
		reply = NULL;
	} else if (own) {
		wire_pump_call(w, call, call->began + wire_limit(w, terms));
		reply = wire_finish(w, call, terms, err);
	} else {
		wire_await(w, call, wire_limit(w, terms) == UINT64_MAX ?
			   UINT64_MAX : call->began + wire_limit(w, terms),
			   terms->interrupt);
		reply = wire_finish(w, call, terms, err);
	}
	if (fd >= 0)
		close(fd);
	return reply;
}

/* --- how it is --- */

void wire_status(struct wire *w, struct wire_status *out)
{
	lock_take(&w->lock);
	*out = w->status;
	out->waits_ns = wire_waits(w);
	lock_drop(&w->lock);
}

int wire_wait_live(struct wire *w, uint64_t deadline,
		   const struct interrupt *interrupt, struct err *err)
{
	enum wire_state state;

	lock_take(&w->lock);
	while ((state = w->status.state) == WIRE_CONNECTING) {
		uint64_t now = clock_ns(), soon = now + 50 * NS_PER_MS;

		if (now >= deadline || (interrupt && interrupt->signal))
			break;
		cond_wait_until(&w->changed, &w->lock,
				soon < deadline ? soon : deadline);
	}
	if (state != WIRE_LIVE)
		err_set(err, ERR_GENERIC, "%s", *w->status.why ?
			w->status.why : "no answer in time");
	lock_drop(&w->lock);
	return state == WIRE_LIVE ? 0 : -1;
}
