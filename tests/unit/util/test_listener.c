/* test_listener.c - clients at a Unix socket: how many, in which order, for
 * how long. A client here is a thread that reads until the other end hangs
 * up; one without a socket is done when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/listener.h"
#include "engine/util/mem.h"
#include "tests/unit/dial.h"
#include "tests/unit/scratch.h"
#include "tests/unit/slow.h"

#define PATIENCE_MS 60000
#define LINES 16
#define HANG_UPS 40

struct client {
	struct peer peer;
	int fd;
	pthread_t thread;
	bool started;
};

static struct world {
	struct listener listener;
	struct lock lock;	/* guards what follows; taken last */
	struct cond changed;
	char line[LINES][200];
	unsigned lines, made, freed, late, hung;
	int start_rc;
	uint64_t time;		/* that each gets, or 0 */
	const char *way;	/* by which the last one came */
} w;

static struct client *client_of(struct peer *p)
{
	return container_of(p, struct client, peer);
}

static void count(unsigned *n)
{
	lock_take(&w.lock);
	++*n;
	cond_wake_all(&w.changed);
	lock_drop(&w.lock);
}

static unsigned value(const unsigned *n)
{
	unsigned is;

	lock_take(&w.lock);
	is = *n;
	lock_drop(&w.lock);
	return is;
}

static void wait_for(const unsigned *n, unsigned least)
{
	uint64_t until = clock_ns() + PATIENCE_MS * NS_PER_MS;
	bool in_time = true;

	lock_take(&w.lock);
	while (*n < least && in_time)
		in_time = cond_wait_until(&w.changed, &w.lock, until);
	lock_drop(&w.lock);
	assert_true(in_time);
}

/* --- what the owner of a listener has to do --- */

static struct client *new_client(int fd)
{
	struct client *c = mem_alloc(sizeof(*c));

	c->fd = fd;
	count(&w.made);
	return c;
}

static struct peer *make(void *arg, void *way, int fd)
{
	struct client *c = new_client(fd);

	assert_ptr_equal(arg, &w);
	lock_take(&w.lock);
	w.way = way;
	c->peer.deadline = w.time ? clock_ns() + w.time : 0;
	lock_drop(&w.lock);
	return &c->peer;
}

static void serve(void *arg)
{
	struct client *c = arg;
	char text[16];

	while (read(c->fd, text, sizeof(text)) > 0)
		if (text[0] == 't' && peer_in_time(&c->peer))
			send(c->fd, "y", 1, MSG_NOSIGNAL);
		else if (text[0] == 'w')
			wait_for(&w.hung, HANG_UPS);
	if (peer_is_late(&c->peer))
		count(&w.late);
	shutdown(c->fd, SHUT_RDWR);
	peer_done(&c->peer);
}

static int start(struct peer *p)
{
	struct client *c = client_of(p);
	int rc;

	lock_take(&w.lock);
	rc = w.start_rc;
	lock_drop(&w.lock);
	if (!rc && c->fd >= 0) {
		send(c->fd, "hello", 5, MSG_NOSIGNAL);
		rc = thread_start(&c->thread, "client", serve, c);
		c->started = !rc;
	}
	return rc;
}

static void late(struct peer *p)
{
	shutdown(client_of(p)->fd, SHUT_RDWR);
}

static void hung(struct peer *p)
{
	(void)p;
	count(&w.hung);
}

static void free_client(struct peer *p)
{
	struct client *c = client_of(p);

	if (c->started)
		thread_join(c->thread);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	count(&w.freed);
}

static void say(void *arg, const struct peer *p, const char *text)
{
	assert_ptr_equal(arg, &w);
	lock_take(&w.lock);
	assert_true(w.lines < LINES);
	snprintf(w.line[w.lines], sizeof(w.line[0]), "%s%s",
		 p ? p->name : "", text);
	lock_drop(&w.lock);
	count(&w.lines);
}

static struct listener_ops ops = {
	.thread = "accept", .make = make, .start = start, .late = late,
	.hung = hung, .free = free_client, .say = say,
};

/* --- */

static void listen_at(const char *path, const char *way)
{
	struct sockets sockets;
	struct err err = ERR_INIT;

	assert_int_equal(sockets_listen_unix(&sockets, path, &err), 0);
	listener_add(&w.listener, &sockets, (void *)(uintptr_t)way);
}

static int enter(void **state)
{
	(void)state;
	w = (struct world){ 0 };
	lock_init(&w.lock);
	cond_init(&w.changed);
	listener_init(&w.listener, &ops, &w);
	listen_at("a", "way a");
	return 0;
}

static int enter_waiting(void **state)
{
	ops.waits = true;
	return enter(state);
}

static int enter_sending_away(void **state)
{
	ops.waits = false;
	return enter(state);
}

static int leave(void **state)
{
	(void)state;
	listener_stop(&w.listener);
	listener_wait(&w.listener);
	listener_release(&w.listener);
	assert_int_equal(w.made, w.freed);
	cond_release(&w.changed);
	lock_release(&w.lock);
	scratch_clear();
	return 0;
}

/* How many bytes come next; 0: the other end has hung up. */
static ssize_t next_bytes(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char text[16];

	assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
	return read(fd, text, sizeof(text));
}

static int dial_served(const char *path)
{
	int fd = dial(path);

	assert_int_equal(next_bytes(fd), 5);
	return fd;
}

static void go(unsigned most)
{
	assert_int_equal(listener_start(&w.listener, most), 0);
	assert_true(listener_is_running(&w.listener));
}

/* Admits one without a socket. */
static struct peer *admit(void)
{
	struct client *c = new_client(-1);

	snprintf(c->peer.name, sizeof(c->peer.name), "stdio");
	listener_admit(&w.listener, &c->peer);
	return &c->peer;
}

/* --- how many --- */

static void who_is_too_many_waits(void **state)
{
	int a, b, c;
	char byte;

	(void)state;
	go(2);
	a = dial_served("a");
	b = dial_served("a");
	wait_for(&w.lines, 1);
	assert_string_equal(w.line[0], "all 2 connections are in use; further "
			    "clients have to wait");
	c = dial("a");
	assert_int_equal(recv(c, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(value(&w.lines), 1);
	close(a);
	assert_int_equal(next_bytes(c), 5);
	wait_for(&w.lines, 2);
	assert_string_equal(w.line[1], w.line[0]);
	close(b);
	close(c);
	wait_for(&w.freed, 3);
}

static void who_is_too_many_is_sent_away(void **state)
{
	int a, b;

	(void)state;
	go(2);
	a = dial_served("a");
	b = dial_served("a");
	assert_int_equal(value(&w.lines), 0);
	for (unsigned i = 0; i < 3; i++) {
		int c = dial("a");

		assert_int_equal(next_bytes(c), 0);
		close(c);
	}
	assert_int_equal(value(&w.lines), 1);
	assert_string_equal(w.line[0], "more than 2 clients: the next ones "
			    "are sent away");
	close(a);
	wait_for(&w.freed, 1);
	a = dial_served("a");
	close(a);
	close(b);
	wait_for(&w.freed, 3);
	assert_int_equal(w.made, 3);
}

/* --- who --- */

static void numbers_and_names(void **state)
{
	struct peer last, first;
	char name[32];
	unsigned n;
	int a, b;

	(void)state;
	listen_at("b", "way b");
	go(9);
	a = dial_served("a");
	assert_string_equal(w.way, "way a");
	b = dial_served("b");
	assert_string_equal(w.way, "way b");
	snprintf(name, sizeof(name), "test_listener[%d]", getpid());
	lock_take(&w.listener.lock);
	last = *container_of(w.listener.peers.prev, struct peer, link);
	n = w.listener.count;
	lock_drop(&w.listener.lock);
	assert_int_equal(n, 2);
	assert_int_equal(last.number, 2);
	assert_string_equal(last.name, name);
	close(a);
	close(b);
	listener_stop(&w.listener);
	assert_int_equal(access("a", F_OK), -1);
	listener_wait(&w.listener);
	/* a second life goes on counting */
	listen_at("a", "again");
	go(9);
	a = dial_served("a");
	assert_string_equal(w.way, "again");
	lock_take(&w.listener.lock);
	first = *container_of(w.listener.peers.next, struct peer, link);
	lock_drop(&w.listener.lock);
	assert_int_equal(first.number, 3);
	close(a);
}

/* Told once of each, though the thread does not read and waits for that. */
static void hang_ups(void **state)
{
	int fd[HANG_UPS];

	(void)state;
	go(HANG_UPS);
	for (unsigned i = 0; i < HANG_UPS; i++) {
		fd[i] = dial_served("a");
		assert_int_equal(send(fd[i], "w", 1, 0), 1);
	}
	assert_int_equal(value(&w.hung), 0);
	for (unsigned i = 0; i < HANG_UPS; i++)
		close(fd[i]);
	wait_for(&w.freed, HANG_UPS);
	assert_int_equal(value(&w.hung), HANG_UPS);
}

/* Clients outlive the accepting. */
static void stop_leaves_clients(void **state)
{
	int a;

	(void)state;
	go(9);
	a = dial_served("a");
	listener_stop(&w.listener);
	assert_false(listener_is_running(&w.listener));
	assert_int_equal(send(a, "t", 1, 0), 1);
	assert_int_equal(next_bytes(a), 1);
	assert_int_equal(value(&w.freed), 0);
	close(a);
	listener_wait(&w.listener);
	assert_int_equal(value(&w.freed), 1);
}

static void admitted_before_the_start(void **state)
{
	struct peer *p = admit();
	int a;

	(void)state;
	assert_int_equal(p->number, 1);
	go(1);
	a = dial("a");
	assert_int_equal(next_bytes(a), 0);
	close(a);
	peer_done(p);
	wait_for(&w.freed, 1);
	a = dial_served("a");
	close(a);
}

/* leave() frees it. */
static void admitted_and_never_started(void **state)
{
	(void)state;
	admit();
}

static void one_who_cannot_be_started(void **state)
{
	int a;

	(void)state;
	go(9);
	w.start_rc = -ENOMEM;
	a = dial("a");
	assert_int_equal(next_bytes(a), 0);
	close(a);
	assert_int_equal(value(&w.lines), 1);
	assert_non_null(strstr(w.line[0], "can't be served: Cannot allocate "
			       "memory"));
	lock_take(&w.lock);
	w.start_rc = 0;
	lock_drop(&w.lock);
	a = dial_served("a");
	close(a);
}

static void a_start_that_fails(void **state)
{
	(void)state;
	admit();
	admit();
	w.start_rc = -EAGAIN;
	assert_int_equal(listener_start(&w.listener, 9), -EAGAIN);
	assert_false(listener_is_running(&w.listener));
}

/* --- time --- */

static void deadlines(void **state)
{
	int a, b;

	(void)state;
	w.time = 60 * NS_PER_SEC;
	go(9);
	a = dial_served("a");
	lock_take(&w.lock);
	w.time = NS_PER_SEC / 5;
	lock_drop(&w.lock);
	b = dial_served("a");
	assert_int_equal(next_bytes(b), 0);
	wait_for(&w.late, 1);
	/* One who was in time is not ended any more. */
	assert_int_equal(send(a, "t", 1, 0), 1);
	assert_int_equal(next_bytes(a), 1);
	lock_take(&w.listener.lock);
	assert_int_equal(container_of(w.listener.peers.next, struct peer,
				      link)->deadline, 0);
	lock_drop(&w.listener.lock);
	close(a);
	close(b);
	wait_for(&w.freed, 2);
	assert_int_equal(w.late, 1);
}

/* --- no descriptors --- */

static rlim_t limit_descriptors(rlim_t most)
{
	struct rlimit limit;
	rlim_t before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

/* Each that is buried wakes the accepting thread, which then tries again: it
 * has failed more than once when the last of three is buried. Valgrind hangs
 * up on whom there is no descriptor for. */
static void no_descriptor_is_said_once(void **state)
{
	struct peer *p[3] = { admit(), admit(), admit() };
	rlim_t before;
	int a;

	(void)state;
	if (under_valgrind())
		skip();
	go(9);
	a = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	before = limit_descriptors((rlim_t)a + 1);
	close(a);
	a = dial("a");
	wait_for(&w.lines, 1);
	for (unsigned i = 0; i < 3; i++) {
		peer_done(p[i]);
		wait_for(&w.freed, i + 1);
	}
	limit_descriptors(before);
	assert_int_equal(next_bytes(a), 5);
	assert_int_equal(value(&w.lines), 1);
	assert_string_equal(w.line[0], "no descriptors or memory for another "
			    "client");
	close(a);
}

#define WAITING(name) \
	cmocka_unit_test_setup_teardown(name, enter_waiting, leave)
#define AWAY(name) \
	cmocka_unit_test_setup_teardown(name, enter_sending_away, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WAITING(who_is_too_many_waits),
		AWAY(who_is_too_many_is_sent_away),
		AWAY(numbers_and_names),
		WAITING(hang_ups),
		WAITING(stop_leaves_clients),
		AWAY(admitted_before_the_start),
		AWAY(admitted_and_never_started),
		AWAY(one_who_cannot_be_started),
		AWAY(a_start_that_fails),
		WAITING(deadlines),
		WAITING(no_descriptor_is_said_once),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
