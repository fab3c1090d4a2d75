/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/wire/conn.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/thread.h"

#define INPUT_BYTES 16384
/* More memory than this is not kept for the next time. */
#define QUEUE_KEPT (1u << 20)
/* A client who takes nothing for so long does not read; at the end, sooner. */
#define STALL_MS 5000
#define LINGER_MS 1000

void conn_notice(struct machine *machine, const struct conn *c, const char *fmt,
		 ...)
{
	struct event ev = { .type = EVENT_NOTICE };
	struct str line = STR_INIT;
	va_list ap;

	if (c)
		str_addf(&line, "%s client %llu (%s) ", c->protocol->name,
			 (unsigned long long)c->peer.number, c->peer.name);
	va_start(ap, fmt);
	str_addv(&line, fmt, ap);
	va_end(ap);
	snprintf(ev.text, sizeof(ev.text), "%s", str_get(&line));
	str_release(&line);
	event_publish(engine_events(machine->engine), &ev);
}

/* --- output --- */

static size_t unsent(const struct conn *c)
{
	return c->queue.len - c->sent;
}

/* A descriptor that others share (a terminal, a pipe) is not made
 * non-blocking, that would be seen by them. One that can take something takes
 * this much at once. */
static ssize_t put_shared(int fd, const char *data, size_t len)
{
	struct pollfd at = { .fd = fd, .events = POLLOUT };

	if (poll(&at, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, data, len < PIPE_BUF ? len : PIPE_BUF);
}

static ssize_t conn_put(struct conn *c, const char *data, size_t len)
{
	if (c->is_stdio)
		return put_shared(c->out, data, len);
	return send(c->out, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Sends what can be sent without waiting. */
static void flush_queue(struct conn *c)
{
	while (unsent(c) && !c->gone) {
		ssize_t n = conn_put(c, c->queue.s + c->sent, unsent(c));

		if (n > 0)
			c->sent += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		else if (n == 0 || errno != EINTR)
			c->gone = true;
	}
	if (c->queue.cap > QUEUE_KEPT)
		str_release(&c->queue);
	else
		str_clear(&c->queue);
	c->sent = 0;
}

/* Moving what is left only when it is the smaller part keeps this cheap. */
static void drop_sent(struct conn *c)
{
	size_t left = unsent(c);

	if (!c->sent || left > c->sent)
		return;
	memmove(c->queue.s, c->queue.s + c->sent, left);
	c->queue.len = left;
	c->sent = 0;
}

/* What lies in the socket and is not read yet; 0 where that is not known. */
static int unread(const struct conn *c)
{
	int bytes = 0;

	return ioctl(c->out, TIOCOUTQ, &bytes) ? 0 : bytes;
}

/* Waits until more can be sent or something was read. False if nothing was for
 * too long. */
static bool is_read(const struct conn *c)
{
	enum { OUT, STOP, FDS };
	struct pollfd fds[FDS] = {
		[OUT] = { .fd = c->out, .events = POLLOUT },
		[STOP] = { .fd = c->stop, .events = POLLIN },
	};
	int before = unread(c), n = poll(fds, FDS, STALL_MS);

	if (fds[STOP].revents)
		n = poll(&fds[OUT], 1, LINGER_MS);
	return n || unread(c) < before;
}

/* One who reads gets all of it, however much. */
static void conn_make_room(struct conn *c)
{
	while (unsent(c) > CONN_QUEUE && !c->gone) {
		if (is_read(c)) {
			flush_queue(c);
			continue;
		}
		c->gone = true;
		conn_notice(c->machine, c, "does not read what it is sent: "
			    "dropped with %zu MiB unread", unsent(c) >> 20);
	}
}

void conn_write(struct conn *c, const char *text, size_t len)
{
	if (c->gone)
		return;
	drop_sent(c);
	str_add_mem(&c->queue, text, len);
	if (c->queue.lost) {
		conn_drop(c, "no memory for what it does not read");
		return;
	}
	flush_queue(c);
	conn_make_room(c);
}

void conn_drop(struct conn *c, const char *why)
{
	if (c->gone)
		return;
	c->gone = true;
	conn_notice(c->machine, c, "dropped: %s", why);
}

int conn_peer(const struct conn *c)
{
	return c->is_stdio ? -1 : c->in;
}

/* --- input --- */

static void end_input(struct conn *c)
{
	c->eof = true;
	if (c->in_ended >= 0)
		eventfd_write(c->in_ended, 1);
}

static void conn_take_input(struct conn *c)
{
	char data[INPUT_BYTES];
	ssize_t n = read(c->in, data, sizeof(data));

	if (n > 0)
		c->protocol->input(c->talk, data, (size_t)n);
	else if (n == 0)
		end_input(c);
	else if (errno != EINTR && errno != EAGAIN) {
		end_input(c);
		c->gone = !c->is_stdio;
	}
}

/* --- the thread --- */

/* One who has said all is told the answers; on standard output it goes on
 * with events. */
static bool conn_is_over(const struct conn *c)
{
	return c->gone || (c->eof && !c->is_stdio && !unsent(c));
}

/* False when it is time to end. */
static bool serve_once(struct conn *c)
{
	enum { STOP, EVENTS, IN, OUT, FDS };
	struct pollfd fds[FDS] = {
		[STOP] = { .fd = c->stop, .events = POLLIN },
		[EVENTS] = { .fd = c->protocol->event_fd(c->talk),
			     .events = POLLIN },
		[IN] = { .fd = c->eof ? -1 : c->in, .events = POLLIN },
		[OUT] = { .fd = unsent(c) ? c->out : -1,
			  .events = POLLOUT },
	};

	if (poll(fds, FDS, -1) < 0)
		return errno == EINTR;
	if (fds[STOP].revents)
		return false;
	if (fds[OUT].revents)
		flush_queue(c);
	if (fds[EVENTS].revents)
		c->protocol->events(c->talk);
	if (fds[IN].revents && !c->gone)
		conn_take_input(c);
	return !conn_is_over(c);
}

/* Says what is left to say. */
static void linger(struct conn *c)
{
	struct pollfd out = { .fd = c->out, .events = POLLOUT };

	while (unsent(c) && !c->gone && poll(&out, 1, LINGER_MS) > 0)
		flush_queue(c);
}

static void conn_serve(void *arg)
{
	struct conn *c = arg;

	c->talk = c->protocol->open(c, c->machine, c->pretty);
	if (c->talk) {
		while (serve_once(c))
			;
		c->protocol->events(c->talk);
		linger(c);
		c->protocol->close(c->talk);
	} else {
		conn_notice(c->machine, c, "can't be served: no descriptor "
			    "left");
	}
	if (!c->is_stdio)
		shutdown(c->in, SHUT_RDWR);
	peer_done(&c->peer);
}

int conn_start(struct conn *c)
{
	int rc = thread_start(&c->thread, "qmp client", conn_serve, c);

	c->started = !rc;
	return rc;
}

void conn_free(struct conn *c)
{
	if (c->started)
		thread_join(c->thread);
	if (!c->is_stdio)
		close(c->in);
	str_release(&c->queue);
	free(c);
}
