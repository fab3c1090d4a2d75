/* nbd_io.c - input and output of a connection. See nbd_impl.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"

/* --- input --- */

static ssize_t receive(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = recv(fd, buf, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static size_t nbd_io_take_input(struct nbd_conn *c, void *buf, size_t len)
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
	return n > 0 ? (ssize_t)nbd_io_take_input(c, buf, len) : n;
}

int nbd_recv(struct nbd_conn *c, void *buf, size_t len)
{
	size_t got = nbd_io_take_input(c, buf, len);

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

/* What the client has no room for has to wait for it, without the turn. */
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

/* --- the end of both --- */

bool nbd_is_hung(const struct nbd_conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0;
}

void nbd_hang_up(struct nbd_conn *c, bool hard)
{
	atomic_store(&c->gone, true);
	atomic_store(&c->away, true);
	shutdown(c->fd, hard ? SHUT_RDWR : SHUT_RD);
	cond_wake_all(&c->server->changed);
}
