/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/wire/session.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/qmp/command.h"
#include "src/qmp/event.h"
#include "src/qmp/json/text.h"
#include "src/qmp/version.h"

/* An object goes out in pieces: of a large one there is no text as a whole. */
#define PIECE_BYTES (64u << 10)

struct piece {
	struct session *session;
	struct str text;
};

static void send_piece(struct piece *p)
{
	p->session->write(p->session->arg, p->text.lost ? NULL : p->text.s,
			  p->text.len);
	str_clear(&p->text);
}

/* Lines end in CR LF, those of an indented object too. */
static void add_line_end(struct piece *p)
{
	str_add(&p->text, "\r\n");
}

static int session_add_text(const char *text, size_t len, void *arg)
{
	struct piece *p = arg;
	const char *end = text + len, *lf;

	while ((lf = memchr(text, '\n', (size_t)(end - text)))) {
		str_add_mem(&p->text, text, (size_t)(lf - text));
		add_line_end(p);
		text = lf + 1;
	}
	str_add_mem(&p->text, text, (size_t)(end - text));
	if (p->text.len >= PIECE_BYTES)
		send_piece(p);
	return 0;
}

/* Takes @value. */
static void session_say(struct session *s, json_t *value)
{
	struct piece p = { .session = s };

	if (qmp_dump(value, s->pretty ? JSON_INDENT(4) : 0, session_add_text,
		     &p))
		p.text.lost = true;
	add_line_end(&p);
	send_piece(&p);
	str_release(&p.text);
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
	session_say(s, json_pack("{s:{s:o, s:[]}}", "QMP", "version",
				 qmp_version(), "capabilities"));
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
		if (s->negotiated && !qmp_event_is_private(event))
			session_say(s, event);
		else
			json_decref(event);
	}
}

/* The two states know different commands. */
static int check_state(const struct session *s, const json_t *request,
		       struct err *err)
{
	bool negotiation;
	json_t *args;

	if (qmp_check(request, err))
		return -1;
	negotiation = !strcmp(args_str(request, "execute"),
			      "qmp_capabilities");
	if (!negotiation && !s->negotiated)
		return err_set(err, ERR_COMMAND_NOT_FOUND,
			       "Expecting capabilities negotiation with "
			       "'qmp_capabilities'");
	if (!negotiation || !s->negotiated)
		return 0;
	if (!qmp_resolve(request, &args, err))
		return -1;
	json_decref(args);
	return err_set(err, ERR_COMMAND_NOT_FOUND, "Capabilities negotiation "
		       "is already complete, command ignored");
}

/* Takes @request, which may be any value, or NULL for what was none. */
static void session_answer(struct session *s, json_t *request, struct err *err)
{
	json_t *reply;

	if (!request || check_state(s, request, err))
		reply = qmp_reply(request, NULL, err);
	else
		reply = channel_request(s->channel, request);
	session_events(s);
	s->negotiated |= !channel_error(reply);
	session_say(s, reply);
}

void session_input(struct session *s, const char *data, size_t len)
{
	json_t *request;

	while (!s->over) {
		struct err err = ERR_INIT;

		if (!json_stream_next(&s->in, &data, &len, &request, &err))
			break;
		session_answer(s, request, &err);
	}
}

/* --- for a server --- */

static void write_conn(void *arg, const char *text, size_t len)
{
	if (text)
		conn_write(arg, text, len);
	else
		conn_drop(arg, "no memory for a reply");
}

static void *session_open_conn(struct conn *conn, struct machine *machine,
			       bool pretty)
{
	struct channel *channel = channel_local_new(machine);

	return channel ? session_new(channel, pretty, write_conn, conn) : NULL;
}

static void session_take_input(void *talk, const char *data, size_t len)
{
	session_input(talk, data, len);
}

static void session_take_events(void *talk)
{
	session_events(talk);
}

static int session_event_fd(void *talk)
{
	struct session *s = talk;

	return channel_event_fd(s->channel);
}

static void session_close_conn(void *talk)
{
	session_free(talk);
}

const struct conn_protocol session_protocol = {
	.name = "QMP",
	.open = session_open_conn,
	.input = session_take_input,
	.events = session_take_events,
	.event_fd = session_event_fd,
	.close = session_close_conn,
};
