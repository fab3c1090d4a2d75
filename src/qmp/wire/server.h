/* server.h - the ways in from outside: listening sockets, standard input and
 * output, and the connections that come by them.
 *
 * Each connection has a thread of its own, so that nobody waits for another's
 * command. Output that is not read is queued, and input is read on meanwhile;
 * a client with more than 16 MiB unread has to go on reading, or is dropped
 * after some seconds, with a line for the operator. At most 100 clients.
 *
 * A server is made, given its ways in, started and freed by one thread.
 */
#ifndef BLKMON_QMP_SERVER_H
#define BLKMON_QMP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "src/qmp/machine.h"

#define SERVER_CLIENTS 100

struct conn_protocol;
struct server;

struct server_way {
	enum { SERVER_STDIO, SERVER_UNIX, SERVER_TCP, SERVER_FD } kind;
	bool connect;			/* to one who listens */
	const char *path;		/* SERVER_UNIX */
	const char *host, *port;	/* SERVER_TCP, loopback only */
	int fd;				/* SERVER_FD: taken */
	const struct conn_protocol *protocol;
	bool pretty;
};

struct server *server_new(struct machine *machine);	/* borrowed */
/* 0, or -1 with the path and the reason. A socket is made with mode 0600; a
 * stale one is replaced, one that somebody listens at is an error. */
int server_add(struct server *s, const struct server_way *way,
	       struct err *err);
/* From now on clients are served. 0, or -1 and err. */
int server_start(struct server *s, struct err *err);
/* Readable once standard input has ended; -1 if it is no way in. */
int server_stdin_fd(const struct server *s);
/* Ends all connections, after they were told the last events and were given
 * a second to read them. Removes the sockets. */
void server_free(struct server *s);

#endif
