/* nbd_server.c - start and stop, and what is asked about all of it. See
 * nbd_server.h and nbd_impl.h.
 */
#include "engine/nbd/nbd_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nbd/nbd_impl.h"
#include "engine/util/bug.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* --- connections, for the listener --- */

static struct nbd_conn *nbd_server_conn_of(const struct peer *p)
{
	return container_of(p, struct nbd_conn, peer);
}

static struct nbd_conn *conn_at(struct list *link)
{
	return nbd_server_conn_of(container_of(link, struct peer, link));
}

static struct peer *make_conn(void *arg, void *way, int fd)
{
	struct nbd_server *s = arg;
	struct nbd_conn *c = nbd_conn_new(s, fd);

	(void)way;
	if (!c)
		return NULL;
	c->peer.deadline = clock_ns() + s->handshake_ns;
	return &c->peer;
}

static int start_conn(struct peer *p)
{
	return nbd_conn_start(nbd_server_conn_of(p));
}

static void end_conn(struct peer *p)
{
	nbd_export_cut(nbd_server_conn_of(p));
}

static void tell_hung(struct peer *p)
{
	nbd_export_abandon(nbd_server_conn_of(p));
}

static void free_conn(struct peer *p)
{
	nbd_conn_free(nbd_server_conn_of(p));
}

static void nbd_server_say(void *arg, const struct peer *p, const char *text)
{
	nbd_notice(arg, p ? nbd_server_conn_of(p) : NULL, "%s", text);
}

static const struct listener_ops listener_ops = {
	.thread = "nbd-accept",
	.waits = true,
	.make = make_conn,
	.start = start_conn,
	.late = end_conn,
	.hung = tell_hung,
	.free = free_conn,
	.say = nbd_server_say,
};

/* --- start and stop --- */

struct nbd_server *nbd_server_new(struct engine *e)
{
	struct nbd_server *s = mem_alloc(sizeof(*s));

	s->engine = e;
	listener_init(&s->listener, &listener_ops, s);
	s->handshake_ns = NBD_HANDSHAKE_NS;
	s->drain_ns = NBD_DRAIN_NS;
	s->processors = (unsigned)max_u64(thread_processors(), 2);
	lock_init(&s->admin);
	lock_init(&s->lock);
	cond_init(&s->changed);
	list_init(&s->exports);
	return s;
}

static int nbd_server_listen_at(struct nbd_server *s,
				const struct nbd_options *o, struct err *err)
{
	struct sockets sockets;
	char address[sizeof(s->address)];
	int rc;

	if (o->path) {
		snprintf(address, sizeof(address), "unix:%s", o->path);
		rc = sockets_listen_unix(&sockets, o->path, err);
	} else {
		snprintf(address, sizeof(address), "%s:%s",
			 o->host && *o->host ? o->host : "localhost",
			 o->port);
		rc = sockets_listen_tcp(&sockets, o->host, o->port, err);
	}
	if (rc)
		return rc;
	lock_take(&s->lock);
	memcpy(s->address, address, sizeof(address));
	lock_drop(&s->lock);
	listener_add(&s->listener, &sockets, NULL);
	return 0;
}

static int nbd_server_start_held(struct nbd_server *s,
				 const struct nbd_options *o, struct err *err)
{
	int rc;

	if (listener_is_running(&s->listener))
		return err_set(err, ERR_GENERIC,
			       "NBD server already running");
	if (nbd_server_listen_at(s, o, err))
		return -1;
	rc = listener_start(&s->listener, o->max_connections ?
			    o->max_connections : NBD_CLIENTS);
	if (!rc)
		return 0;
	listener_stop(&s->listener);
	listener_wait(&s->listener);
	return err_sys(err, rc, "Could not start the NBD server");
}

int nbd_server_start(struct nbd_server *s, const struct nbd_options *o,
		     struct err *err)
{
	int rc;

	lock_take(&s->admin);
	rc = nbd_server_start_held(s, o, err);
	lock_drop(&s->admin);
	return rc;
}

/* Handshakes have no request in flight. */
static void end_handshakes(struct nbd_server *s)
{
	lock_take(&s->listener.lock);
	lock_take(&s->lock);
	list_for_each(link, &s->listener.peers)
		if (!conn_at(link)->export)
			nbd_hang_up(conn_at(link), true);
	lock_drop(&s->lock);
	lock_drop(&s->listener.lock);
}

static void nbd_server_stop_held(struct nbd_server *s)
{
	listener_stop(&s->listener);
	end_handshakes(s);
	nbd_exports_drop(s);
	listener_wait(&s->listener);
	while (s->spares)
		free(s->spare[--s->spares]);
}

int nbd_server_stop(struct nbd_server *s, struct err *err)
{
	int rc = 0;

	lock_take(&s->admin);
	if (listener_is_running(&s->listener))
		nbd_server_stop_held(s);
	else
		rc = err_set(err, ERR_GENERIC, "NBD server not running");
	lock_drop(&s->admin);
	return rc;
}

void nbd_server_quit(struct nbd_server *s)
{
	lock_take(&s->admin);
	if (listener_is_running(&s->listener))
		nbd_server_stop_held(s);
	lock_drop(&s->admin);
}

void nbd_server_free(struct nbd_server *s)
{
	nbd_server_quit(s);
	BUG_ON(!list_is_empty(&s->exports));
	listener_release(&s->listener);
	cond_release(&s->changed);
	lock_release(&s->lock);
	lock_release(&s->admin);
	free(s);
}

/* --- query --- */

static void fill_client(struct nbd_client_info *info, struct nbd_conn *c)
{
	*info = (struct nbd_client_info){
		.number = c->peer.number, .counts = nbd_counts(&c->tally),
	};
	snprintf(info->peer, sizeof(info->peer), "%s", c->peer.name);
	if (c->export)
		info->export = c->export->serial;
}

int nbd_query_server(struct nbd_server *s, struct nbd_info *out)
{
	struct listener *l = &s->listener;

	lock_take(&l->lock);
	lock_take(&s->lock);
	*out = (struct nbd_info){
		.running = l->running,
		.client = mem_try(l->count + 1, sizeof(*out->client)),
	};
	if (l->running) {
		out->max_connections = l->most;
		memcpy(out->address, s->address, sizeof(out->address));
	}
	list_for_each(link, &l->peers)
		if (out->client && !conn_at(link)->peer.done)
			fill_client(&out->client[out->clients++],
				    conn_at(link));
	lock_drop(&s->lock);
	lock_drop(&l->lock);
	return out->client ? 0 : -ENOMEM;
}
