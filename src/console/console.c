/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/console.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "src/console/hint.h"
#include "src/console/plan_ask.h"
#include "src/console/plan_text.h"
#include "src/console/say.h"
#include "src/qmp/json/text.h"

void console_init(struct console *c, struct channel *channel)
{
	json_t *jobs;

	*c = (struct console) { .channel = channel, .peer = -1 };
	/* Whoever takes its output is not known yet: events have to wait. */
	jobs = channel_call(channel, "query-jobs", NULL);
	c->stale = !json_object_get(jobs, "return");
	watch_sync(&c->watch, jobs, 0);
	json_decref(jobs);
}

void console_release(struct console *c)
{
	watch_release(&c->watch);
	json_stream_release(&c->json);
	json_decref(c->actions);
	json_decref(c->qmp_names);
	json_decref(c->asked);
	free(c->place);
	for (size_t i = 0; i < c->history_len; i++)
		free(c->history[i]);
}

bool console_is_pending(const struct console *c)
{
	return c->actions || json_stream_is_open(&c->json);
}

bool console_interrupted(const struct console *c)
{
	struct pollfd peer = { .fd = c->peer };

	if (c->interrupt && c->interrupt->signal)
		return true;
	return c->peer >= 0 && poll(&peer, 1, 0) > 0;
}

/* --- output --- */

/* Tabs stand in help texts and harm no terminal. */
static void add_line(struct str *safe, const char *text, size_t len)
{
	struct str piece = STR_INIT;

	for (const char *end = text + len; text < end; text++) {
		const char *tab = memchr(text, '\t', (size_t)(end - text));

		str_clear(&piece);
		str_add_mem(&piece, text, (size_t)((tab ? tab : end) - text));
		str_add_safe(safe, str_get(&piece));
		if (!tab)
			break;
		str_add_char(safe, '\t');
		text = tab;
	}
	str_add_char(safe, '\n');
	str_release(&piece);
}

void console_print(struct console *c, enum console_kind kind,
		   const char *text)
{
	struct str safe = STR_INIT;

	if (*text)
		progress_hide(c->progress);
	while (*text) {
		size_t len = strcspn(text, "\n");

		str_clear(&safe);
		add_line(&safe, text, len);
		c->write(c->arg, kind, str_get(&safe));
		text += len + (text[len] == '\n');
	}
	str_release(&safe);
}

void console_printf(struct console *c, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	console_print(c, CONSOLE_OUT, str_get(&text));
	str_release(&text);
}

/* --- requests --- */

static bool ends_a_job(const char *name)
{
	static const char *const verbs[] = {
		"-complete", "-cancel", "-finalize",
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strstr(name, "job") && strstr(name, verbs[i]))
			return true;
	return false;
}

/* Remembers which jobs were told to end. */
static void note_request(struct console *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request,
							     "execute"));
	const json_t *args = json_object_get(request, "arguments");
	const json_t *id = json_object_get(args, "device");
	char *canonical = mem_dup(name);

	for (char *s = canonical; s && *s; s++)
		if (*s == '_')
			*s = '-';
	if (canonical && ends_a_job(canonical))
		watch_asked(&c->watch, json_string_value(id ? id :
			    json_object_get(args, "id")));
	free(canonical);
}

/* Prints the plan of a request (takes it). The reply to give in its place; of
 * JSON it is printed already, and nothing else is to be said. */
static json_t *console_plan(struct console *c, json_t *request)
{
	json_t *reply = channel_call(c->channel, "x-blkmon-plan",
				     json_pack("{s:o}", "request", request));
	const json_t *plan = json_object_get(reply, "return");
	char *text;

	c->plan_refused |= !plan;
	if (c->plan == PLAN_JSON) {
		console_reply(c, reply);
		return json_pack("{s:{}}", "return");
	}
	if (!plan)
		return reply;
	text = plan_text_of(plan, NULL);
	console_printf(c, "%s", text);
	free(text);
	json_decref(reply);
	return json_pack("{s:{}}", "return");
}

static json_t *request_reply(struct console *c, json_t *request)
{
	json_t *reply;

	if (c->plan)
		c->channel->verbatim = false;
	if (c->plan >= PLAN_ASK)
		return plan_ask_keep(c, request);
	if (c->plan)
		return console_plan(c, request);
	json_incref(request);
	c->channel->interrupt = c->interrupt;
	reply = channel_request(c->channel, request);
	c->channel->verbatim = false;
	/* What happened before the reply belongs before what it says. */
	console_events(c, 0);
	if (!channel_error(reply))
		note_request(c, request);
	json_decref(request);
	return reply;
}

json_t *console_call(struct console *c, const char *name, json_t *args)
{
	return request_reply(c, json_pack("{s:s, s:o*}", "execute", name,
					  "arguments", args));
}

json_t *console_query(struct console *c, const char *name, json_t *args)
{
	json_t *reply = console_call(c, name, args);
	json_t *value = json_object_get(reply, "return");
	const char *error = channel_error(reply);

	if (!value)
		console_printf(c, "%s%s\n", str_has_prefix(error, "Error: ") ?
			       "" : "Error: ", error);
	if (!value)
		hint_reply(c, reply, name);
	json_incref(value);
	json_decref(reply);
	return value;
}

int console_do(struct console *c, const char *name, json_t *args)
{
	json_t *value = console_query(c, name, args);
	int rc = value ? 0 : -1;

	json_decref(value);
	return rc;
}

int console_reply(struct console *c, json_t *reply)
{
	char *text = qmp_dump_text(reply, c->pretty ? JSON_INDENT(4) : 0);
	int rc = channel_error(reply) || !text ? -1 : 0;

	console_printf(c, "%s\n", text ? text : "Error: no memory for a reply");
	free(text);
	json_decref(reply);
	return rc;
}

/* A request in JSON: so is the answer. */
int console_request(struct console *c, json_t *request)
{
	const char *name = json_string_value(json_object_get(request,
							     "execute"));
	bool negotiation = name && !strcmp(name, "qmp_capabilities");
	json_t *reply;
	int rc = 0;

	c->channel->verbatim = true;
	reply = request_reply(c, json_incref(request));
	if (!c->plan || channel_error(reply)) {
		rc = console_reply(c, hint_without(reply));
		hint_reply(c, reply, name);
	}
	json_decref(reply);
	json_decref(request);
	c->json_events |= negotiation && !rc;
	return rc;
}

/* --- events --- */

static void say_event(struct console *c, const json_t *event)
{
	struct str text = STR_INIT;
	enum console_kind kind = say_event_text(event, &text);

	console_print(c, kind, str_get(&text));
	str_release(&text);
}

static void show_event(struct console *c, const json_t *event)
{
	char *text;

	if (!c->json_events || say_is_private(event)) {
		say_event(c, event);
		return;
	}
	text = qmp_dump_text(event, 0);
	if (text)
		console_print(c, CONSOLE_JSON_EVENT, text);
	free(text);
}

static void tell_failures(struct console *c)
{
	const struct watch_job *job;

	while ((job = watch_next_failed(&c->watch))) {
		char *text = job->state == WATCH_UNSEEN ?
			mem_printf("job '%s' is gone, and how it ended is not "
				   "known", job->id) :
			mem_printf("job '%s' failed: %s", job->id, job->error);

		console_print(c, CONSOLE_FAILURE, text);
		free(text);
	}
}

static void take_event(struct console *c, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));

	watch_event(&c->watch, event);
	/* Jobs have other names from here on. */
	if (!strcmp(name, "X_BLKMON_PLACE") &&
	    field_bool(json_object_get(event, "data"), "renamed"))
		watch_release(&c->watch);
	c->stale |= !strcmp(name, "X_BLKMON_PLACE");
	c->quit |= !strcmp(name, "SHUTDOWN");
	c->stale |= !strcmp(name, "X_BLKMON_LOST");
	show_event(c, event);
	tell_failures(c);
	json_decref(event);
}

static int poll_timeout(uint64_t deadline)
{
	uint64_t now = clock_ns(), ms;

	if (deadline == UINT64_MAX)
		return -1;
	ms = deadline > now ? (deadline - now) / NS_PER_MS + 1 : 0;
	return ms > 60000 ? 60000 : (int)ms;
}

static void wait_event(struct console *c, uint64_t deadline)
{
	struct pollfd fds[3] = {
		{ .fd = channel_event_fd(c->channel), .events = POLLIN },
		{ .fd = c->interrupt ? c->interrupt->fd : -1,
		  .events = POLLIN },
		{ .fd = c->peer },	/* POLLHUP and POLLERR alone */
	};

	poll(fds, 3, poll_timeout(deadline));
}

static bool take_events(struct console *c)
{
	bool any = false;
	json_t *event;

	while ((event = channel_next_event(c->channel, 0))) {
		take_event(c, event);
		any = true;
	}
	return any;
}

void console_events(struct console *c, uint64_t deadline)
{
	if (!take_events(c) && deadline && !console_interrupted(c)) {
		wait_event(c, deadline);
		take_events(c);
	}
	if (c->stale)
		console_look(c);
}

/* All that was told before the reply is taken in before it is believed: what
 * it does not show any more may have said how it ended. */
void console_look(struct console *c)
{
	json_t *jobs;
	uint64_t heard;

	take_events(c);
	heard = c->watch.heard;
	c->stale = false;
	jobs = channel_call(c->channel, "query-jobs", NULL);
	take_events(c);
	if (json_object_get(jobs, "return"))
		watch_sync(&c->watch, jobs, heard);
	else
		c->stale = true;
	json_decref(jobs);
	if (watch_is_settling(&c->watch)) {
		jobs = channel_call(c->channel, "query-block-jobs", NULL);
		watch_sync_pending(&c->watch, json_object_get(jobs, "return"));
		json_decref(jobs);
	}
	tell_failures(c);
}
