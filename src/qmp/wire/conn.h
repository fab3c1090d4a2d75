/* conn.h - one connection of a server, and the thread that serves it.
 *
 * A protocol (session.h, or the console's remote.h) says what is spoken on it
 * and sees no more of it than conn_write() and conn_peer(); the rest is for
 * server.c.
 */
#ifndef BLKMON_QMP_CONN_H
#define BLKMON_QMP_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/util/listener.h"
#include "engine/util/str.h"
#include "src/qmp/machine.h"

#define CONN_QUEUE (16u << 20)	/* bytes */

struct conn;

/* What is spoken on a connection; called on its thread only. */
struct conn_protocol {
	const char *name;	/* for the log */
	/* NULL: not possible now. */
	void *(*open)(struct conn *conn, struct machine *machine, bool pretty);
	void (*input)(void *talk, const char *data, size_t len);
	/* Is called when @event_fd is readable, and once more at the end. */
	void (*events)(void *talk);
	int (*event_fd)(void *talk);
	void (*close)(void *talk);
};

/* Sends, now or later. What is not read is queued; with more than CONN_QUEUE
 * bytes there it waits as long as the client goes on reading, and ends the
 * connection when it does not, or when there is no memory for the queue. */
void conn_write(struct conn *conn, const char *text, size_t len);
/* Gives it up, with a line for the operator: @why. */
void conn_drop(struct conn *conn, const char *why);
/* Its socket, to see whether the other end is there; -1: it is stdio. */
int conn_peer(const struct conn *conn);

/* --- for server.c --- */

struct conn {
	struct peer peer;
	/* Set by who makes it. */
	struct machine *machine;		/* borrowed */
	const struct conn_protocol *protocol;
	bool pretty;
	int in, out;			/* one socket, or 0 and 1 */
	bool is_stdio;			/* these are not closed */
	int stop;			/* readable: end */
	int in_ended;			/* eventfd, written then; or -1 */

	/* The thread's own. */
	pthread_t thread;
	bool started;
	void *talk;
	struct str queue;		/* not sent yet from @sent on */
	size_t sent;
	bool eof;			/* no more input */
	bool gone;			/* no more output either */
};

/* 0 or -errno. */
int conn_start(struct conn *c);
/* Waits for the thread if there is one, closes, frees. */
void conn_free(struct conn *c);

/* A line for the operator, about @c; NULL: about them all. */
void conn_notice(struct machine *machine, const struct conn *c, const char *fmt,
		 ...) __attribute__((format(printf, 3, 4)));

#endif
