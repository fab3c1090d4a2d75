/* The NBD server as a whole: sockets, exports that come and go, limits, and
 * clients who stall, vanish, or come in crowds. */
#include "tests/unit/nbd_client.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>

#include "engine/util/str.h"

static struct event_listener events;

static int enter_heard(void **state)
{
	int rc = enter_with_server(state);

	return rc ? rc : event_listen(engine_events(engine), &events);
}

static int leave_heard(void **state)
{
	event_unlisten(&events);
	return leave_with_server(state);
}

static int enter_ready(void **state)
{
	int rc = enter_heard(state);

	if (!rc) {
		serve_at("sock", 0);
		export_it("disk0", "disk0", true);
	}
	return rc;
}

static void assert_deleted(const char *id)
{
	uint64_t lost;
	struct event ev;

	while (event_next(&events, &ev, 0, &lost))
		if (ev.type == EVENT_EXPORT_DELETED) {
			assert_string_equal(ev.text, id);
			return;
		}
	fail_msg("nothing says that '%s' was deleted", id);
}

static void assert_words(int rc, const char *words)
{
	assert_int_equal(rc, -1);
	assert_string_equal(err.text, words);
}

/* --- start and stop --- */

static void test_start_stop(void **state)
{
	struct nbd_options o = { .path = "sock" };
	struct stat st;

	(void)state;
	assert_words(nbd_server_stop(server, &err), "NBD server not running");
	umask(0);
	assert_int_equal(nbd_server_start(server, &o, &err), 0);
	umask(022);
	assert_int_equal(stat("sock", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_words(nbd_server_start(server, &o, &err),
		     "NBD server already running");
	assert_int_equal(nbd_server_stop(server, &err), 0);
	assert_int_equal(stat("sock", &st), -1);
	o.path = "nosuch/dir/x";
	assert_words(nbd_server_start(server, &o, &err),
		     "Failed to bind socket to nosuch/dir/x: "
		     "No such file or directory");
}

static void test_stale_and_live(void **state)
{
	struct nbd_server *other = nbd_server_new(engine);
	struct nbd_options o = { .path = "sock" };
	struct stat before, after;

	(void)state;
	serve_at("sock", 0);
	assert_words(nbd_server_start(other, &o, &err),
		     "Failed to bind socket to sock: Address already in use");
	/* as after a crash: the name is there, nobody answers */
	assert_int_equal(link("sock", "left"), 0);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	assert_int_equal(stat("left", &before), 0);
	o.path = "left";
	assert_int_equal(nbd_server_start(other, &o, &err), 0);
	/* somebody else's is left alone */
	assert_int_equal(rename("left", "away"), 0);
	run("touch left");
	assert_int_equal(nbd_server_stop(other, &err), 0);
	assert_int_equal(stat("left", &after), 0);
	assert_words(nbd_server_start(other, &o, &err),
		     "Failed to bind socket to left: Address already in use");
	assert_int_equal(stat("left", &after), 0);
	nbd_server_free(other);
}

/* That of the TCP socket of this program that listens. */
static in_port_t listening_port(void)
{
	struct sockaddr_in at;

	for (int fd = 3; fd < 1024; fd++) {
		socklen_t n = sizeof(int);
		int listens;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) ||
		    !listens)
			continue;
		n = sizeof(at);
		assert_int_equal(getsockname(fd, (void *)&at, &n), 0);
		if (at.sin_family == AF_INET)
			return at.sin_port;
	}
	fail_msg("nobody listens");
	return 0;
}

static void test_tcp(void **state)
{
	struct nbd_options o = { .host = "127.0.0.1", .port = "0" };
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct nbd_info info;
	uint8_t hello[18];
	int fd;

	(void)state;
	assert_int_equal(nbd_server_start(server, &o, &err), 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = listening_port();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (void *)&at, sizeof(at)), 0);
	must_get(fd, hello, sizeof(hello));
	nbd_query_server(server, &info);
	assert_string_equal(info.address, "127.0.0.1:0");
	assert_int_equal(info.clients, 1);
	assert_true(str_has_prefix(info.client[0].peer, "127.0.0.1:"));
	free(info.client);
	close(fd);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	o.port = "nosuchservice";
	assert_int_equal(nbd_server_start(server, &o, &err), -1);
	assert_true(str_has_prefix(err.text, "address resolution failed for "
				   "127.0.0.1:nosuchservice: "));
}

/* --- exports --- */

static int add_export(const char *id, const char *device, const char *node,
		      const char *name, bool writable)
{
	struct export_options o = { .id = id, .device = device,
				    .node_name = node, .name = name,
				    .writable = writable };

	return nbd_export_add(server, &o, &err);
}

static void test_export_errors(void **state)
{
	char *long_name = mem_alloc(4098);

	(void)state;
	memset(long_name, 'n', 4097);
	assert_words(add_export("e0", "disk0", NULL, NULL, false),
		     "NBD server not running");
	serve_at("sock", 0);
	assert_words(nbd_export_del(server, "e0", false, &err),
		     "Export 'e0' is not found");
	export_it("e0", "disk0", true);
	assert_words(add_export("e0", "disk0", NULL, "y", false),
		     "Block export id 'e0' is already in use");
	assert_words(add_export("e1", "disk0", NULL, "e0", false),
		     "NBD server already has export named 'e0'");
	assert_words(add_export("e1", "nosuch", NULL, NULL, false),
		     "Cannot find device='nosuch' nor node-name='nosuch'");
	assert_words(add_export("e1", NULL, "disk0", NULL, false),
		     "Cannot find device='' nor node-name='disk0'");
	assert_words(add_export("", "disk0", NULL, NULL, false),
		     "Invalid block export id");
	assert_int_equal(add_export("e1", "disk0", NULL, long_name, false),
			 -1);
	free(long_name);
}

/* The image below is looked at, never written, and stays as long as it is
 * exported. */
static void test_export_below(void **state)
{
	struct snapshot_options o = { .device = "disk0", .file = "sn1",
				      .snapshot_node_name = "top" };
	struct export_options x = { .id = "e2", .device = "disk0",
				    .name = "both", .writable = true,
				    .or_read_only = true };
	struct export_info *info;
	char base[NODE_NAME_MAX];
	size_t n;
	int fd;

	(void)state;
	snprintf(base, sizeof(base), "%s",
		 drive_find(&engine->graph, "disk0")->root.node->name);
	write_mib(0, 0x11);
	assert_int_equal(engine_snapshot(engine, &o, NULL, &err), 0);
	write_mib(0, 0x22);
	serve_at("sock", 0);
	assert_words(add_export("e0", NULL, base, NULL, true),
		     "Cannot export read-only node as writable");
	assert_int_equal(add_export("e0", NULL, base, NULL, false), 0);
	assert_int_equal(add_export("e1", NULL, "top", NULL, true), 0);
	assert_int_equal(nbd_export_add(server, &x, &err), 0);
	fd = dial_export(base, true);
	assert_disk(fd, 0, MIB, 0x11);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, 8 * MIB, 1),
			 NBD_EINVAL);
	assert_int_equal(do_write(fd, 0, 0, 512, 1), NBD_EPERM);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	hang_up(fd);
	fd = dial_export("top", true);
	assert_disk(fd, 0, MIB, 0x22);
	hang_up(fd);
	nbd_query_exports(server, &info, &n);
	assert_int_equal(n, 3);
	assert_string_equal(info[2].id, "e0");
	assert_string_equal(info[2].names.node, base);
	assert_string_equal(info[2].names.drive, "");
	assert_int_equal(info[2].counts.rd_bytes, MIB);
	assert_false(info[2].writable);
	assert_string_equal(info[1].name, "top");
	assert_string_equal(info[1].names.drive, "disk0");
	assert_true(info[1].writable);
	assert_true(info[0].writable);
	export_info_free(info, n);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	assert_deleted("e2");
	assert_deleted("e1");
	assert_deleted("e0");
}

static void test_delete(void **state)
{
	int fd = dial_export("disk0", true), other;

	(void)state;
	export_it("x", "disk0", false);
	other = dial_export("x", true);
	assert_disk(fd, 0, 512, 0);
	assert_words(nbd_export_del(server, "disk0", false, &err),
		     "export 'disk0' still in use");
	assert_int_equal(nbd_export_del(server, "disk0", true, &err), 0);
	assert_deleted("disk0");
	assert_hung_up(fd);
	assert_disk(other, 0, 512, 0);
	hang_up(other);
	fd = dial_hello("sock", FLAGS_BOTH);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"),
			 NBD_REP_ERR_UNKNOWN);
	close(fd);
}

static void test_query(void **state)
{
	int fd = dial_export("disk0", true);
	struct export_info *info;
	struct nbd_info nbd;
	size_t n;

	(void)state;
	assert_int_equal(do_write(fd, 0, 0, 4096, 1), 0);
	assert_disk(fd, 0, 1000, 1);
	nbd_query_server(server, &nbd);
	assert_true(nbd.running);
	assert_string_equal(nbd.address, "unix:sock");
	assert_int_equal(nbd.max_connections, 100);
	assert_int_equal(nbd.clients, 1);
	assert_int_equal(nbd.client->number, 1);
	assert_int_equal(nbd.client->export, 1);
	assert_int_equal(nbd.client->counts.rd_bytes, 1000);
	assert_int_equal(nbd.client->counts.wr_bytes, 4096);
	assert_int_equal(nbd.client->counts.rd_ops, 1);
	assert_int_equal(nbd.client->counts.wr_ops, 1);
	assert_int_equal(nbd.client->counts.requests, 2);
	assert_true(str_has_prefix(nbd.client->peer, "test_nbd_server["));
	free(nbd.client);
	nbd_query_exports(server, &info, &n);
	assert_int_equal(n, 1);
	assert_int_equal(info->clients, 1);
	assert_int_equal(info->counts.wr_bytes, 4096);
	assert_false(info->shutting_down);
	export_info_free(info, n);
	hang_up(fd);
}

/* --- the end, with clients in every state --- */

static void test_stop_ends_all(void **state)
{
	int silent = dial("sock"), half, idle = dial_export("disk0", true);
	int unread = dial_export("disk0", true);

	(void)state;
	write_mib(0, 1);
	half = dial_export("disk0", true);
	put_request(half, NBD_CMD_WRITE, 0, 0, 0, MIB);
	must_put(half, "half", 4);
	server->drain_ns = NS_PER_SEC / 5;
	for (unsigned i = 0; i < 40; i++)
		put_request(unread, NBD_CMD_READ, NBD_CMD_FLAG_DF, i, 0, MIB);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	assert_noticed(&events, "clients did not read their answers in time");
	assert_hung_up(idle);
	close(silent);
	close(half);
	close(unread);
	assert_deleted("disk0");
	serve_at("sock", 0);
}

/* Requests that wait for a stopped guest are let go with an error; nothing
 * waits for ever. */
static void test_stop_while_stopped(void **state)
{
	int fd = dial_export("disk0", true);
	uint64_t lost;
	struct event ev;

	(void)state;
	engine_stop(engine);
	put_write(fd, 0, 0, 4096, 1);
	await_requests(1);
	assert_int_equal(nbd_export_del(server, "disk0", true, &err), 0);
	while (event_next(&events, &ev, 0, &lost))
		;
	assert_int_equal(chunk_error(fd, 0), NBD_ESHUTDOWN);
	close(fd);
	engine_cont(engine);
	assert_mib("disk0", 0, 0);
}

/* stop holds requests, none is lost and none is answered; cont lets them
 * through. */
static void test_gate(void **state)
{
	int fd = dial_export("disk0", true);
	struct io_counts counts;
	char c;

	(void)state;
	engine_stop(engine);
	put_write(fd, 0, 65536, 4096, 1);
	put_request(fd, NBD_CMD_FLUSH, 0, 1, 0, 0);
	await_requests(1);
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(engine_query_io(engine, "disk0", false, &counts,
					 &err), 0);
	assert_int_equal(counts.wr_ops, 0);
	engine_cont(engine);
	for (unsigned i = 0; i < 2; i++) {
		struct chunk k;

		get_chunk(fd, &k);
		assert_int_equal(k.type, NBD_CHUNK_NONE);
	}
	assert_disk(fd, 65536, 4096, 1);
	hang_up(fd);
}

/* --- clients who stall --- */

/* A client who asks for much and reads nothing, one who announces data and
 * sends none, and one who never says a word: others go on, memory is
 * bounded. */
static void test_stalled(void **state)
{
	int lazy[40], fd;

	(void)state;
	write_mib(0, 1);
	for (unsigned i = 0; i < 40; i++) {
		lazy[i] = dial_export("disk0", i % 2);
		for (unsigned k = 0; k < 20; k++)
			put_request(lazy[i], NBD_CMD_READ, 0, k, 0, MIB);
		if (i % 4 == 3)
			put_request(lazy[i], NBD_CMD_WRITE, 0, 9, 0, MIB);
	}
	fd = dial_export("disk0", true);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(do_write(fd, 0, 2 * MIB, MIB, (int)i), 0);
	assert_disk(fd, 2 * MIB, MIB, 99);
	assert_disk(fd, 0, MIB, 1);
	assert_true(server->shared <= NBD_SHARED_MAX);
	hang_up(fd);
	for (unsigned i = 0; i < 40; i++)
		close(lazy[i]);
}

/* All that was lent came back. */
static void test_memory_comes_back(void **state)
{
	int fd;

	test_stalled(state);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	assert_int_equal(server->shared, 0);
	serve_at("sock", 0);
	export_it("disk0", "disk0", true);
	fd = dial_export("disk0", true);
	assert_disk(fd, 2 * MIB, MIB, 99);
	hang_up(fd);
}

/* --- crowds --- */

static void test_max_connections(void **state)
{
	int fd[3], late;
	uint8_t hello[18];

	(void)state;
	serve_at("sock", 3);
	export_it("disk0", "disk0", true);
	for (unsigned i = 0; i < 3; i++)
		fd[i] = dial_export("disk0", true);
	late = dial("sock");
	assert_noticed(&events, "all 3 connections are in use");
	assert_int_equal(recv(late, hello, 1, MSG_DONTWAIT), -1);
	assert_disk(fd[0], 0, 512, 0);
	hang_up(fd[1]);
	must_get(late, hello, sizeof(hello));
	close(late);
	hang_up(fd[0]);
	hang_up(fd[2]);
}

static void test_crowd(void **state)
{
	int steady = dial_export("disk0", true);

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		int fd = dial("sock");

		if (i % 3)
			put(fd, "nonsense that is no handshake", 29);
		close(fd);
		if (i % 50 == 0)
			assert_disk(steady, 0, 4096, 0);
	}
	assert_disk(steady, 0, MIB, 0);
	hang_up(steady);
}

/* --- many writers on several connections --- */

#define WRITERS 4
#define ROUNDS 60

struct writer {
	pthread_t thread;
	unsigned number;
};

/* Each owns every fourth 64 KiB of the disk, and looks at what it wrote
 * through its own connection; the last value is left for all to see. */
static void *write_rounds(void *arg)
{
	struct writer *w = arg;
	int fd = dial_export(w->number % 2 ? "disk0" : "again", true);

	for (unsigned round = 1; round <= ROUNDS; round++) {
		uint64_t off = ((round * 7 % 32) * WRITERS + w->number) *
			       65536ull;

		assert_int_equal(do_write(fd, 0, off, 65536, (int)round), 0);
		assert_disk(fd, off, 65536, (int)round);
		if (round % 9 == 0)
			assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0,
						    0), 0);
	}
	hang_up(fd);
	return NULL;
}

static void test_writers(void **state)
{
	struct snapshot_options o = { .device = "disk0" };
	struct writer writer[WRITERS];
	char name[16];

	(void)state;
	export_it("again", "disk0", true);
	for (unsigned i = 0; i < WRITERS; i++) {
		writer[i].number = i;
		pthread_create(&writer[i].thread, NULL, write_rounds,
			       &writer[i]);
	}
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "layer%u", i);
		o.file = name;
		assert_int_equal(engine_snapshot(engine, &o, NULL, &err), 0);
		engine_stop(engine);
		engine_cont(engine);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writer[i].thread, NULL);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	nbd_server_quit(server);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img check -q -U layer4");
	serve_at("sock", 0);
}

/* --- noise --- */

static uint64_t seed = 4711;

static uint32_t any(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

/* A proper conversation with some bytes of it changed. */
static void babble(void)
{
	static const uint16_t types[] = { 0, 1, 3, 4, 5, 6, 7, 2, 9 };
	uint8_t talk[2048], *at = talk;
	int fd = dial("sock");

	put_be32(at, FLAGS_BOTH);
	at += 4;
	for (unsigned i = 0; i < 3; i++) {
		put_be64(at, NBD_OPTS_MAGIC);
		put_be32(at + 8, i == 0 ? NBD_OPT_STRUCTURED_REPLY :
			 i == 1 ? 1 + any(11) : NBD_OPT_GO);
		put_be32(at + 12, i ? 11 : 0);
		at += 16;
		if (i)
			memcpy(at, "\0\0\0\5disk0\0\0", 11);
		at += i ? 11 : 0;
	}
	for (unsigned i = 0; i < 20; i++, at += NBD_REQUEST_BYTES) {
		put_be32(at, NBD_REQUEST_MAGIC);
		put_be16(at + 4, (uint16_t)(any(4) ? 0 : any(64)));
		put_be16(at + 6, types[any(9)]);
		put_be64(at + 8, i);
		put_be64(at + 16, any(4) ? any(9 * MIB) : seed);
		put_be32(at + 24, any(100));
	}
	for (unsigned i = any(4); i; i--)
		talk[any((uint32_t)(at - talk))] = (uint8_t)any(256);
	if (put(fd, talk, (size_t)(at - talk)) && any(2)) {
		shutdown(fd, SHUT_WR);
		while (get(fd, talk, 1) && any(200))
			;
	}
	close(fd);
}

static void test_babble(void **state)
{
	int fd;

	(void)state;
	for (unsigned i = 0; i < 1500; i++)
		babble();
	fd = dial_export("disk0", true);
	assert_int_equal(do_write(fd, 0, 0, 8 * MIB, 3), 0);
	assert_disk(fd, 0, 8 * MIB, 3);
	hang_up(fd);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	nbd_server_quit(server);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img check -q -U base");
	serve_at("sock", 0);
}

#define BARE(name) \
	cmocka_unit_test_setup_teardown(name, enter_heard, leave_heard)
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, enter_ready, leave_heard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(test_start_stop),
		BARE(test_stale_and_live),
		BARE(test_tcp),
		BARE(test_export_errors),
		BARE(test_export_below),
		TEST(test_delete),
		TEST(test_query),
		TEST(test_stop_ends_all),
		TEST(test_stop_while_stopped),
		TEST(test_gate),
		TEST(test_stalled),
		TEST(test_memory_comes_back),
		BARE(test_max_connections),
		TEST(test_crowd),
		TEST(test_writers),
		TEST(test_babble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
