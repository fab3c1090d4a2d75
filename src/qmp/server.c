/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One thread accepts and buries. It alone touches the lists while it runs, so
 * they need no lock.
 */
#include "src/qmp/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/socket.h"
#include "engine/util/thread.h"
#include "src/qmp/conn.h"

/* Without a descriptor or memory, accepting again at once would spin. */
#define ACCEPT_AGAIN_MS 200

struct listener {
	struct list link;
	struct sockets sockets;
	const struct server_protocol *protocol;
	bool pretty;
};

struct server {
	struct engine *engine;
	struct list listeners, conns;
	unsigned clients;		/* length of @conns */
	unsigned next_number;
	bool full_told;
	bool tired;			/* accepting failed just now */
	int stop;			/* eventfd: end */
	int wake;			/* eventfd: somebody is done */
	int stdin_ended;		/* eventfd or -1 */
	bool started;
	pthread_t thread;
};

void server_notice(struct engine *engine, const char *fmt, ...)
{
	struct event ev = { .type = EVENT_NOTICE };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ev.text, sizeof(ev.text), fmt, ap);
	va_end(ap);
	event_publish(engine_events(engine), &ev);
}

struct server *server_new(struct engine *engine)
{
	struct server *s = mem_alloc(sizeof(*s));

	s->engine = engine;
	s->stop = s->wake = s->stdin_ended = -1;
	list_init(&s->listeners);
	list_init(&s->conns);
	return s;
}

/* --- connections --- */

static struct conn *conn_at(struct list *link)
{
	return container_of(link, struct conn, link);
}

static struct conn *add_conn(struct server *s, int in, int out,
			     const struct server_protocol *protocol,
			     bool pretty)
{
	struct conn *c = mem_alloc(sizeof(*c));

	*c = (struct conn) {
		.engine = s->engine, .protocol = protocol, .pretty = pretty,
		.in = in, .out = out, .in_ended = -1,
		.number = ++s->next_number,
	};
	list_add_tail(&s->conns, &c->link);
	s->clients++;
	return c;
}

static void drop_conn(struct server *s, struct conn *c)
{
	list_del(&c->link);
	s->clients--;
	s->full_told = false;
}

static int start_conn(struct server *s, struct conn *c)
{
	int rc;

	c->stop = s->stop;
	c->wake = s->wake;
	rc = conn_start(c);
	if (!rc)
		return 0;
	drop_conn(s, c);
	conn_free(c);
	return rc;
}

static void take_client(struct server *s, const struct listener *l, int fd)
{
	struct conn *c;
	int rc;

	if (s->clients >= SERVER_CLIENTS) {
		close(fd);
		if (!s->full_told)
			server_notice(s->engine, "more than %d clients: the "
				      "next ones are sent away",
				      SERVER_CLIENTS);
		s->full_told = true;
		return;
	}
	socket_tune(fd);
	c = add_conn(s, fd, fd, l->protocol, l->pretty);
	socket_peer(fd, c->peer, sizeof(c->peer));
	rc = start_conn(s, c);
	if (rc)
		server_notice(s->engine, "%s client can't be served: %s",
			      l->protocol->name, strerror(-rc));
}

/* --- the accepting thread --- */

static void bury(struct server *s)
{
	eventfd_t count;

	eventfd_read(s->wake, &count);
	list_for_each_safe(link, &s->conns) {
		struct conn *c = conn_at(link);

		if (!c->done)
			continue;
		drop_conn(s, c);
		conn_free(c);
	}
}

static bool may_accept_again(int rc)
{
	return rc == -EINTR || rc == -ECONNABORTED || rc == -EPROTO;
}

static void accept_all(struct server *s, const struct listener *l, int fd)
{
	int conn;

	for (;;) {
		conn = socket_accept(fd);
		if (conn >= 0)
			take_client(s, l, conn);
		else if (!may_accept_again(conn))
			break;
	}
	s->tired = conn != -EAGAIN;
}

static struct listener *listener_at(struct list *link)
{
	return container_of(link, struct listener, link);
}

static nfds_t count_fds(const struct server *s)
{
	nfds_t n = 2;

	list_for_each(link, &s->listeners)
		n += listener_at(link)->sockets.count;
	return n;
}

static void fill_fds(const struct server *s, struct pollfd *fds)
{
	list_for_each(link, &s->listeners) {
		const struct sockets *sockets = &listener_at(link)->sockets;

		for (unsigned i = 0; i < sockets->count; i++)
			*fds++ = (struct pollfd) {
				.fd = sockets->fd[i], .events = POLLIN,
			};
	}
}

static void take_clients(struct server *s, const struct pollfd *fds)
{
	list_for_each(link, &s->listeners) {
		const struct listener *l = listener_at(link);

		for (unsigned i = 0; i < l->sockets.count; i++, fds++)
			if (fds->revents)
				accept_all(s, l, fds->fd);
	}
}

static void run(void *arg)
{
	struct server *s = arg;
	nfds_t n = count_fds(s);
	struct pollfd *fds = mem_alloc(n * sizeof(*fds));

	fds[0] = (struct pollfd) { .fd = s->stop, .events = POLLIN };
	fds[1] = (struct pollfd) { .fd = s->wake, .events = POLLIN };
	fill_fds(s, fds + 2);
	while (!fds[0].revents) {
		bool rest = s->tired;

		s->tired = false;
		if (poll(fds, rest ? 2 : n, rest ? ACCEPT_AGAIN_MS : -1) < 0)
			continue;
		if (fds[1].revents)
			bury(s);
		if (!rest)
			take_clients(s, fds + 2);
	}
	free(fds);
}

/* --- ways in --- */

static int add_listener(struct server *s, const struct server_way *way,
			struct sockets *sockets)
{
	struct listener *l = mem_alloc(sizeof(*l));

	l->sockets = *sockets;
	l->protocol = way->protocol;
	l->pretty = way->pretty;
	list_add_tail(&s->listeners, &l->link);
	return 0;
}

static void add_peer(struct server *s, const struct server_way *way, int fd)
{
	struct conn *c = add_conn(s, fd, fd, way->protocol, way->pretty);

	socket_peer(fd, c->peer, sizeof(c->peer));
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
	c = add_conn(s, STDIN_FILENO, STDOUT_FILENO, way->protocol,
		     way->pretty);
	c->is_stdio = true;
	c->in_ended = s->stdin_ended;
	snprintf(c->peer, sizeof(c->peer), "stdio");
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
	add_peer(s, way, fd);
	return 0;
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
	if (way->connect) {
		add_peer(s, way, way->fd);
		return 0;
	}
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

int server_start(struct server *s, struct err *err)
{
	int rc = 0;

	s->stop = eventfd(0, EFD_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop < 0 || s->wake < 0)
		return err_sys(err, errno, "No descriptor for monitors");
	list_for_each_safe(link, &s->conns)
		if (!rc)
			rc = start_conn(s, conn_at(link));
	if (!rc)
		rc = thread_start(&s->thread, "qmp accept", run, s);
	if (rc)
		return err_sys(err, rc, "No thread for monitors");
	s->started = true;
	return 0;
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
	if (s->started)
		thread_join(s->thread);
	list_for_each_safe(link, &s->conns) {
		struct conn *c = conn_at(link);

		drop_conn(s, c);
		conn_free(c);
	}
	list_for_each_safe(link, &s->listeners) {
		struct listener *l = listener_at(link);

		list_del(link);
		sockets_close(&l->sockets);
		free(l);
	}
	close_fd(s->stop);
	close_fd(s->wake);
	close_fd(s->stdin_ended);
	free(s);
}
