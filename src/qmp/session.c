/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/session.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/qmp/command.h"
#include "src/qmp/event.h"
#include "src/qmp/version.h"

/* Takes @value. Lines end in CR LF, those of an indented object too. */
static void say(struct session *s, json_t *value)
{
	char *text = json_dumps(value, JSON_ENSURE_ASCII |
				(s->pretty ? JSON_INDENT(4) : 0));
	struct str out = STR_INIT;

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		str_add_mem(&out, line, len);
		str_add(&out, "\r\n");
		line += len + (line[len] == '\n');
	}
	s->write(s->arg, out.s, out.len);
	str_release(&out);
	free(text);
	json_decref(value);
}

struct session *session_new(struct channel *channel, bool pretty,
			    void (*write)(void *arg, const char *text,
					  size_t len), void *arg)
{
	struct session *s = mem_alloc(sizeof(*s));

	*s = (struct session) {
		.channel = channel, .pretty = pretty, .write = write,
		.arg = arg,
	};
	say(s, json_pack("{s:{s:o, s:[]}}", "QMP", "version", qmp_version(),
			 "capabilities"));
	return s;
}

void session_free(struct session *s)
{
	json_stream_release(&s->in);
	channel_free(s->channel);
	free(s);
}

void session_events(struct session *s)
{
	json_t *event;

	while ((event = channel_next_event(s->channel, 0))) {
		const char *name = json_string_value(json_object_get(event,
								     "event"));

		s->over |= !strcmp(name, "SHUTDOWN");
		if (s->negotiated && !qmp_event_is_private(name))
			say(s, event);
		else
			json_decref(event);
	}
}

/* The two states know different commands. */
static int check_state(const struct session *s, const json_t *request,
		       struct err *err)
{
	bool negotiation;

	if (qmp_check(request, err))
		return -1;
	negotiation = !strcmp(args_str(request, "execute"),
			      "qmp_capabilities");
	if (!negotiation && !s->negotiated)
		return err_set(err, ERR_COMMAND_NOT_FOUND,
			       "Expecting capabilities negotiation with "
			       "'qmp_capabilities'");
	if (negotiation && s->negotiated)
		return err_set(err, ERR_COMMAND_NOT_FOUND,
			       "Capabilities negotiation is already complete,"
			       " command ignored");
	return 0;
}

/* Takes @request, which may be any value, or NULL for what was none. */
static void answer(struct session *s, json_t *request, struct err *err)
{
	json_t *reply;

	if (!request || check_state(s, request, err))
		reply = qmp_reply(request, NULL, err);
	else
		reply = channel_request(s->channel, request);
	session_events(s);
	s->negotiated |= !channel_error(reply);
	say(s, reply);
}

void session_input(struct session *s, const char *data, size_t len)
{
	json_t *request;

	while (!s->over) {
		struct err err = ERR_INIT;

		if (!json_stream_next(&s->in, &data, &len, &request, &err))
			break;
		answer(s, request, &err);
	}
}

/* --- for a server --- */

static void write_conn(void *arg, const char *text, size_t len)
{
	conn_write(arg, text, len);
}

static void *open_conn(struct conn *conn, struct machine *machine, bool pretty)
{
	struct channel *channel = channel_local_new(machine);

	return channel ? session_new(channel, pretty, write_conn, conn) : NULL;
}

static void input(void *talk, const char *data, size_t len)
{
	session_input(talk, data, len);
}

static void events(void *talk)
{
	session_events(talk);
}

static int event_fd(void *talk)
{
	struct session *s = talk;

	return channel_event_fd(s->channel);
}

static void close_conn(void *talk)
{
	session_free(talk);
}

const struct conn_protocol session_protocol = {
	.name = "QMP",
	.open = open_conn,
	.input = input,
	.events = events,
	.event_fd = event_fd,
	.close = close_conn,
};
