/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The channel onto the engine of this process. Notices of its own calls are
 * delivered before the events of the engine: they are there when the call
 * returns.
 */
#include <stdlib.h>

#include "engine/util/clock.h"
#include "engine/util/list.h"
#include "engine/util/mem.h"
#include "src/qmp/channel.h"
#include "src/qmp/command.h"
#include "src/qmp/event.h"

struct local {
	struct channel channel;
	struct qmp_context ctx;
	struct event_listener listener;
	json_t *held;		/* an event that is next, or NULL */
};

static struct local *local_of(struct channel *c)
{
	return container_of(c, struct local, channel);
}

static json_t *local_execute(struct channel *c, json_t *request)
{
	struct qmp_context *ctx = &local_of(c)->ctx;

	ctx->interrupt = c->interrupt;
	ctx->progress = c->progress;
	ctx->progress_arg = c->progress_arg;
	return qmp_execute(ctx, request);
}

static json_t *take_notice(struct local *l)
{
	json_t *text = json_array_get(l->ctx.notices, 0), *ev;

	ev = qmp_event_new(clock_wall_us(), "X_BLKMON_NOTICE",
			   json_pack("{s:O}", "text", text));
	json_array_remove(l->ctx.notices, 0);
	return ev;
}

static json_t *local_next_event(struct channel *c, uint64_t deadline)
{
	struct local *l = local_of(c);
	json_t *held = l->held;
	struct event ev;
	uint64_t lost = 0;

	l->held = NULL;
	if (held)
		return held;
	if (json_array_size(l->ctx.notices))
		return take_notice(l);
	if (!event_next(&l->listener, &ev, deadline, &lost))
		return NULL;
	if (!lost)
		return qmp_event(&ev);
	l->held = qmp_event(&ev);
	return qmp_event_lost(clock_wall_us(), lost);
}

static int local_event_fd(struct channel *c)
{
	return local_of(c)->listener.fd;
}

static void local_free(struct channel *c)
{
	struct local *l = local_of(c);

	event_unlisten(&l->listener);
	qmp_context_release(&l->ctx);
	json_decref(l->held);
	free(l);
}

static const struct channel_ops local_ops = {
	.execute = local_execute,
	.next_event = local_next_event,
	.event_fd = local_event_fd,
	.free = local_free,
};

struct channel *channel_local_new(struct machine *machine)
{
	struct local *l = mem_alloc(sizeof(*l));

	if (event_listen(engine_events(machine->engine), &l->listener)) {
		free(l);
		return NULL;
	}
	l->channel.ops = &local_ops;
	qmp_context_init(&l->ctx, machine);
	return &l->channel;
}
