/* conn.h - one connection of a server, and the thread that serves it. Only
 * for server.c.
 */
#ifndef BLKMON_QMP_CONN_H
#define BLKMON_QMP_CONN_H

#include <pthread.h>

#include "engine/util/list.h"
#include "engine/util/str.h"
#include "src/qmp/server.h"

struct conn {
	struct list link;
	/* Set by who makes it. */
	struct engine *engine;		/* borrowed */
	const struct server_protocol *protocol;
	bool pretty;
	int in, out;			/* one socket, or 0 and 1 */
	bool is_stdio;			/* these are not closed */
	int stop;			/* readable: end */
	int wake;			/* eventfd, written at the end */
	int in_ended;			/* eventfd, written then; or -1 */
	unsigned number;		/* for the log */
	char peer[80];

	/* The thread's own. */
	pthread_t thread;
	bool started;
	void *talk;
	struct str queue;		/* not sent yet from @sent on */
	size_t sent;
	bool eof;			/* no more input */
	bool gone;			/* no more output either */
	_Atomic bool done;		/* the thread has nothing left to do */
};

/* 0 or -errno. */
int conn_start(struct conn *c);
/* Waits for the thread if there is one, closes, frees. */
void conn_free(struct conn *c);

/* A line for the operator. */
void server_notice(struct engine *engine, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
