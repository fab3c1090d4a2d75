/* nbd_conn.c - the life of one connection and of its threads. See nbd_impl.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/nbd/nbd_impl.h"
#include "engine/util/mem.h"

/* --- the life of a thread --- */

static void conn_nbd_tell_end(struct nbd_conn *c, int rc)
{
	if (rc == -EPIPE && !c->gone)
		nbd_notice(c->server, c, "closed the connection in the midst "
			   "of a request");
}

/* The next request of all: 0, or there is none. A client who can't be answered
 * can't ask any more either. */
static int serve_next(struct nbd_worker *w)
{
	struct nbd_conn *c = w->conn;
	struct nbd_request r;
	int rc = nbd_request_read(w, &r);

	if (rc) {
		conn_nbd_tell_end(c, rc);
		nbd_export_abandon(c);
		nbd_turn_end(w);
	} else {
		nbd_turn_begin(w, &r);
		if (nbd_serve(c, &r))
			nbd_export_cut(c);
		nbd_turn_measure(w, &r);
	}
	nbd_request_release(w, &r);
	return rc;
}

static void worker_main(void *arg)
{
	struct nbd_worker *w = arg;

	disk_serve(&w->conn->away);
	while (nbd_turn_take(w) && !serve_next(w))
		;
}

/* The first thread waits for the others: whoever ended the turns was the last
 * to start one. */
static void transmit(struct nbd_conn *c)
{
	worker_main(&c->worker[0]);
	for (unsigned i = 1; i < c->workers; i++)
		thread_join(c->worker[i].thread);
}

static void conn_main(void *arg)
{
	struct nbd_conn *c = arg;

	if (!nbd_handshake(c))
		transmit(c);
	/* so that the client knows before the thread is buried */
	shutdown(c->fd, SHUT_RDWR);
	nbd_export_leave(c);
	peer_done(&c->peer);
}

/* --- the life of a connection --- */

struct nbd_conn *nbd_conn_new(struct nbd_server *s, int fd)
{
	struct nbd_conn *c = mem_try(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = s;
	c->fd = fd;
	c->work = worker_main;
	c->in = mem_try(NBD_INPUT, 1);
	nbd_worker_init(&c->worker[0], c);
	c->workers = 1;
	lock_init(&c->lock);
	lock_init(&c->out);
	list_init(&c->idle);
	cond_init(&c->freed);
	list_init(&c->user);
	return c;
}

int nbd_conn_start(struct nbd_conn *c)
{
	int rc = c->in && c->worker[0].small ? 0 : -ENOMEM;

	if (!rc)
		rc = thread_start(&c->thread, "nbd-client", conn_main, c);
	c->started = !rc;
	return rc;
}

void nbd_conn_free(struct nbd_conn *c)
{
	if (c->started)
		thread_join(c->thread);
	for (unsigned i = 0; i < c->workers; i++)
		nbd_worker_release(&c->worker[i]);
	close(c->fd);
	cond_release(&c->freed);
	lock_release(&c->out);
	lock_release(&c->lock);
	free(c->in);
	free(c);
}
