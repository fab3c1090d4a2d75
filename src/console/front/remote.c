/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/front/remote.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/console/console.h"
#include "src/console/line/console_run.h"

/* A longer line is left out, with a word about it: what is made of a line
 * may be as long, and must not fail. */
#define LINE_MAX_BYTES STR_SURE

#define BANNER "blkmon - type 'help' for the commands\r\n"

struct remote {
	struct conn *conn;
	struct channel *channel;
	struct console console;
	struct str line;		/* its beginning */
	bool too_long;
	bool running;			/* a command is */
};

static void remote_write_line(void *arg, enum console_kind kind,
			      const char *line)
{
	struct remote *r = arg;
	struct str out = STR_INIT;

	if (kind == CONSOLE_EVENT || kind == CONSOLE_FAILURE ||
	    kind == CONSOLE_HINT ||
	    (kind == CONSOLE_NOTICE && !r->running))
		return;
	str_add_mem(&out, line, strcspn(line, "\n"));
	str_add(&out, "\r\n");
	if (out.lost)
		conn_drop(r->conn, "no memory for a reply");
	else
		conn_write(r->conn, out.s, out.len);
	str_release(&out);
}

static void prompt(struct remote *r)
{
	const char *text = console_is_pending(&r->console) ? "> " :
		"(blkmon) ";

	if (!r->console.quit)
		conn_write(r->conn, text, strlen(text));
}

static void *remote_open_conn(struct conn *conn, struct machine *machine,
			      bool pretty)
{
	struct channel *channel = channel_local_new(machine);
	struct remote *r;

	if (!channel)
		return NULL;
	r = mem_alloc(sizeof(*r));
	r->conn = conn;
	r->channel = channel;
	console_init(&r->console, channel);
	r->console.write = remote_write_line;
	r->console.arg = r;
	r->console.peer = conn_peer(conn);
	r->console.pretty = pretty;
	conn_write(conn, BANNER, strlen(BANNER));
	prompt(r);
	return r;
}

static void remote_close_conn(void *talk)
{
	struct remote *r = talk;

	console_release(&r->console);
	channel_free(r->channel);
	str_release(&r->line);
	free(r);
}

static void remote_run_line(struct remote *r)
{
	r->running = true;
	if (r->too_long)
		console_printf(&r->console, "line too long\n");
	else
		console_run(&r->console, str_get(&r->line));
	r->running = false;
	r->too_long = false;
	str_clear(&r->line);
	prompt(r);
}

static void remote_take(struct remote *r, char c)
{
	if (c == '\n')
		remote_run_line(r);
	else if (r->line.len == LINE_MAX_BYTES - 1)
		r->too_long = true;
	else if (c && c != '\r')
		str_add_char(&r->line, c);
}

static void remote_input(void *talk, const char *data, size_t len)
{
	struct remote *r = talk;

	for (size_t i = 0; i < len && !r->console.quit; i++)
		remote_take(r, data[i]);
}

static void remote_events(void *talk)
{
	struct remote *r = talk;

	console_events(&r->console, 0);
}

static int remote_event_fd(void *talk)
{
	struct remote *r = talk;

	return channel_event_fd(r->channel);
}

const struct conn_protocol remote_protocol = {
	.name = "HMP",
	.open = remote_open_conn,
	.input = remote_input,
	.events = remote_events,
	.event_fd = remote_event_fd,
	.close = remote_close_conn,
};
