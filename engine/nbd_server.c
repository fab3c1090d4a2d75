/* nbd_server.c - sockets, accepting, the list of connections. See
 * nbd_server.h and nbd_impl.h; exports are in nbd_export.c.
 */
#include "engine/nbd_server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/nbd_impl.h"
#include "engine/util/bug.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

#define NOTICES_PER_SECOND 10
/* No descriptor, no memory: accepting again at once would spin. */
#define ACCEPT_AGAIN_NS (NS_PER_SEC / 5)

static struct nbd_conn *conn_at(struct list *link)
{
	return container_of(link, struct nbd_conn, link);
}

/* --- the operator's log --- */

/* *lost: how many lines were kept back before this one. */
static bool may_notice(struct nbd_server *s, unsigned *lost)
{
	uint64_t now = clock_ns();
	bool may;

	*lost = 0;
	lock_take(&s->lock);
	if (now - s->notice_ns >= NS_PER_SEC) {
		s->notice_ns = now;
		s->notices = 0;
	}
	may = s->notices < NOTICES_PER_SECOND;
	if (may) {
		s->notices++;
		*lost = s->notices_lost;
		s->notices_lost = 0;
	} else {
		s->notices_lost++;
	}
	lock_drop(&s->lock);
	return may;
}

void nbd_notice(struct nbd_server *s, const struct nbd_conn *c,
		const char *fmt, ...)
{
	struct str line = STR_INIT, safe = STR_INIT;
	unsigned lost;
	va_list ap;

	if (!may_notice(s, &lost))
		return;
	if (c)
		str_addf(&line, "NBD client %llu (%s): ",
			 (unsigned long long)c->number, c->peer);
	else
		str_add(&line, "NBD server: ");
	va_start(ap, fmt);
	str_addv(&line, fmt, ap);
	va_end(ap);
	if (lost)
		str_addf(&line, " (%u lines were left out before)", lost);
	str_add_safe(&safe, str_get(&line));
	event_notice(engine_events(s->engine), "%s", str_get(&safe));
	str_release(&line);
	str_release(&safe);
}

/* --- connections --- */

bool nbd_conn_settle(struct nbd_conn *c, struct export *x)
{
	struct nbd_server *s = c->server;
	bool stays;

	lock_take(&s->lock);
	stays = !c->gone && !x->closing;
	c->deadline = 0;
	if (stays)
		c->export = x;
	lock_drop(&s->lock);
	return stays;
}

void nbd_conn_done(struct nbd_conn *c)
{
	struct nbd_server *s = c->server;

	lock_take(&s->lock);
	if (c->export)
		c->export->users--;
	c->export = NULL;
	c->deadline = 0;
	c->done = true;
	cond_wake_all(&s->changed);
	eventfd_write(s->wake, 1);
	lock_drop(&s->lock);
}

void nbd_conn_end(struct nbd_conn *c, bool hard)
{
	atomic_store(&c->gone, true);
	shutdown(c->fd, hard || !c->export ? SHUT_RDWR : SHUT_RD);
}

/* Takes one that is done out of the list. */
static struct nbd_conn *next_done(struct nbd_server *s)
{
	struct nbd_conn *found = NULL;

	lock_take(&s->lock);
	list_for_each_safe(link, &s->conns)
		if (!found && conn_at(link)->done)
			found = conn_at(link);
	if (found) {
		list_del(&found->link);
		s->clients--;
		s->full_told = false;
	}
	lock_drop(&s->lock);
	return found;
}

static void bury(struct nbd_server *s)
{
	struct nbd_conn *c;

	while ((c = next_done(s)))
		nbd_conn_free(c);
}

static void greet(struct nbd_server *s, int fd)
{
	struct nbd_conn *c = nbd_conn_new(s, fd);
	int rc;

	lock_take(&s->lock);
	c->number = ++s->next_number;
	c->deadline = clock_ns() + s->handshake_ns;
	list_add_tail(&s->conns, &c->link);
	s->clients++;
	lock_drop(&s->lock);
	rc = nbd_conn_start(c);
	if (rc) {
		nbd_notice(s, c, "can't be served: %s", strerror(-rc));
		nbd_conn_done(c);
	}
}

/* --- the accepting thread --- */

/* Ends the handshakes that took too long; when the next one will have. */
static uint64_t end_slow_handshakes(struct nbd_server *s)
{
	uint64_t now = clock_ns(), next = UINT64_MAX;

	lock_take(&s->lock);
	list_for_each(link, &s->conns) {
		struct nbd_conn *c = conn_at(link);

		if (!c->deadline)
			continue;
		if (c->deadline > now) {
			next = min_u64(next, c->deadline);
			continue;
		}
		c->deadline = 0;
		c->late = true;
		nbd_conn_end(c, true);
	}
	lock_drop(&s->lock);
	return next;
}

/* True if one more client may come in. */
static bool has_room(struct nbd_server *s)
{
	bool room, tell;

	lock_take(&s->lock);
	room = s->clients < s->max_clients;
	tell = !room && !s->full_told;
	if (tell)
		s->full_told = true;
	lock_drop(&s->lock);
	if (tell)
		nbd_notice(s, NULL, "all %u connections are in use; further "
			   "clients have to wait", s->max_clients);
	return room;
}

/* One client of each socket at a time. False if the host has no more to
 * give. */
static bool accept_all(struct nbd_server *s, const struct pollfd *p)
{
	for (unsigned i = 0; i < s->sockets.count; i++) {
		int fd;

		if (!(p[i].revents & POLLIN) || !has_room(s))
			continue;
		fd = socket_accept(s->sockets.fd[i]);
		if (fd >= 0)
			greet(s, fd);
		else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ||
			 fd == -ENOBUFS)
			return false;
	}
	return true;
}

static int ms_until(uint64_t when)
{
	uint64_t now = clock_ns();

	if (when == UINT64_MAX)
		return -1;
	return when > now ? (int)((when - now) / NS_PER_MS + 1) : 0;
}

/* Waits until something is to be done; fills @p. */
static void look_out(struct nbd_server *s, struct pollfd *p, bool accepting,
		     uint64_t until)
{
	unsigned n = s->sockets.count;
	eventfd_t count;

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){
			.fd = s->sockets.fd[i],
			.events = accepting ? POLLIN : 0,
		};
	p[n] = (struct pollfd){ .fd = s->wake, .events = POLLIN };
	if (poll(p, n + 1, ms_until(until)) < 0)
		memset(p, 0, sizeof(*p) * (n + 1));
	if (p[n].revents)
		eventfd_read(s->wake, &count);
}

static bool is_running(struct nbd_server *s)
{
	bool running;

	lock_take(&s->lock);
	running = s->running;
	lock_drop(&s->lock);
	return running;
}

static void set_running(struct nbd_server *s, bool running)
{
	lock_take(&s->lock);
	s->running = running;
	lock_drop(&s->lock);
}

static void accept_main(void *arg)
{
	struct pollfd p[SOCKETS_MAX + 1];
	struct nbd_server *s = arg;
	bool poor = false;

	while (is_running(s)) {
		uint64_t until = end_slow_handshakes(s);

		if (poor)
			until = min_u64(until, clock_ns() + ACCEPT_AGAIN_NS);
		look_out(s, p, !poor && has_room(s), until);
		bury(s);
		poor = !accept_all(s, p);
		if (poor)
			nbd_notice(s, NULL, "no descriptors or memory for "
				   "another client");
	}
}

/* --- start and stop --- */

struct nbd_server *nbd_server_new(struct engine *e)
{
	struct nbd_server *s = mem_alloc(sizeof(*s));

	s->engine = e;
	s->wake = -1;
	s->handshake_ns = NBD_HANDSHAKE_NS;
	s->drain_ns = NBD_DRAIN_NS;
	s->processors = (unsigned)max_u64(thread_processors(), 2);
	lock_init(&s->admin);
	lock_init(&s->lock);
	cond_init(&s->changed);
	list_init(&s->conns);
	list_init(&s->exports);
	return s;
}

static int listen_at(struct nbd_server *s, const struct nbd_options *o,
		     struct err *err)
{
	if (o->path) {
		snprintf(s->address, sizeof(s->address), "unix:%s", o->path);
		return sockets_listen_unix(&s->sockets, o->path, err);
	}
	snprintf(s->address, sizeof(s->address), "%s:%s",
		 o->host && *o->host ? o->host : "localhost", o->port);
	return sockets_listen_tcp(&s->sockets, o->host, o->port, err);
}

static int start_accepting(struct nbd_server *s, struct err *err)
{
	int rc;

	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = s->wake < 0 ? -errno : 0;
	set_running(s, !rc);
	if (!rc)
		rc = thread_start(&s->thread, "nbd-accept", accept_main, s);
	if (!rc)
		return 0;
	set_running(s, false);
	if (s->wake >= 0)
		close(s->wake);
	s->wake = -1;
	return err_sys(err, rc, "Could not start the NBD server");
}

static int start(struct nbd_server *s, const struct nbd_options *o,
		 struct err *err)
{
	if (is_running(s))
		return err_set(err, ERR_GENERIC,
			       "NBD server already running");
	if (listen_at(s, o, err))
		return -1;
	s->max_clients = o->max_connections ? o->max_connections :
					      NBD_CLIENTS;
	if (start_accepting(s, err)) {
		sockets_close(&s->sockets);
		return -1;
	}
	return 0;
}

int engine_nbd_start(struct engine *e, const struct nbd_options *o,
		     struct err *err)
{
	struct nbd_server *s = e->nbd;
	int rc;

	lock_take(&s->admin);
	rc = start(s, o, err);
	lock_drop(&s->admin);
	return rc;
}

/* Nobody new from here on. */
static void stop_accepting(struct nbd_server *s)
{
	set_running(s, false);
	eventfd_write(s->wake, 1);
	thread_join(s->thread);
	sockets_close(&s->sockets);
}

/* Handshakes have no request in flight. */
static void end_handshakes(struct nbd_server *s)
{
	lock_take(&s->lock);
	list_for_each(link, &s->conns)
		if (!conn_at(link)->export)
			nbd_conn_end(conn_at(link), true);
	lock_drop(&s->lock);
}

static void stop(struct nbd_server *s)
{
	stop_accepting(s);
	end_handshakes(s);
	nbd_exports_drop(s);
	lock_take(&s->lock);
	list_for_each(link, &s->conns)
		while (!conn_at(link)->done)
			cond_wait(&s->changed, &s->lock);
	lock_drop(&s->lock);
	bury(s);
	while (s->spares)
		free(s->spare[--s->spares]);
	close(s->wake);
	s->wake = -1;
}

int engine_nbd_stop(struct engine *e, struct err *err)
{
	struct nbd_server *s = e->nbd;
	int rc = 0;

	lock_take(&s->admin);
	if (is_running(s))
		stop(s);
	else
		rc = err_set(err, ERR_GENERIC, "NBD server not running");
	lock_drop(&s->admin);
	return rc;
}

void nbd_server_quit(struct nbd_server *s)
{
	lock_take(&s->admin);
	if (is_running(s))
		stop(s);
	lock_drop(&s->admin);
}

void nbd_server_free(struct nbd_server *s)
{
	nbd_server_quit(s);
	BUG_ON(!list_is_empty(&s->conns) || !list_is_empty(&s->exports));
	cond_release(&s->changed);
	lock_release(&s->lock);
	lock_release(&s->admin);
	free(s);
}

/* --- query --- */

static void fill_client(struct nbd_client_info *info, struct nbd_conn *c)
{
	*info = (struct nbd_client_info){
		.number = c->number, .counts = nbd_counts(&c->tally),
	};
	snprintf(info->peer, sizeof(info->peer), "%s", c->peer);
	if (c->export)
		snprintf(info->export, sizeof(info->export), "%s",
			 c->export->id);
}

void engine_query_nbd(struct engine *e, struct nbd_info *out)
{
	struct nbd_server *s = e->nbd;

	lock_take(&s->lock);
	*out = (struct nbd_info){
		.running = s->running,
		.client = mem_alloc((s->clients + 1) * sizeof(*out->client)),
	};
	if (s->running) {
		out->max_connections = s->max_clients;
		memcpy(out->address, s->address, sizeof(out->address));
	}
	list_for_each(link, &s->conns)
		if (!conn_at(link)->done)
			fill_client(&out->client[out->clients++],
				    conn_at(link));
	lock_drop(&s->lock);
}
