/* console_channel.h - a channel without an engine: replies are laid ready by
 * command name, requests are kept, events are queued by the test, or lost; and
 * a console on it whose output is one string. query-jobs says what the events
 * tell, those that were lost too, unless a reply was laid ready.
 *
 * JSON in tests is written with single quotes.
 */
#ifndef BLKMON_TESTS_FAKE_CHANNEL_H
#define BLKMON_TESTS_FAKE_CHANNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/list.h"
#include "src/console/console.h"
#include "src/console/line/console_run.h"

struct fake {
	struct channel channel;
	json_t *replies;		/* name -> whole reply */
	json_t *after;			/* name -> events that it causes */
	json_t *events;			/* to come */
	json_t *jobs;			/* id -> entry of query-jobs */
	json_t *last;			/* the latest request that was no
					   query-jobs */
	unsigned calls;
	int fd;
	struct console console;
	struct str out;
};

static inline json_t *fake_json(const char *text)
{
	struct str buf = STR_INIT;
	json_t *value;

	for (; *text; text++)
		str_add_char(&buf, *text == '\'' ? '"' : *text);
	value = json_loads(str_get(&buf), JSON_DECODE_ANY, NULL);
	assert_non_null(value);
	str_release(&buf);
	return value;
}

static inline struct fake *fake_of(struct channel *c)
{
	return container_of(c, struct fake, channel);
}

/* What an event does to the list of jobs. */
static inline void fake_learn(struct fake *f, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	const char *id = json_string_value(json_object_get(data, "id"));
	json_t *status = json_object_get(data, "status");
	json_t *device = json_object_get(data, "device");
	json_t *error = json_object_get(data, "error"), *job;

	if (!id)
		id = json_string_value(device);
	job = id ? json_object_get(f->jobs, id) : NULL;
	if (status && !job) {
		job = json_pack("{s:s}", "id", id);
		json_object_set_new(f->jobs, id, job);
	}
	if (status)
		json_object_set(job, "status", status);
	if (error)
		json_object_set(job, "error", error);
	if (status && !strcmp(json_string_value(status), "null"))
		json_object_del(f->jobs, id);
}

static inline void fake_queue(struct fake *f, json_t *events)
{
	json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
		fake_learn(f, event);
	json_array_extend(f->events, events);
}

static inline json_t *fake_list_jobs(struct fake *f)
{
	json_t *list = json_array(), *job;
	const char *id;

	json_object_foreach(f->jobs, id, job)
		json_array_append_new(list, json_copy(job));
	return json_pack("{s:o}", "return", list);
}

static inline json_t *fake_execute(struct channel *c, json_t *request)
{
	struct fake *f = fake_of(c);
	const char *name = json_string_value(json_object_get(request,
							     "execute"));
	json_t *reply = name ? json_object_get(f->replies, name) : NULL;

	f->calls++;
	if (name)
		fake_queue(f, json_object_get(f->after, name));
	if (name && !strcmp(name, "query-jobs")) {
		json_decref(request);
		return reply ? json_incref(reply) : fake_list_jobs(f);
	}
	json_decref(f->last);
	f->last = request;
	return reply ? json_incref(reply) : json_pack("{s:{}}", "return");
}

static inline json_t *fake_next_event(struct channel *c, uint64_t deadline)
{
	struct fake *f = fake_of(c);
	json_t *event = json_incref(json_array_get(f->events, 0));

	(void)deadline;
	if (event)
		json_array_remove(f->events, 0);
	return event;
}

static inline int fake_event_fd(struct channel *c)
{
	return fake_of(c)->fd;
}

static inline void fake_write(void *arg, enum console_kind kind,
			      const char *text)
{
	struct fake *f = arg;

	if (kind == CONSOLE_FAILURE)
		str_add(&f->out, "! ");
	if (kind != CONSOLE_EVENT)
		str_add(&f->out, text);
}

static inline void fake_free(struct channel *c)
{
	(void)c;
}

static const struct channel_ops fake_ops = {
	.execute = fake_execute,
	.next_event = fake_next_event,
	.event_fd = fake_event_fd,
	.free = fake_free,
};

static inline void fake_init(struct fake *f)
{
	*f = (struct fake) {
		.channel.ops = &fake_ops, .replies = json_object(),
		.after = json_object(), .events = json_array(),
		.jobs = json_object(),
		.fd = eventfd(1, 0),
	};
	console_init(&f->console, &f->channel);
	f->console.write = fake_write;
	f->console.arg = f;
}

static inline void fake_release(struct fake *f)
{
	console_release(&f->console);
	json_decref(f->replies);
	json_decref(f->after);
	json_decref(f->events);
	json_decref(f->jobs);
	json_decref(f->last);
	str_release(&f->out);
	close(f->fd);
}

static inline void fake_reply(struct fake *f, const char *name,
			      const char *reply)
{
	json_object_set_new(f->replies, name, fake_json(reply));
}

static inline void fake_error(struct fake *f, const char *name,
			      const char *desc)
{
	json_object_set_new(f->replies, name, json_pack("{s:{s:s, s:s}}",
			    "error", "class", "GenericError", "desc", desc));
}

/* Events that come with the next reply to @name, or at once (NULL). */
static inline void fake_events(struct fake *f, const char *name,
			       const char *list)
{
	json_t *events = fake_json(list);

	if (name) {
		json_object_set_new(f->after, name, events);
		return;
	}
	fake_queue(f, events);
	json_decref(events);
}

/* They happen, and nobody is told. */
static inline void fake_lose(struct fake *f, const char *list)
{
	json_t *events = fake_json(list), *event;
	size_t i;

	json_array_foreach(events, i, event)
		fake_learn(f, event);
	json_decref(events);
}

/* Runs a line: what it prints must be @text, its result @rc. */
static inline void fake_run(struct fake *f, const char *line,
			    const char *text, int rc)
{
	int got;

	str_clear(&f->out);
	got = console_run(&f->console, line);
	assert_string_equal(str_get(&f->out), text);
	assert_int_equal(got, rc);
}

/* The latest request. */
static inline void fake_asked(const struct fake *f, const char *request)
{
	json_t *want = fake_json(request);

	assert_true(json_equal(f->last, want));
	json_decref(want);
}

/* Setup and teardown of a test; *state is the channel. */
static inline int fake_enter(void **state)
{
	static struct fake fake;

	fake_init(&fake);
	*state = &fake;
	return 0;
}

static inline int fake_leave(void **state)
{
	fake_release(*state);
	return 0;
}

#define FAKE_TEST(name) cmocka_unit_test_setup_teardown(name, fake_enter, \
							fake_leave)

#endif
