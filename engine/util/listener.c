/* listener.c - see listener.h. */
#include "engine/util/listener.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* No descriptor, no memory: accepting again at once would spin. */
#define ACCEPT_AGAIN_NS (NS_PER_SEC / 5)

struct way {
	struct list link;
	struct sockets sockets;
	void *user;
};

static struct peer *peer_at(struct list *link)
{
	return container_of(link, struct peer, link);
}

static struct way *way_at(struct list *link)
{
	return container_of(link, struct way, link);
}

static void __attribute__((format(printf, 3, 4)))
say(struct listener *l, const struct peer *p, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	l->ops->say(l->arg, p, text);
}

/* --- clients --- */

void peer_done(struct peer *p)
{
	struct listener *l = p->listener;

	lock_take(&l->lock);
	p->deadline = 0;
	p->done = true;
	cond_wake_all(&l->changed);
	eventfd_write(l->wake, 1);
	lock_drop(&l->lock);
}

bool peer_in_time(struct peer *p)
{
	bool late;

	lock_take(&p->listener->lock);
	p->deadline = 0;
	late = p->late;
	lock_drop(&p->listener->lock);
	return !late;
}

bool peer_is_late(struct peer *p)
{
	bool late;

	lock_take(&p->listener->lock);
	late = p->late;
	lock_drop(&p->listener->lock);
	return late;
}

/* Until it is started it is as one who is done; only the thread that starts it
 * buries meanwhile. */
void listener_admit(struct listener *l, struct peer *p)
{
	p->listener = l;
	p->done = true;
	lock_take(&l->lock);
	p->number = ++l->numbered;
	list_add_tail(&l->peers, &p->link);
	l->count++;
	lock_drop(&l->lock);
}

static int listener_start_peer(struct peer *p)
{
	int rc;

	lock_take(&p->listener->lock);
	p->done = false;
	lock_drop(&p->listener->lock);
	rc = p->listener->ops->start(p);
	if (rc)
		peer_done(p);
	return rc;
}

/* Takes one that is done out of the list. */
static struct peer *next_done(struct listener *l)
{
	struct peer *found = NULL;

	lock_take(&l->lock);
	list_for_each_safe(link, &l->peers)
		if (!found && peer_at(link)->done)
			found = peer_at(link);
	if (found) {
		list_del(&found->link);
		l->count--;
		l->full_told = false;
	}
	lock_drop(&l->lock);
	return found;
}

/* What ends without it is told to its owner once. A descriptor that is closed
 * is watched no more. */
static int watch(struct listener *l, struct peer *p, int fd)
{
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLONESHOT,
				  .data.ptr = p };

	if (!l->ops->hung)
		return 0;
	return epoll_ctl(l->hangups, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* After bury(): those found are still there. */
static void tell_hangups(struct listener *l)
{
	struct epoll_event ev[16];
	int n;

	do {
		n = epoll_wait(l->hangups, ev, 16, 0);
		for (int i = 0; i < n; i++)
			l->ops->hung(ev[i].data.ptr);
	} while (n == 16);
}

static void bury(struct listener *l)
{
	struct peer *p;

	while ((p = next_done(l)))
		l->ops->free(p);
}

/* --- the accepting thread --- */

/* Ends those who took too long; when the next one will have. */
static uint64_t end_late(struct listener *l)
{
	uint64_t now = clock_ns(), next = UINT64_MAX;

	lock_take(&l->lock);
	list_for_each(link, &l->peers) {
		struct peer *p = peer_at(link);

		if (!p->deadline)
			continue;
		if (p->deadline > now) {
			next = min_u64(next, p->deadline);
			continue;
		}
		p->deadline = 0;
		p->late = true;
		l->ops->late(p);
	}
	lock_drop(&l->lock);
	return next;
}

/* True if one more client may come in. */
static bool has_room(struct listener *l)
{
	bool room, tell;

	lock_take(&l->lock);
	room = l->count < l->most;
	tell = !room && !l->full_told;
	if (tell)
		l->full_told = true;
	lock_drop(&l->lock);
	if (tell)
		say(l, NULL, l->ops->waits ? "all %u connections are in use; "
		    "further clients have to wait" :
		    "more than %u clients: the next ones are sent away",
		    l->most);
	return room;
}

static void welcome(struct listener *l, const struct way *way, int fd)
{
	struct peer *p;
	int rc;

	if (!has_room(l)) {
		close(fd);
		return;
	}
	socket_tune(fd);
	p = l->ops->make(l->arg, way->user, fd);
	if (!p) {
		close(fd);
		say(l, NULL, "no memory for a client: it is sent away");
		return;
	}
	socket_peer(fd, p->name, sizeof(p->name));
	listener_admit(l, p);
	rc = watch(l, p, fd);
	if (rc)
		peer_done(p);
	else
		rc = listener_start_peer(p);
	if (rc)
		say(l, p, "can't be served: %s", strerror(-rc));
}

/* The client is gone again, or never was there. */
static bool is_passing(int rc)
{
	return rc == -EAGAIN || rc == -EINTR || rc == -ECONNABORTED ||
	       rc == -EPROTO;
}

/* One client. False if the host has no more to give. */
static bool accept_at(struct listener *l, const struct way *way, int fd)
{
	int conn;

	if (l->ops->waits && !has_room(l))
		return true;
	conn = socket_accept(fd);
	if (conn < 0)
		return is_passing(conn);
	l->poor_told = false;
	welcome(l, way, conn);
	return true;
}

/* One client of each socket at a time. False as above. */
static bool accept_all(struct listener *l, const struct pollfd *p)
{
	bool rich = true;

	list_for_each(link, &l->ways) {
		const struct way *way = way_at(link);

		for (unsigned i = 0; i < way->sockets.count; i++, p++)
			if (p->revents)
				rich &= accept_at(l, way, way->sockets.fd[i]);
	}
	if (!rich && !l->poor_told) {
		say(l, NULL, "no descriptors or memory for another client");
		l->poor_told = true;
	}
	return rich;
}

static int ms_until(uint64_t when)
{
	uint64_t now = clock_ns();

	if (when == UINT64_MAX)
		return -1;
	if (when <= now)
		return 0;
	return (int)min_u64((when - now) / NS_PER_MS + 1, INT_MAX);
}

static nfds_t count_sockets(const struct listener *l)
{
	nfds_t n = 0;

	list_for_each(link, &l->ways)
		n += way_at(link)->sockets.count;
	return n;
}

/* Waits until something is to be done; fills @p[2 + number of sockets]. */
static void look_out(struct listener *l, struct pollfd *p, bool accepting,
		     uint64_t until)
{
	eventfd_t count;
	nfds_t n = 0;

	p[n++] = (struct pollfd){ .fd = l->wake, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = l->hangups, .events = POLLIN };
	list_for_each(link, &l->ways)
		for (unsigned i = 0; i < way_at(link)->sockets.count; i++)
			p[n++] = (struct pollfd){
				.fd = accepting ?
				      way_at(link)->sockets.fd[i] : -1,
				.events = POLLIN,
			};
	if (poll(p, n, ms_until(until)) < 0)
		for (nfds_t i = 0; i < n; i++)
			p[i].revents = 0;
	if (p->revents)
		eventfd_read(l->wake, &count);
}

static void accept_main(void *arg)
{
	struct listener *l = arg;
	struct pollfd *p = mem_alloc((2 + count_sockets(l)) * sizeof(*p));
	bool rich = true;

	while (listener_is_running(l)) {
		uint64_t until = end_late(l);

		if (!rich)
			until = min_u64(until, clock_ns() + ACCEPT_AGAIN_NS);
		look_out(l, p, rich && (!l->ops->waits || has_room(l)), until);
		bury(l);
		if (p[1].revents)
			tell_hangups(l);
		rich = accept_all(l, p + 2);
	}
	free(p);
}

/* --- its life --- */

void listener_init(struct listener *l, const struct listener_ops *ops,
		   void *arg)
{
	*l = (struct listener){ .ops = ops, .arg = arg, .wake = -1,
				.hangups = -1 };
	list_init(&l->ways);
	list_init(&l->peers);
	lock_init(&l->lock);
	cond_init(&l->changed);
}

void listener_release(struct listener *l)
{
	BUG_ON(!list_is_empty(&l->ways) || !list_is_empty(&l->peers));
	cond_release(&l->changed);
	lock_release(&l->lock);
}

void listener_add(struct listener *l, const struct sockets *sockets,
		  void *way)
{
	struct way *w = mem_alloc(sizeof(*w));

	w->sockets = *sockets;
	w->user = way;
	list_add_tail(&l->ways, &w->link);
}

bool listener_is_running(struct listener *l)
{
	bool running;

	lock_take(&l->lock);
	running = l->running;
	lock_drop(&l->lock);
	return running;
}

static void set_running(struct listener *l, bool running)
{
	lock_take(&l->lock);
	l->running = running;
	lock_drop(&l->lock);
}

int listener_start(struct listener *l, unsigned most)
{
	int rc;

	l->most = most;
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = l->wake < 0 ? -errno : 0;
	if (!rc && l->ops->hung) {
		l->hangups = epoll_create1(EPOLL_CLOEXEC);
		rc = l->hangups < 0 ? -errno : 0;
	}
	list_for_each(link, &l->peers) if (!rc) rc =
		listener_start_peer(peer_at(link));
	if (rc)
		return rc;
	set_running(l, true);
	rc = thread_start(&l->thread, l->ops->thread, accept_main, l);
	if (rc)
		set_running(l, false);
	return rc;
}

void listener_stop(struct listener *l)
{
	if (listener_is_running(l)) {
		set_running(l, false);
		eventfd_write(l->wake, 1);
		thread_join(l->thread);
	}
	list_for_each_safe(link, &l->ways) {
		list_del(link);
		sockets_close(&way_at(link)->sockets);
		free(way_at(link));
	}
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void listener_wait(struct listener *l)
{
	lock_take(&l->lock);
	list_for_each(link, &l->peers)
		while (!peer_at(link)->done)
			cond_wait(&l->changed, &l->lock);
	lock_drop(&l->lock);
	bury(l);
	close_one(&l->wake);
	close_one(&l->hangups);
}
