/* nbd_conn.c - one connection: its threads, their turns, its input and
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

/* Requests that take less than a thread takes to wake up are served by the
 * thread that read them, with the turn in its hands. */
#define QUICK_NS 20000u
/* Those that may take long at any time are no measure, and are not waited
 * for. */
#define QUICK_BYTES (64u << 10)

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

/* --- turns --- */

/* The calling thread serves with the turn of its connection in its hands. */
static _Thread_local bool keeps_turn;

/* False if there is no next request. */
static bool turn_take(struct nbd_conn *c)
{
	bool mine;

	lock_take(&c->lock);
	while (c->taken && !c->ended) {
		c->idle++;
		cond_wait(&c->turn, &c->lock);
		c->idle--;
	}
	mine = !c->ended;
	if (mine)
		c->taken = true;
	lock_drop(&c->lock);
	return mine;
}

static bool anyone_idle(struct nbd_conn *c)
{
	bool idle;

	lock_take(&c->lock);
	idle = c->idle;
	lock_drop(&c->lock);
	return idle;
}

static void turn_pass(struct nbd_conn *c)
{
	lock_take(&c->lock);
	c->taken = false;
	if (c->idle)
		cond_wake_one(&c->turn);
	lock_drop(&c->lock);
}

static void turn_end(struct nbd_conn *c)
{
	lock_take(&c->lock);
	c->ended = true;
	cond_wake_all(&c->turn);
	lock_drop(&c->lock);
}

static void worker_main(void *arg);

/* Threads come as they are needed and stay. Without another one the client
 * has fewer requests in flight. */
static void add_worker(struct nbd_conn *c)
{
	struct nbd_worker *w = &c->worker[c->workers];

	if (c->workers == NBD_THREADS || anyone_idle(c))
		return;
	w->conn = c;
	w->small = buf_new(NBD_SMALL);
	if (w->small && !thread_start(&w->thread, "nbd-io", worker_main, w)) {
		c->workers++;
	} else {
		free(w->small);
		w->small = NULL;
	}
}

static void turn_let_go(struct nbd_conn *c)
{
	if (!keeps_turn)
		return;
	keeps_turn = false;
	add_worker(c);
	turn_pass(c);
}

/* --- output --- */

void nbd_out_take(struct nbd_conn *c)
{
	if (lock_try(&c->out))
		return;
	turn_let_go(c);
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

	if (keeps_turn) {
		n = sendmsg(c->fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return n;
		turn_let_go(c);
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

static bool is_quick(const struct nbd_conn *c, const struct nbd_request *r)
{
	return r->buf && r->len <= QUICK_BYTES && c->mean_ns < QUICK_NS;
}

/* A mean that forgets. Threads may overwrite each other's: it is a hint. */
static void measure(struct nbd_conn *c, const struct nbd_request *r,
		    uint64_t began)
{
	uint32_t took = (uint32_t)min_u64(clock_ns() - began, NS_PER_SEC);

	if (r->buf && r->len <= QUICK_BYTES)
		c->mean_ns = c->mean_ns / 8 * 7 + took / 8;
}

static void tell_end(struct nbd_conn *c, int rc)
{
	if (rc == -EPIPE && !c->gone)
		nbd_notice(c->server, c, "closed the connection in the midst "
			   "of a request");
}

/* A client who can't be answered can't ask any more either. */
static void serve(struct nbd_conn *c, struct nbd_request *r)
{
	uint64_t began = clock_ns();

	if (nbd_serve(c, r))
		shutdown(c->fd, SHUT_RDWR);
	measure(c, r, began);
}

static void run_turns(struct nbd_worker *w)
{
	struct nbd_conn *c = w->conn;

	drive_serve(&c->gone);
	while (keeps_turn || turn_take(c)) {
		struct nbd_request r;
		int rc = nbd_request_read(w, &r);

		keeps_turn = !rc;
		if (rc) {
			tell_end(c, rc);
			turn_end(c);
		} else if (!is_quick(c, &r)) {
			turn_let_go(c);
		}
		if (!rc)
			serve(c, &r);
		nbd_request_release(w, &r);
	}
}

static void worker_main(void *arg)
{
	run_turns(arg);
}

/* The first thread waits for the others: whoever ended the turns was the last
 * to start one. */
static void transmit(struct nbd_conn *c)
{
	run_turns(&c->worker[0]);
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
	c->worker[0].conn = c;
	c->worker[0].small = buf_new(NBD_SMALL);
	c->workers = 1;
	lock_init(&c->lock);
	lock_init(&c->out);
	cond_init(&c->turn);
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
		free(c->worker[i].small);
	close(c->fd);
	cond_release(&c->freed);
	cond_release(&c->turn);
	lock_release(&c->out);
	lock_release(&c->lock);
	free(c->in);
	free(c);
}
