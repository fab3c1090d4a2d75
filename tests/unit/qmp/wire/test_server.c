/* test_server.c - connections to an engine with one raw disk: negotiation,
 * events, clients who do not read, sockets that are there already. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/qmp/wire/conn.h"
#include "src/qmp/wire/server.h"
#include "src/qmp/wire/session.h"
#include "tests/unit/dial.h"
#include "tests/unit/disk_machine.h"
#include "tests/unit/slow.h"

#define PATIENCE_MS 60000

struct world {
	struct disk_machine m;
	struct server *server;
};

static int listen_at(struct world *w, const char *path, struct err *err)
{
	struct server_way way = {
		.kind = SERVER_UNIX, .path = path,
		.protocol = &session_protocol,
	};

	return server_add(w->server, &way, err);
}

static int enter(void **state)
{
	static struct world w;
	struct err err = ERR_INIT;

	*state = &w;
	if (disk_machine_init(&w.m, 1 << 20))
		return -1;
	w.server = server_new(w.m.machine);
	return listen_at(&w, "qmp", &err) || server_start(w.server, &err);
}

static int leave(void **state)
{
	struct world *w = *state;

	if (w->server)
		server_free(w->server);
	disk_machine_release(&w->m);
	return 0;
}

/* --- a client --- */

static void send_text(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* Adds to *got what is there to read, up to the first @end and not beyond;
 * whether that was seen. */
static bool read_part(int fd, struct str *got, const char *end)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	size_t before = got->len, overlap = strlen(end) - 1;
	char bytes[4096], *at;
	ssize_t n = -1;

	if (poll(&in, 1, PATIENCE_MS) == 1)
		n = recv(fd, bytes, sizeof(bytes), MSG_PEEK);
	if (n <= 0)
		fail_msg("no '%s' in '%s'", end, str_get(got));
	str_add_mem(got, bytes, (size_t)n);
	at = strstr(got->s + (before < overlap ? 0 : before - overlap), end);
	if (at) {
		at[strlen(end)] = '\0';
		got->len = strlen(got->s);
	}
	n = recv(fd, bytes, got->len - before, 0);
	assert_int_equal(n, got->len - before);
	return at;
}

/* Reads until @end was seen; the text is the caller's. */
static char *read_until(int fd, const char *end)
{
	struct str got = STR_INIT;

	while (!read_part(fd, &got, end))
		;
	return str_detach(&got);
}

static void expect(int fd, const char *end)
{
	free(read_until(fd, end));
}

static bool has_ended(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	do {
		if (poll(&in, 1, PATIENCE_MS) != 1)
			return false;
		n = read(fd, buf, sizeof(buf));
	} while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

static int negotiated(void)
{
	int fd = dial("qmp");

	expect(fd, "\"capabilities\": []}}\r\n");
	send_text(fd, "{\"execute\":\"qmp_capabilities\"}");
	expect(fd, "{\"return\": {}}\r\n");
	return fd;
}

/* --- */

static void negotiation(void **state)
{
	int fd = dial("qmp");

	(void)state;
	expect(fd, "\r\n");
	send_text(fd, "{\"execute\":\"stop\",\"id\":1}");
	expect(fd, "Expecting capabilities negotiation with "
	       "'qmp_capabilities'\"}, \"id\": 1}\r\n");
	send_text(fd, "{\"execute\":\"qmp_capabilities\",\"arguments\":"
		  "{\"enable\":[\"oob\"]}}");
	expect(fd, "GenericError");
	send_text(fd, "{} {\"execute\":5}");
	expect(fd, "QMP input lacks member 'execute'");
	expect(fd, "QMP input member 'execute' must be a string");
	send_text(fd, "{\"execute\":\"qmp_capabilities\"}"
		  "{\"execute\":\"qmp_capabilities\"}");
	expect(fd, "\r\n{\"return\": {}}\r\n{\"error\": {\"class\": "
	       "\"CommandNotFound\", \"desc\": \"Capabilities negotiation is "
	       "already complete, command ignored\"}}\r\n");
	close(fd);
}

static void events_are_for_the_negotiated(void **state)
{
	int early = dial("qmp"), a = negotiated(), b = negotiated();
	char *text;

	(void)state;
	send_text(a, "{\"execute\":\"stop\"}");
	text = read_until(a, "{\"return\": {}}\r\n");
	assert_non_null(strstr(text, "\"STOP\""));
	free(text);
	expect(b, "\"STOP\"}\r\n");
	send_text(a, "{\"execute\":\"cont\"}");
	expect(b, "\"RESUME\"}\r\n");
	send_text(early, "{\"execute\":\"qmp_capabilities\"}");
	text = read_until(early, "{\"return\": {}}\r\n");
	assert_null(strstr(text, "event"));
	free(text);
	close(early);
	close(a);
	close(b);
}

/* --- what happens while a command runs --- */

/* What a session said, one object after the other. */
struct said {
	unsigned status, errors, before, behind;
	unsigned more;		/* sum of x-blkmon-more */
	unsigned lost, told;	/* X_BLKMON_LOST, and the sum of its counts */
};

static unsigned number_behind(const char *text, size_t len, const char *word)
{
	const char *at = memmem(text, len, word, strlen(word));

	return at ? (unsigned)atoi(at + strlen(word)) : 0;
}

static bool has(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word));
}

static void hear(void *arg, const char *text, size_t len)
{
	struct said *said = arg;

	said->status += has(text, len, "JOB_STATUS_CHANGE");
	said->errors += has(text, len, "BLOCK_JOB_ERROR");
	said->before += has(text, len, "\"before\"");
	said->behind += has(text, len, "\"behind\"");
	said->more += number_behind(text, len, "\"x-blkmon-more\": ");
	said->lost += has(text, len, "X_BLKMON_LOST");
	said->told += number_behind(text, len, "{\"count\": ");
}

/* A conversation whose thread is the test's; *said is what it says. */
static struct session *open_session(struct world *w, struct said *said)
{
	static const char start[] = "{\"execute\":\"qmp_capabilities\"}";
	struct session *s = session_new(channel_local_new(w->m.machine), false,
					hear, said);

	session_input(s, start, sizeof(start) - 1);
	return s;
}

static void publish(struct world *w, enum event_type type, const char *id,
		    unsigned n)
{
	struct event ev = { .type = type, .status = "created",
			    .operation = "read", .action = "ignore" };

	for (unsigned i = 0; i < n; i++) {
		if (n > 1 && type == EVENT_JOB_STATUS)
			snprintf(ev.id, sizeof(ev.id), "%s%u", id, i);
		else
			snprintf(ev.id, sizeof(ev.id), "%s", id);
		event_publish(engine_events(w->m.machine->engine), &ev);
	}
}

static void who_is_busy_gets_all_events(void **state)
{
	const unsigned n = under_valgrind() ? 4 * EVENT_FLOOD : 40000;
	struct said said = { 0 };
	struct session *s = open_session(*state, &said);

	publish(*state, EVENT_JOB_STATUS, "j", n);
	session_events(s);
	session_free(s);
	assert_int_equal(said.status, n);
	assert_int_equal(said.lost, 0);
}

/* The sum is right, and what was before and after the flood is there. */
static void errors_are_joined_for_who_is_busy(void **state)
{
	enum { N = 200000 };
	struct said said = { 0 };
	struct session *s = open_session(*state, &said);

	publish(*state, EVENT_JOB_STATUS, "before", 1);
	publish(*state, EVENT_JOB_ERROR, "j", N);
	publish(*state, EVENT_JOB_STATUS, "behind", 1);
	session_events(s);
	session_free(s);
	assert_int_equal(said.before, 1);
	assert_int_equal(said.behind, 1);
	assert_int_equal(said.lost, 0);
	assert_true(said.errors <= EVENT_FLOOD);
	assert_int_equal(said.errors + said.more, N);
}

static void what_is_lost_is_told(void **state)
{
	struct said said = { 0 };
	struct session *s = open_session(*state, &said);

	publish(*state, EVENT_JOB_STATUS, "j", EVENT_MOST + 77);
	session_events(s);
	session_free(s);
	assert_int_equal(said.status, EVENT_MOST);
	assert_int_equal(said.lost, 1);
	assert_int_equal(said.told, 77);
}

/* Half a connection: what was asked is answered. */
static void answers_behind_the_end_of_input(void **state)
{
	int fd = dial("qmp");

	(void)state;
	send_text(fd, "{\"execute\":\"qmp_capabilities\"}"
		  "{\"execute\":\"query-name\",\"id\":2}");
	shutdown(fd, SHUT_WR);
	expect(fd, "\"id\": 2}\r\n");
	assert_true(has_ended(fd));
	close(fd);
}

static void wait_notice(struct world *w, const char *part)
{
	uint64_t deadline = clock_ns() + PATIENCE_MS * NS_PER_MS;
	bool found = false;

	while (!found) {
		json_t *ev = channel_next_event(w->m.channel, deadline);
		json_t *data = json_object_get(ev, "data");
		const char *text = json_string_value(json_object_get(data,
								     "text"));

		assert_non_null(ev);
		found = text && strstr(text, part);
		json_decref(ev);
	}
}

/* Sends until the socket takes no more, but for as long as it should. */
static bool send_for_ever(int fd, const char *text, size_t most)
{
	size_t len = strlen(text), sent = 0;

	while (sent < most) {
		struct pollfd out = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&out, 1, PATIENCE_MS) != 1)
			return false;
		n = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET;
		sent += (size_t)n;
	}
	return true;
}

/* Its replies are queued while it goes on sending; then it is dropped, and
 * another client notices nothing. So many replies take valgrind minutes. */
static void one_who_does_not_read(void **state)
{
	struct world *w = *state;
	int lazy = negotiated(), other = negotiated();

	if (under_valgrind()) {
		close(lazy);
		close(other);
		skip();
	}
	assert_true(send_for_ever(lazy, "{\"execute\":\"query-commands\"}",
				  1 << 16));
	send_text(other, "{\"execute\":\"query-name\",\"id\":\"o\"}");
	expect(other, "\"id\": \"o\"}\r\n");
	assert_true(send_for_ever(lazy, "{\"execute\":\"query-commands\"}",
				  64 << 20));
	wait_notice(w, "dropped");
	assert_true(has_ended(lazy));
	send_text(other, "{\"execute\":\"query-name\",\"id\":\"p\"}");
	expect(other, "\"id\": \"p\"}\r\n");
	close(lazy);
	close(other);
}

/* All that was asked for comes, however late it is read. */
static void late_reader_loses_nothing(void **state)
{
	enum { N = 400 };
	int fd = negotiated();
	char text[80];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text),
			 "{\"execute\":\"query-commands\",\"id\":%d}", i);
		send_text(fd, text);
	}
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "\"id\": %d}\r\n", i);
		expect(fd, text);
	}
	close(fd);
}

/* --- a protocol that answers each byte with more than is ever queued --- */

enum { FLOOD = 3 * CONN_QUEUE / (int)sizeof(uint32_t) };

static void *flood_open(struct conn *conn, struct machine *machine,
			bool pretty)
{
	(void)machine;
	(void)pretty;
	return conn;
}

static void flood_input(void *talk, const char *data, size_t len)
{
	uint32_t *numbers = mem_alloc(FLOOD * sizeof(*numbers));

	(void)data;
	for (uint32_t i = 0; i < FLOOD; i++)
		numbers[i] = i;
	while (len--)
		conn_write(talk, (char *)numbers, FLOOD * sizeof(*numbers));
	free(numbers);
}

static void flood_events(void *talk)
{
	(void)talk;
}

static int flood_event_fd(void *talk)
{
	(void)talk;
	return -1;
}

static const struct conn_protocol flood = {
	.name = "flood", .open = flood_open, .input = flood_input,
	.events = flood_events, .event_fd = flood_event_fd,
	.close = flood_events,
};

static void read_flood(int fd)
{
	uint32_t numbers[16384];

	for (uint32_t i = 0; i < FLOOD;) {
		size_t n = FLOOD - i < 16384 ? FLOOD - i : 16384;

		assert_int_equal(recv(fd, numbers, n * sizeof(*numbers),
				      MSG_WAITALL), n * sizeof(*numbers));
		for (size_t k = 0; k < n; k++)
			if (numbers[k] != i++)
				fail_msg("%u before %u", numbers[k], i);
	}
}

/* What is queued has a bound, what is sent has none; that one of its clients
 * is being answered keeps no server from its end. */
static void one_who_reads_gets_all(void **state)
{
	struct world *w = *state;
	struct server *server = server_new(w->m.machine);
	struct server_way way = {
		.kind = SERVER_FD, .protocol = &flood, .connect = true,
	};
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct err err = ERR_INIT;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	way.fd = fds[0];
	assert_int_equal(server_add(server, &way, &err), 0);
	assert_int_equal(server_start(server, &err), 0);
	send_text(fds[1], "xx");
	read_flood(fds[1]);
	read_flood(fds[1]);
	send_text(fds[1], "x");
	server_free(server);
	assert_true(has_ended(fds[1]));
	close(fds[1]);
}

static void too_many(void **state)
{
	int fds[SERVER_CLIENTS], fd;

	for (int i = 0; i < SERVER_CLIENTS; i++) {
		fds[i] = dial("qmp");
		expect(fds[i], "\r\n");
	}
	fd = dial("qmp");
	assert_true(has_ended(fd));
	close(fd);
	wait_notice(*state, "more than 100 clients");
	for (int i = 0; i < SERVER_CLIENTS; i++)
		close(fds[i]);
	/* There is room again as soon as they are buried. */
	for (bool open = false; !open;) {
		struct pollfd in = { .events = POLLIN };
		char c;

		in.fd = dial("qmp");
		assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
		open = read(in.fd, &c, 1) == 1;
		close(in.fd);
	}
}

static void the_end(void **state)
{
	struct world *w = *state;
	int fd = negotiated();

	send_text(fd, "{\"execute\":\"quit\"}{\"execute\":\"stop\"}");
	expect(fd, "\"SHUTDOWN\"");
	expect(fd, "{\"return\": {}}\r\n");
	server_free(w->server);
	w->server = NULL;
	/* What stood behind quit was left alone. */
	assert_true(has_ended(fd));
	assert_int_equal(engine_vm_state(w->m.machine->engine), VM_RUNNING);
	assert_int_equal(access("qmp", F_OK), -1);
	close(fd);
}

/* --- paths --- */

static void mode_of_the_socket(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat("qmp", &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void what_is_there_already(void **state)
{
	struct world *w = *state, other = *w;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct err err = ERR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	other.server = server_new(w->m.machine);
	assert_int_equal(listen_at(&other, "qmp", &err), -1);
	assert_string_equal(err.text, "Failed to bind socket to qmp: "
			    "Address already in use");
	assert_int_equal(listen_at(&other, "disk", &err), -1);
	assert_int_equal(access("disk", F_OK), 0);
	/* A socket whose owner died. */
	strcpy(at.sun_path, "stale");
	assert_int_equal(bind(fd, (void *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(listen_at(&other, "stale", &err), 0);
	/* Somebody else's by now: it stays. */
	assert_int_equal(rename("stale", "moved"), 0);
	fd = open("stale", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	server_free(other.server);
	assert_int_equal(access("stale", F_OK), 0);
}

static void tcp_is_for_this_machine(void **state)
{
	struct world *w = *state;
	struct server_way way = {
		.kind = SERVER_TCP, .host = "0.0.0.0", .port = "0",
		.protocol = &session_protocol,
	};
	struct server *server = server_new(w->m.machine);
	struct err err = ERR_INIT;

	assert_int_equal(server_add(server, &way, &err), -1);
	assert_non_null(strstr(err.text, "is not a loopback address"));
	way.host = "127.0.0.1";
	assert_int_equal(server_add(server, &way, &err), 0);
	server_free(server);
}

static void descriptors(void **state)
{
	struct world *w = *state;
	struct server *server = server_new(w->m.machine);
	struct server_way way = {
		.kind = SERVER_FD, .protocol = &session_protocol,
		.connect = true,
	};
	struct err err = ERR_INIT;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    fds), 0);
	way.fd = fds[0];
	way.connect = false;
	assert_int_equal(server_add(server, &way, &err), -1);
	assert_non_null(strstr(err.text, "does not listen"));
	way.connect = true;
	assert_int_equal(server_add(server, &way, &err), 0);
	assert_int_equal(server_start(server, &err), 0);
	expect(fds[1], "\"capabilities\": []}}\r\n");
	server_free(server);
	assert_true(has_ended(fds[1]));
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(negotiation, enter, leave),
		cmocka_unit_test_setup_teardown(
			events_are_for_the_negotiated, enter, leave),
		cmocka_unit_test_setup_teardown(who_is_busy_gets_all_events,
						enter, leave),
		cmocka_unit_test_setup_teardown(
			errors_are_joined_for_who_is_busy, enter, leave),
		cmocka_unit_test_setup_teardown(what_is_lost_is_told, enter,
						leave),
		cmocka_unit_test_setup_teardown(
			answers_behind_the_end_of_input, enter, leave),
		cmocka_unit_test_setup_teardown(one_who_does_not_read, enter,
						leave),
		cmocka_unit_test_setup_teardown(late_reader_loses_nothing,
						enter, leave),
		cmocka_unit_test_setup_teardown(one_who_reads_gets_all, enter,
						leave),
		cmocka_unit_test_setup_teardown(too_many, enter, leave),
		cmocka_unit_test_setup_teardown(the_end, enter, leave),
		cmocka_unit_test_setup_teardown(mode_of_the_socket, enter,
						leave),
		cmocka_unit_test_setup_teardown(what_is_there_already, enter,
						leave),
		cmocka_unit_test_setup_teardown(tcp_is_for_this_machine,
						enter, leave),
		cmocka_unit_test_setup_teardown(descriptors, enter, leave),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
