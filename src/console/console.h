/* console.h - a line in, text out: HMP, qmp-shell and JSON at one prompt.
 *
 * Here is what commands are made with, and events; console_run.h takes the
 * lines. It speaks to a channel only, so it serves a remote QEMU as well. It
 * prints nothing itself: text goes to the front end that made it, in whole
 * lines fit for a terminal (control and bidi characters are shown escaped).
 * One thread at a time.
 */
#ifndef BLKMON_CONSOLE_CONSOLE_H
#define BLKMON_CONSOLE_CONSOLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util/str.h"
#include "src/console/console_kind.h"
#include "src/console/progress.h"
#include "engine/util/interrupt.h"
#include "src/console/watch.h"
#include "src/qmp/channel.h"
#include "src/qmp/json/json_stream.h"

#define CONSOLE_HISTORY 64

struct console {
	struct channel *channel;	/* borrowed */
	/* One line, with its newline. */
	void (*write)(void *arg, enum console_kind kind, const char *line);
	void *arg;
	struct interrupt *interrupt;	/* borrowed; may be NULL */
	int peer;			/* a socket whose other end listens:
					   closed, nobody waits; -1 none */
	bool pretty;			/* JSON replies are indented */
	struct progress *progress;	/* borrowed; NULL: not shown */
	bool aside;			/* who types sees jobs at work: HMP's
					   commit is one like all others, and
					   the next line does not wait for it */

	struct watch watch;		/* what became of the jobs */
	bool stale;			/* that may be wrong: look again */
	bool quit;			/* the program shuts down */
	enum {
		PLAN_NONE, PLAN_TEXT, PLAN_JSON, PLAN_ASK, PLAN_ALL,
	} plan;				/* requests are not sent: what they
					   would do is asked and printed, or
					   kept: of those that change data for
					   good, or of all */
	bool plan_refused;		/* and one of them had no plan */
	json_t *asked;			/* what was kept; see console_ask() */
	bool json_events;
	struct json_stream json;	/* the beginning of an object */
	json_t *actions;		/* of an open transaction(, or NULL */
	json_t *qmp_names;		/* query-commands, or NULL: not asked */
	char *place;		/* in use, where names have places in front; or
				   NULL */
	char *history[CONSOLE_HISTORY];
	size_t history_len;
};

void console_init(struct console *c, struct channel *channel);
void console_release(struct console *c);

/* More lines are needed to finish a JSON object or a transaction. */
bool console_is_pending(const struct console *c);

/* Takes in the events that wait; if there are none and @deadline is not 0,
 * waits for one until clock_ns() reaches it or the interrupt comes. */
void console_events(struct console *c, uint64_t deadline);
bool console_interrupted(const struct console *c);
/* Asks what the jobs are, and believes it: `watch` is right even if events were
 * lost. Without a reply it stays as it is, and it is asked again later. Takes
 * in the events that wait. */
void console_look(struct console *c);

/* --- for the commands --- */

void console_printf(struct console *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void console_print(struct console *c, enum console_kind kind,
		   const char *text);
/* Calls the channel (takes @args). The "return" value, the caller's; or NULL
 * after the error was printed as "Error: ...". */
json_t *console_query(struct console *c, const char *name, json_t *args);
/* The same for a command without a value: 0 or -1. */
int console_do(struct console *c, const char *name, json_t *args);
/* The same without printing: the whole reply. */
json_t *console_call(struct console *c, const char *name, json_t *args);
/* Sends a request (takes it) and prints the reply as JSON. 0, or -1 if that
 * says that it failed. */
int console_request(struct console *c, json_t *request);
/* Prints a reply as JSON (takes it); the same. */
int console_reply(struct console *c, json_t *reply);

#endif
