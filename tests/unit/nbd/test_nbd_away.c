/* Clients of the NBD server who hang up with requests under way: those are
 * forgotten or over before anybody else is told that the disk is its own. */
#include <poll.h>
#include <semaphore.h>

#include "tests/unit/nbd_client.h"

static struct event_listener events;

static sem_t let_go;
static _Atomic int hanging;		/* so many writes hang */

static int hang_writes(const struct file *f, enum file_op op, uint64_t off,
		       uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)len;
	(void)buf;
	if (op == FILE_OP_WRITE && hanging > 0 && hanging-- > 0)
		while (sem_wait(&let_go))
			;
	return 0;
}

static int enter_hanging(void **state)
{
	sem_init(&let_go, 0, 0);
	hanging = 0;
	file_set_hook(hang_writes);
	return enter_serving(state) || event_listen(engine_events(engine),
						    &events);
}

static int leave_hanging(void **state)
{
	int rc;

	for (unsigned i = 0; i < NBD_THREADS; i++)
		sem_post(&let_go);
	event_unlisten(&events);
	rc = leave_with_server(state);
	file_set_hook(NULL);
	return rc;
}

static void await_clients(size_t n)
{
	uint64_t deadline = clock_ns() + 20 * NS_PER_SEC;
	size_t there;

	do {
		struct nbd_info info;

		sched_yield();
		nbd_query_server(server, &info);
		there = info.clients;
		free(info.client);
	} while (there != n && clock_ns() < deadline);
	assert_int_equal(there, n);
}

/* Until the server has noticed that its only client asks for nothing more. */
static void await_away(void)
{
	uint64_t deadline = clock_ns() + 20 * NS_PER_SEC;
	struct listener *l = &server->listener;
	bool away = false;

	while (!away && clock_ns() < deadline) {
		sched_yield();
		lock_take(&l->lock);
		list_for_each(link, &l->peers)
			away = container_of(link, struct nbd_conn,
					    peer.link)->away;
		lock_drop(&l->lock);
	}
	assert_true(away);
}

static int dial_and_wait_at_gate(unsigned zeroes, unsigned writes)
{
	int fd = dial_export("disk0", false);

	for (unsigned i = 0; i < zeroes; i++)
		put_request(fd, NBD_CMD_WRITE_ZEROES, 0, i, 0, MIB);
	for (unsigned i = 0; i < writes; i++)
		put_write(fd, 0, 0, 4096, 2);
	return fd;
}

/* What nobody is there for is not done when the guest goes on; in the small
 * all threads wait, or the one that should read on. */
static void test_dead_at_the_gate(void **state)
{
	(void)state;
	write_mib(0, 1);
	engine_stop(engine);
	for (unsigned i = 0; i < 4; i++) {
		int fd = dial_and_wait_at_gate(i % 2 ? 20 : 0, 20);

		await_requests(i % 2 ? NBD_THREADS : 1);
		close(fd);
		await_clients(0);
	}
	engine_cont(engine);
	assert_mib("disk0", 0, 1);
}

/* As above for those who say goodbye and read on. */
static void test_leaving_at_the_gate(void **state)
{
	int fd = dial_export("disk0", false);

	(void)state;
	engine_stop(engine);
	for (unsigned i = 0; i < 3; i++)
		put_request(fd, NBD_CMD_WRITE_ZEROES, 0, 7, 0, MIB);
	await_requests(3);
	put_request(fd, NBD_CMD_DISC, 0, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(simple_error(fd, 7), NBD_ESHUTDOWN);
	assert_hung_up(fd);
	engine_cont(engine);
}

static void test_dead_keep_no_slot(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(nbd_server_stop(server, &err), 0);
	serve_at("sock", 3);
	export_it("disk0", "disk0", true);
	engine_stop(engine);
	for (unsigned i = 0; i < 12; i++) {
		fd = dial_and_wait_at_gate(i, 2);
		close(fd);
	}
	fd = dial_export("disk0", true);
	await_clients(1);
	engine_cont(engine);
	hang_up(fd);
}

static bool says_nothing(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 100) == 0;
}

/* The host is still at work for one who is dead: whoever comes to this disk
 * next, by whatever export, is not told that it has it. */
static void test_successor_waits(void **state)
{
	static const char *const name[] = { "disk0", "again" };

	(void)state;
	export_it("again", "disk0", true);
	write_mib(0, 1);
	for (unsigned i = 0; i < 2; i++) {
		int dead = dial_export("disk0", true), fd;
		uint8_t b[64];

		hanging = 1;
		put_write(dead, 0, 0, 4096, 2);
		while (hanging)
			sched_yield();
		close(dead);
		fd = dial_hello("sock", FLAGS_BOTH);
		assert_int_equal(ask(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0),
				 NBD_REP_ACK);
		put_option(fd, NBD_OPT_GO, b, name_data(b, name[i]));
		assert_true(says_nothing(fd));
		sem_post(&let_go);
		assert_int_equal(last_answer(fd, NBD_OPT_GO), NBD_REP_ACK);
		assert_int_equal(do_write(fd, 0, 0, 4096, 3), 0);
		assert_disk(fd, 0, 4096, 3);
		hang_up(fd);
		await_clients(0);
	}
}

/* The same for one who was told a moment ago that the disk is his, or who is
 * to be told yet and did not wait for it. */
static void test_dead_at_once(void **state)
{
	uint8_t b[64];

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		int dead = i % 2 ? dial_export("disk0", false) :
				   dial_hello("sock", FLAGS_BOTH), fd;

		if (i % 2 == 0)
			put_option(dead, NBD_OPT_GO, b, name_data(b, "disk0"));
		put_write(dead, 0, 0, 4096, 2);
		close(dead);
		fd = dial_export("disk0", true);
		assert_int_equal(do_write(fd, 0, 0, 4096, 3), 0);
		await_clients(1);
		assert_disk(fd, 0, 4096, 3);
		hang_up(fd);
		await_clients(0);
	}
}

/* Who waits for it may give up, and is not waited for. */
static void test_successor_gives_up(void **state)
{
	int dead = dial_export("disk0", true), fd;
	uint8_t b[64];

	(void)state;
	hanging = 1;
	put_write(dead, 0, 0, 4096, 2);
	while (hanging)
		sched_yield();
	close(dead);
	fd = dial_hello("sock", FLAGS_BOTH);
	put_option(fd, NBD_OPT_GO, b, name_data(b, "disk0"));
	close(fd);
	await_clients(1);
	server->handshake_ns = NS_PER_SEC / 10;
	fd = dial_hello("sock", FLAGS_BOTH);
	put_option(fd, NBD_OPT_GO, b, name_data(b, "disk0"));
	assert_noticed(&events, "requests of a client who hung up have not "
		       "ended");
	assert_hung_up(fd);
	sem_post(&let_go);
	await_clients(0);
}

/* Answers that a client who is leaving does not read keep nobody waiting. */
static void test_leaving_and_lazy(void **state)
{
	int lazy = dial_export("disk0", true), fd;

	(void)state;
	write_mib(0, 1);
	server->drain_ns = NS_PER_SEC / 10;
	for (unsigned i = 0; i < 20; i++)
		put_request(lazy, NBD_CMD_READ, 0, i, 0, MIB);
	shutdown(lazy, SHUT_WR);
	await_away();
	fd = dial_export("disk0", true);
	assert_disk(fd, 0, 4096, 1);
	await_clients(1);
	hang_up(fd);
	close(lazy);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter_hanging, leave_hanging)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dead_at_the_gate),
		TEST(test_leaving_at_the_gate),
		TEST(test_dead_keep_no_slot),
		TEST(test_successor_waits),
		TEST(test_dead_at_once),
		TEST(test_successor_gives_up),
		TEST(test_leaving_and_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
