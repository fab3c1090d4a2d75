/* socket.h - sockets that listen: Unix paths and TCP.
 *
 * A Unix socket is made with mode 0600. What stands at its path already is
 * replaced only if it is a socket that nobody answers at; at the end the path
 * is removed only if it still is the socket made here. Not thread-safe; one
 * owner.
 */
#ifndef BLKMON_UTIL_SOCKET_H
#define BLKMON_UTIL_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

#include "engine/util/err.h"

#define SOCKETS_MAX 4		/* a host name may have several addresses */

struct sockets {
	int fd[SOCKETS_MAX];	/* non-blocking, close-on-exec */
	unsigned count;
	char *path;		/* of a Unix socket, else NULL */
	dev_t dev;		/* the socket at @path */
	ino_t ino;
};

/* 0, or -1 and the words of QEMU: "Failed to bind socket to PATH: REASON",
 * "UNIX socket path 'PATH' is too long". */
int sockets_listen_unix(struct sockets *out, const char *path,
			struct err *err);
/* @host NULL or "": the loopback addresses. @port: a number or a service. */
int sockets_listen_tcp(struct sockets *out, const char *host,
		       const char *port, struct err *err);
/* Closes, and removes the path. */
void sockets_close(struct sockets *s);

/* The next connection of listening socket @fd, or -errno. */
int socket_accept(int fd);
/* Small messages go out at once; a peer that is gone is noticed. No-op where
 * it is not TCP. */
void socket_tune(int fd);
/* Who is there, for a log: "fio[4711]", "127.0.0.1:5000". */
void socket_peer(int fd, char *buf, size_t len);

#endif
