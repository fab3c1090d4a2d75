/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ways in, and what is there to make a connection of who comes by them;
 * accepting and burying is the listener's.
 */
#include "src/qmp/wire/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/socket.h"
#include "src/qmp/wire/conn.h"

/* What is spoken with those who come by a socket that listens. */
struct manner {
	struct list link;
	const struct conn_protocol *protocol;
	bool pretty;
};

struct server {
	struct machine *machine;
	struct listener listener;
	struct list manners;
	int stop;			/* eventfd: the connections end */
	int stdin_ended;		/* eventfd or -1 */
};

/* --- connections --- */

static struct conn *server_conn_of(const struct peer *p)
{
	return container_of(p, struct conn, peer);
}

/* NULL: no memory. */
static struct conn *new_conn(struct server *s, int in, int out,
			     const struct conn_protocol *protocol,
			     bool pretty)
{
	struct conn *c = mem_try(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct conn) {
		.machine = s->machine, .protocol = protocol, .pretty = pretty,
		.in = in, .out = out, .in_ended = -1,
	};
	return c;
}

static struct peer *make_peer(void *arg, void *way, int fd)
{
	const struct manner *m = way;
	struct conn *c = new_conn(arg, fd, fd, m->protocol, m->pretty);

	return c ? &c->peer : NULL;
}

static int server_start_peer(struct peer *p)
{
	const struct server *s = p->listener->arg;

	server_conn_of(p)->stop = s->stop;
	return conn_start(server_conn_of(p));
}

static void free_peer(struct peer *p)
{
	conn_free(server_conn_of(p));
}

static void server_say(void *arg, const struct peer *p, const char *text)
{
	struct server *s = arg;

	conn_notice(s->machine, p ? server_conn_of(p) : NULL,
		    p ? "%s" : "monitors: %s", text);
}

static const struct listener_ops listener_ops = {
	.thread = "qmp accept",
	.make = make_peer,
	.start = server_start_peer,
	.free = free_peer,
	.say = server_say,
};

/* --- ways in --- */

static int add_listener(struct server *s, const struct server_way *way,
			const struct sockets *sockets)
{
	struct manner *m = mem_alloc(sizeof(*m));

	m->protocol = way->protocol;
	m->pretty = way->pretty;
	list_add_tail(&s->manners, &m->link);
	listener_add(&s->listener, sockets, m);
	return 0;
}

static int server_refuse(struct err *err)
{
	return err_sys(err, ENOMEM, "No monitor");
}

/* Takes @fd. */
static int add_peer(struct server *s, const struct server_way *way, int fd,
		    struct err *err)
{
	struct conn *c = new_conn(s, fd, fd, way->protocol, way->pretty);

	if (!c) {
		close(fd);
		return server_refuse(err);
	}
	socket_peer(fd, c->peer.name, sizeof(c->peer.name));
	listener_admit(&s->listener, &c->peer);
	return 0;
}

static int add_stdio(struct server *s, const struct server_way *way,
		     struct err *err)
{
	struct conn *c;

	if (s->stdin_ended >= 0)
		return err_set(err, ERR_GENERIC, "Standard input and output "
			       "serve one monitor only");
	s->stdin_ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stdin_ended < 0)
		return err_sys(err, errno, "No descriptor for a monitor");
	c = new_conn(s, STDIN_FILENO, STDOUT_FILENO, way->protocol,
		     way->pretty);
	if (!c)
		return server_refuse(err);
	c->is_stdio = true;
	c->in_ended = s->stdin_ended;
	snprintf(c->peer.name, sizeof(c->peer.name), "stdio");
	listener_admit(&s->listener, &c->peer);
	return 0;
}

static int connect_unix(struct server *s, const struct server_way *way,
			struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(way->path) >= sizeof(at.sun_path))
		return err_set(err, ERR_GENERIC, "UNIX socket path '%s' is "
			       "too long", way->path);
	strcpy(at.sun_path, way->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const void *)&at, sizeof(at))) {
		err_sys(err, errno, "Failed to connect to '%s'", way->path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return add_peer(s, way, fd, err);
}

static int add_unix(struct server *s, const struct server_way *way,
		    struct err *err)
{
	struct sockets sockets;

	if (way->connect)
		return connect_unix(s, way, err);
	if (sockets_listen_unix(&sockets, way->path, err))
		return -1;
	return add_listener(s, way, &sockets);
}

static bool is_loopback(int fd)
{
	struct sockaddr_storage at;
	const struct sockaddr_in *in = (const void *)&at;
	const struct sockaddr_in6 *in6 = (const void *)&at;
	socklen_t len = sizeof(at);

	if (getsockname(fd, (void *)&at, &len))
		return false;
	if (at.ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return at.ss_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Whoever may connect may read and write every file that we may: there is no
 * password in QMP, so it is for this machine only. */
static int add_tcp(struct server *s, const struct server_way *way,
		   struct err *err)
{
	struct sockets sockets;

	if (way->connect)
		return err_set(err, ERR_GENERIC, "A monitor over TCP has to "
			       "be a server");
	if (sockets_listen_tcp(&sockets, way->host, way->port, err))
		return -1;
	for (unsigned i = 0; i < sockets.count; i++) {
		if (is_loopback(sockets.fd[i]))
			continue;
		sockets_close(&sockets);
		return err_set(err, ERR_GENERIC, "%s is not a loopback "
			       "address: a monitor over TCP is for this "
			       "machine only", way->host);
	}
	return add_listener(s, way, &sockets);
}

static int add_fd(struct server *s, const struct server_way *way,
		  struct err *err)
{
	struct sockets sockets = { .fd = { way->fd }, .count = 1 };
	int listens = 0, flags = fcntl(way->fd, F_GETFL);
	socklen_t len = sizeof(listens);

	if (flags < 0 || getsockopt(way->fd, SOL_SOCKET, SO_ACCEPTCONN,
				    &listens, &len))
		return err_sys(err, errno, "Descriptor %d is not a socket",
			       way->fd);
	if (!listens != way->connect)
		return err_set(err, ERR_GENERIC, "Descriptor %d is a socket "
			       "that %s: server=%s says otherwise", way->fd,
			       listens ? "listens" : "does not listen",
			       way->connect ? "off" : "on");
	fcntl(way->fd, F_SETFD, FD_CLOEXEC);
	if (way->connect)
		return add_peer(s, way, way->fd, err);
	fcntl(way->fd, F_SETFL, flags | O_NONBLOCK);
	return add_listener(s, way, &sockets);
}

int server_add(struct server *s, const struct server_way *way,
	       struct err *err)
{
	static int (*const add[])(struct server *s,
				  const struct server_way *way,
				  struct err *err) = {
		[SERVER_STDIO] = add_stdio,
		[SERVER_UNIX] = add_unix,
		[SERVER_TCP] = add_tcp,
		[SERVER_FD] = add_fd,
	};

	return add[way->kind](s, way, err);
}

/* --- its life --- */

struct server *server_new(struct machine *machine)
{
	struct server *s = mem_alloc(sizeof(*s));

	s->machine = machine;
	s->stop = s->stdin_ended = -1;
	listener_init(&s->listener, &listener_ops, s);
	list_init(&s->manners);
	return s;
}

int server_start(struct server *s, struct err *err)
{
	int rc;

	s->stop = eventfd(0, EFD_CLOEXEC);
	if (s->stop < 0)
		return err_sys(err, errno, "No descriptor for monitors");
	rc = listener_start(&s->listener, SERVER_CLIENTS);
	return rc ? err_sys(err, rc, "No thread for monitors") : 0;
}

int server_stdin_fd(const struct server *s)
{
	return s->stdin_ended;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void server_free(struct server *s)
{
	if (s->stop >= 0)
		eventfd_write(s->stop, 1);
	listener_stop(&s->listener);
	listener_wait(&s->listener);
	listener_release(&s->listener);
	list_for_each_safe(link, &s->manners) {
		list_del(link);
		free(container_of(link, struct manner, link));
	}
	close_fd(s->stop);
	close_fd(s->stdin_ended);
	free(s);
}
