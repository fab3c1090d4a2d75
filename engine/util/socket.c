/* socket.c - see socket.h. */
#include "engine/util/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/process.h"

#define BACKLOG 128

static int new_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* --- Unix --- */

/* True if nobody is there to answer. A full queue of one who is too busy to
 * accept is an answer. */
static bool is_stale(const struct sockaddr_un *at)
{
	int fd = new_socket(AF_UNIX);
	bool stale;

	if (fd < 0)
		return false;
	stale = connect(fd, (const void *)at, sizeof(*at)) &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int remove_stale(const struct sockaddr_un *at)
{
	struct stat st;

	if (lstat(at->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode) || !is_stale(at))
		return -EADDRINUSE;
	return unlink(at->sun_path) ? -errno : 0;
}

/* The mode is set on the socket before it has a name: so there is no moment
 * in which others could connect, and no umask to change under the feet of
 * other threads. */
static int bind_unix(int fd, const struct sockaddr_un *at, struct sockets *out)
{
	struct stat st;

	if (fchmod(fd, 0600) || bind(fd, (const void *)at, sizeof(*at)))
		return -errno;
	if (!lstat(at->sun_path, &st)) {
		out->dev = st.st_dev;
		out->ino = st.st_ino;
	}
	out->path = mem_dup(at->sun_path);
	return listen(fd, BACKLOG) ? -errno : 0;
}

int sockets_listen_unix(struct sockets *out, const char *path,
			struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, rc;

	*out = (struct sockets){ 0 };
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, ERR_GENERIC,
			       "UNIX socket path '%s' is too long", path);
	strcpy(at.sun_path, path);
	fd = new_socket(AF_UNIX);
	rc = fd < 0 ? fd : remove_stale(&at);
	if (fd >= 0)
		out->fd[out->count++] = fd;
	if (!rc)
		rc = bind_unix(fd, &at, out);
	if (!rc)
		return 0;
	sockets_close(out);
	return err_sys(err, rc, "Failed to bind socket to %s", path);
}

/* --- TCP --- */

static int socket_listen_at(const struct addrinfo *at)
{
	int fd = new_socket(at->ai_family), on = 1;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, BACKLOG)) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

/* One address that works is enough (a host may have no IPv6), but for one that
 * somebody else has: clients would land there. */
static int listen_everywhere(struct sockets *out, const struct addrinfo *list)
{
	int rc = -EADDRNOTAVAIL;

	for (const struct addrinfo *at = list; at; at = at->ai_next) {
		int fd = out->count < SOCKETS_MAX ? socket_listen_at(at)
						  : -EMFILE;

		if (fd >= 0)
			out->fd[out->count++] = fd;
		else
			rc = fd;
		if (fd == -EADDRINUSE)
			return fd;
	}
	return out->count ? 0 : rc;
}

int sockets_listen_tcp(struct sockets *out, const char *host,
		       const char *port, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int rc;

	*out = (struct sockets){ 0 };
	if (host && !*host)
		host = NULL;
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc)
		return err_set(err, ERR_GENERIC,
			       "address resolution failed for %s:%s: %s",
			       host ? host : "", port, gai_strerror(rc));
	rc = listen_everywhere(out, list);
	freeaddrinfo(list);
	if (!rc)
		return 0;
	sockets_close(out);
	return err_sys(err, rc, "%s", rc == -EADDRINUSE ?
		       "Failed to find an available port" :
		       "Failed to bind socket");
}

void sockets_close(struct sockets *s)
{
	struct stat st;

	if (s->path && !lstat(s->path, &st) && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		unlink(s->path);
	for (unsigned i = 0; i < s->count; i++)
		close(s->fd[i]);
	free(s->path);
	*s = (struct sockets){ 0 };
}

/* --- connections --- */

int socket_accept(int fd)
{
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	return conn < 0 ? -errno : conn;
}

void socket_tune(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void peer_unix(int fd, char *buf, size_t len)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	char name[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) ||
	    who.pid <= 0) {
		snprintf(buf, len, "unix");
		return;
	}
	process_name(who.pid, name, sizeof(name));
	if (*name)
		snprintf(buf, len, "%s[%ld]", name, (long)who.pid);
	else
		snprintf(buf, len, "pid %ld", (long)who.pid);
}

void socket_peer(int fd, char *buf, size_t len)
{
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char host[INET6_ADDRSTRLEN + 32], port[16];

	if (getpeername(fd, (void *)&from, &n) || from.ss_family == AF_UNIX ||
	    getnameinfo((void *)&from, n, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		peer_unix(fd, buf, len);
	else
		snprintf(buf, len, from.ss_family == AF_INET6 ? "[%s]:%s" :
			 "%s:%s", host, port);
}
