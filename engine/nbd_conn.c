/* nbd_conn.c - one connection: its life, its threads, its input and
 * output. See nbd_impl.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/nbd_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* --- input --- */

static ssize_t receive(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = recv(fd, buf, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static size_t take_input(struct nbd_conn *c, void *buf, size_t len)
{
	size_t n = min_u64(len, c->in_end - c->in_at);

	memcpy(buf, c->in + c->in_at, n);
	c->in_at += n;
	return n;
}

/* What is large goes to where it is wanted, what is small comes with all that
 * is there. */
static ssize_t more_input(struct nbd_conn *c, uint8_t *buf, size_t len)
{
	ssize_t n;

	if (len >= NBD_INPUT)
		return receive(c->fd, buf, len);
	n = receive(c->fd, c->in, NBD_INPUT);
	c->in_at = 0;
	c->in_end = n > 0 ? (size_t)n : 0;
	return n > 0 ? (ssize_t)take_input(c, buf, len) : n;
}

int nbd_recv(struct nbd_conn *c, void *buf, size_t len)
{
	size_t got = take_input(c, buf, len);

	while (got < len) {
		ssize_t n = more_input(c, (uint8_t *)buf + got, len - got);

		if (n < 0)
			return (int)n;
		if (!n)
			return got ? -EPIPE : -ENODATA;
		got += (size_t)n;
	}
	return 0;
}

int nbd_skip(struct nbd_conn *c, uint64_t len)
{
	uint8_t buf[4096];
	int rc = 0;

	while (len && !rc) {
		size_t n = min_u64(len, sizeof(buf));

		rc = nbd_recv(c, buf, n);
		len -= n;
	}
	return rc == -ENODATA ? -EPIPE : rc;
}

/* --- output --- */

void nbd_out_take(struct nbd_conn *c)
{
	if (lock_try(&c->out))
		return;
	nbd_turn_let_go();
	lock_take(&c->out);
}

void nbd_out_drop(struct nbd_conn *c)
{
	lock_drop(&c->out);
}

/* Drops @sent bytes from the front; how many parts are left. */
static int advance(struct iovec **iov, int n, size_t sent)
{
	while (n && sent >= (*iov)->iov_len) {
		sent -= (*iov)->iov_len;
		++*iov;
		n--;
	}
	if (n) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + sent;
		(*iov)->iov_len -= sent;
	}
	return n;
}

/* What the client has no room for has to wait for him, without the turn. */
static ssize_t send_some(struct nbd_conn *c, const struct msghdr *msg)
{
	ssize_t n;

	if (nbd_turn_is_kept()) {
		n = sendmsg(c->fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return n;
		nbd_turn_let_go();
	}
	return sendmsg(c->fd, msg, MSG_NOSIGNAL);
}

int nbd_send(struct nbd_conn *c, struct iovec *iov, int n)
{
	while (n) {
		struct msghdr msg = { .msg_iov = iov,
				      .msg_iovlen = (size_t)n };
		ssize_t sent = send_some(c, &msg);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		n = advance(&iov, n, (size_t)sent);
	}
	return 0;
}

/* --- the life of a thread --- */

static void tell_end(struct nbd_conn *c, int rc)
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
		tell_end(c, rc);
		nbd_turn_end(w);
	} else {
		nbd_turn_begin(w, &r);
		if (nbd_serve(c, &r))
			shutdown(c->fd, SHUT_RDWR);
		nbd_turn_measure(w, &r);
	}
	nbd_request_release(w, &r);
	return rc;
}

void nbd_worker_main(void *arg)
{
	struct nbd_worker *w = arg;

	drive_serve(&w->conn->gone);
	while (nbd_turn_take(w) && !serve_next(w))
		;
}

/* The first thread waits for the others: whoever ended the turns was the last
 * to start one. */
static void transmit(struct nbd_conn *c)
{
	nbd_worker_main(&c->worker[0]);
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
	nbd_conn_done(c);
}

/* --- the life of a connection --- */

struct nbd_conn *nbd_conn_new(struct nbd_server *s, int fd)
{
	struct nbd_conn *c = mem_alloc(sizeof(*c));

	c->server = s;
	c->fd = fd;
	c->in = mem_try(NBD_INPUT, 1);
	nbd_worker_init(&c->worker[0], c);
	c->workers = 1;
	lock_init(&c->lock);
	lock_init(&c->out);
	list_init(&c->idle);
	cond_init(&c->freed);
	list_init(&c->link);
	socket_tune(fd);
	socket_peer(fd, c->peer, sizeof(c->peer));
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
