/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The channel onto a far end: requests of the dialect, or as they are; events
 * from the wire's thread, kept until somebody takes them.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/attach/far_impl.h"
#include "src/qmp/command.h"
#include "src/qmp/event.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/text.h"

#define FAR_EVENTS_MOST 4096

struct far_channel {
	struct channel channel;
	struct far *far;
	int fd;			/* eventfd: there are events */

	/* the far end's lock */
	struct list link;
	json_t *events;		/* oldest first */
	uint64_t lost;
};

static struct far_channel *far_channel_of(struct channel *c)
{
	return container_of(c, struct far_channel, channel);
}

/* --- events --- */

/* Each channel, which is a thread's, has a copy of its own. Lock held. */
static void far_channel_take(struct far_channel *c, const json_t *event)
{
	if (json_array_size(c->events) < FAR_EVENTS_MOST)
		json_array_append_new(c->events, json_deep_copy(event));
	else
		c->lost++;
	eventfd_write(c->fd, 1);
}

void far_publish(struct far *f, json_t *event)
{
	lock_take(&f->lock);
	if (event)
		list_for_each(link, &f->channels)
			far_channel_take(container_of(link, struct far_channel,
						      link), event);
	lock_drop(&f->lock);
	json_decref(event);
}

static json_t *far_notice_event(const char *text)
{
	return qmp_event_new(clock_wall_us(), "X_BLKMON_NOTICE",
			     json_pack("{s:o}", "text", qmp_text(text)));
}

/* The first that a channel hears. Lock held. Takes it. */
static void far_channel_take_new(struct far_channel *c, json_t *event)
{
	if (event)
		far_channel_take(c, event);
	json_decref(event);
}

void far_notice(struct far *f, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	far_publish(f, far_notice_event(str_get(&text)));
	str_release(&text);
}

void far_tell_state(struct far *f)
{
	far_publish(f, json_pack("{s:s, s:b}", "event", "X_BLKMON_PLACE",
				 "x-blkmon-private", 1));
}

static json_t *far_channel_take_next(struct far_channel *c)
{
	uint64_t lost = c->lost;
	json_t *event;

	if (lost && !json_array_size(c->events)) {
		c->lost = 0;
		return qmp_event_lost(clock_wall_us(), lost);
	}
	event = json_incref(json_array_get(c->events, 0));
	json_array_remove(c->events, 0);
	return event;
}

static json_t *far_channel_next_event(struct channel *channel,
				      uint64_t deadline)
{
	struct far_channel *c = far_channel_of(channel);
	eventfd_t count;
	json_t *event;

	(void)deadline;		/* who waits does so with the descriptor */
	lock_take(&c->far->lock);
	event = far_channel_take_next(c);
	if (!json_array_size(c->events) && !c->lost)
		eventfd_read(c->fd, &count);
	lock_drop(&c->far->lock);
	return event;
}

static int far_channel_event_fd(struct channel *channel)
{
	return far_channel_of(channel)->fd;
}

/* --- requests --- */

/* "block-job-pause" for "block_job_pause". */
static char *far_channel_name(const json_t *request)
{
	char *name = mem_dup(args_str(request, "execute"));

	if (!strncmp(name, "block_job_", 10) ||
	    !strncmp(name, "block_commit", 12) ||
	    !strncmp(name, "block_stream", 12))
		for (char *c = name; *c; c++)
			if (*c == '_')
				*c = '-';
	return name;
}

static json_t *far_channel_dialect(const struct far_call *call,
				   json_t *request)
{
	char *name = far_channel_name(request);
	json_t *given = json_object_get(request, "arguments");
	json_t *args = given ? json_deep_copy(given) : json_object();
	struct err err = ERR_INIT;
	json_t *value;

	value = args ? far_do(call, name, args, &err) : NULL;
	if (!value && err.class == ERR_NONE)
		err_set(&err, ERR_GENERIC, "no answer that means anything");
	json_decref(args);
	free(name);
	return qmp_reply(request, value, &err);
}

static bool far_channel_starts_job(const char *name)
{
	static const char *const names[] = {
		"block-stream", "block-commit", "drive-mirror",
		"blockdev-mirror", "drive-backup", "blockdev-backup",
		"blockdev-create",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

/* What the operator wrote for this very end; a job that it starts is his, and
 * so ours. */
static json_t *far_channel_verbatim(const struct far_call *call,
				    json_t *request)
{
	const char *name = args_str(request, "execute");
	const json_t *args = json_object_get(request, "arguments");
	const char *id = args_str(args, "job-id");
	json_t *mark = json_object_get(request, "id"), *reply = NULL;
	struct err err = ERR_INIT;
	bool starts;

	id = id ? id : args_str(args, "device");
	starts = id && far_channel_starts_job(name);
	if (far_guard(call, name, &err) ||
	    (!strcmp(name, "query-named-block-nodes") &&
	     far_nodes_check(call, &err)))
		return qmp_reply(request, NULL, &err);
	if (starts)
		far_jobs_own(call->far, id, "", "", false);
	reply = far_send(call, json_incref(request), far_changes(name),
			 FAR_LIMIT_NS, &err);
	if (starts && (!reply || !json_object_get(reply, "return")))
		far_jobs_forget(call->far, id);
	if (!reply)
		return qmp_reply(request, NULL, &err);
	if (mark)
		json_object_set(reply, "id", mark);
	json_decref(request);
	return reply;
}

/* What the end does not know, and we do; and what names drives as they are
 * shown, in a transaction that the screen makes: the end's own names are the
 * same in both. */
static bool far_channel_is_ours(struct far *f, const char *name)
{
	return !strcmp(name, "transaction") ||
		(!strncmp(name, "x-blkmon-", 9) && !far_can(f, name));
}

static json_t *far_channel_execute(struct channel *channel, json_t *request)
{
	struct far_channel *c = far_channel_of(channel);
	const struct far_call call = { .far = c->far,
				       .interrupt = channel->interrupt,
				       .impatient = channel->impatient };
	struct err err = ERR_INIT;

	if (qmp_check(request, &err))
		return qmp_reply(request, NULL, &err);
	return channel->verbatim &&
	       !far_channel_is_ours(c->far, args_str(request, "execute")) ?
		far_channel_verbatim(&call, request) :
		far_channel_dialect(&call, request);
}

static void far_channel_free(struct channel *channel)
{
	struct far_channel *c = far_channel_of(channel);

	lock_take(&c->far->lock);
	list_del(&c->link);
	lock_drop(&c->far->lock);
	json_decref(c->events);
	close(c->fd);
	free(c);
}

static const struct channel_ops far_channel_ops = {
	.execute = far_channel_execute,
	.next_event = far_channel_next_event,
	.event_fd = far_channel_event_fd,
	.free = far_channel_free,
};

struct channel *far_channel_new(struct far *f)
{
	struct far_channel *c = mem_alloc(sizeof(*c));

	c->channel.ops = &far_channel_ops;
	c->far = f;
	c->events = json_array();
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0) {
		json_decref(c->events);
		free(c);
		return NULL;
	}
	lock_take(&f->lock);
	list_add_tail(&f->channels, &c->link);
	if (f->managed)
		far_channel_take_new(c, far_notice_event(FAR_MANAGED));
	lock_drop(&f->lock);
	return &c->channel;
}
