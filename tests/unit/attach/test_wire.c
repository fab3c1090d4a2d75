/* test_wire.c - one connection and those who share it: the test is the other
 * monitor, and a thread makes the requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "engine/util/clock.h"
#include "engine/util/socket.h"
#include "engine/util/str.h"
#include "engine/util/thread.h"
#include "src/attach/wire.h"
#include "src/qmp/json/json_stream.h"
#include "tests/unit/scratch.h"

#define PATIENCE_MS 60000
#define LONG_NS (60 * NS_PER_SEC)

static const char greeting[] = "{\"QMP\": {\"version\": {}}}\r\n";

struct other {			/* the other monitor */
	struct sockets sockets;
	struct address address;
	struct wire *wire;
	int fd;
	struct json_stream in;
	char buf[4096];
	const char *data;
	size_t len;
	struct lock lock;
	struct str told;	/* events and replies, in the order they came */
};

static int up(void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static void changed(void *arg, enum wire_state state, const char *why)
{
	(void)arg;
	(void)state;
	(void)why;
}

static void tell(struct other *o, const char *word)
{
	lock_take(&o->lock);
	str_addf(&o->told, "%s ", word);
	lock_drop(&o->lock);
}

static void hear_event(void *arg, const json_t *event)
{
	tell(arg, json_string_value(json_object_get(event, "event")));
}

static void tend(void *arg)
{
	(void)arg;
}

static const struct wire_ops ops = {
	.up = up, .changed = changed, .event = hear_event, .tend = tend,
};

static void accept_wire(struct other *o)
{
	struct pollfd fd = { .fd = o->sockets.fd[0], .events = POLLIN };

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	o->fd = socket_accept(o->sockets.fd[0]);
	assert_true(o->fd >= 0);
	json_stream_release(&o->in);
	o->in = (struct json_stream) { 0 };
	o->len = 0;
}

static void say(struct other *o, const char *text)
{
	assert_int_equal(write(o->fd, text, strlen(text)), strlen(text));
}

/* The id of the next request, which has to be @name. */
static long long expect_request(struct other *o, const char *name)
{
	struct pollfd fd = { .fd = o->fd, .events = POLLIN };
	struct err err = ERR_INIT;
	json_t *request = NULL;
	long long id;

	while (!json_stream_next(&o->in, &o->data, &o->len, &request, &err)) {
		ssize_t n;

		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		n = read(o->fd, o->buf, sizeof(o->buf));
		assert_true(n > 0);
		o->data = o->buf;
		o->len = (size_t)n;
	}
	assert_non_null(request);
	assert_string_equal(json_string_value(json_object_get(request,
					      "execute")), name);
	id = json_integer_value(json_object_get(request, "id"));
	json_decref(request);
	return id;
}

static void reply(struct other *o, long long id, const char *value)
{
	struct str text = STR_INIT;

	str_addf(&text, "{\"return\": %s, \"id\": %lld}\r\n", value, id);
	say(o, str_get(&text));
	str_release(&text);
}

static void greet(struct other *o)
{
	accept_wire(o);
	say(o, greeting);
	reply(o, expect_request(o, "qmp_capabilities"), "{}");
}

static int enter(void **state)
{
	static struct other o;
	struct err err = ERR_INIT;

	o = (struct other) { .fd = -1 };
	lock_init(&o.lock);
	*state = &o;
	if (sockets_listen_unix(&o.sockets, "wire", &err) ||
	    address_parse(&o.address, "unix:wire", false, &err))
		return -1;
	o.wire = wire_new(&o.address, &ops, &o, &err);
	return wire_start(o.wire, &err);
}

static int leave(void **state)
{
	struct other *o = *state;

	wire_free(o->wire);
	close(o->fd);
	sockets_close(&o->sockets);
	address_release(&o->address);
	json_stream_release(&o->in);
	str_release(&o->told);
	lock_release(&o->lock);
	return 0;
}

/* --- those who ask --- */

struct asker {
	struct other *o;
	pthread_t thread;
	const char *name;
	uint64_t limit_ns;
	bool changes;
	struct interrupt *interrupt;
	json_t *reply;
	struct err err;
};

static void ask_run(void *arg)
{
	struct asker *a = arg;
	const struct wire_terms terms = {
		.limit_ns = a->limit_ns ? a->limit_ns : LONG_NS,
		.changes = a->changes, .interrupt = a->interrupt,
	};

	a->reply = wire_request(a->o->wire, json_pack("{s:s, s:s}", "execute",
						      a->name, "id", "mine"),
				&terms, &a->err);
	if (a->reply)
		tell(a->o, a->name);
}

static void ask(struct asker *a)
{
	assert_int_equal(thread_start(&a->thread, "asker", ask_run, a), 0);
}

static void answered(struct asker *a, long long value)
{
	thread_join(a->thread);
	assert_non_null(a->reply);
	assert_int_equal(json_integer_value(json_object_get(a->reply,
						"return")), value);
	assert_null(json_object_get(a->reply, "id"));
	json_decref(a->reply);
}

static void failed_with(struct asker *a, const char *text)
{
	thread_join(a->thread);
	assert_null(a->reply);
	assert_string_equal(a->err.text, text);
}

static void live(struct other *o)
{
	struct err err = ERR_INIT;

	greet(o);
	assert_int_equal(wire_wait_live(o->wire, clock_ns() + LONG_NS, NULL,
					&err), 0);
}

static void replies_by_id(void **state)
{
	struct other *o = *state;
	struct asker a = { .o = o, .name = "a" }, b = { .o = o, .name = "b" };
	long long first, second;

	live(o);
	ask(&a);
	first = expect_request(o, "a");
	ask(&b);
	second = expect_request(o, "b");
	assert_true(first != second);
	reply(o, second, "2");
	answered(&b, 2);
	reply(o, first, "1");
	answered(&a, 1);
}

static void events_before_their_reply(void **state)
{
	struct other *o = *state;
	struct asker a = { .o = o, .name = "a" };
	struct str text = STR_INIT;

	live(o);
	ask(&a);
	str_addf(&text, "{\"event\": \"E1\"}\r\n{\"event\": \"E2\"}\r\n"
		 "{\"return\": 1, \"id\": %lld}\r\n", expect_request(o, "a"));
	say(o, str_get(&text));
	answered(&a, 1);
	assert_string_equal(str_get(&o->told), "E1 E2 a ");
	str_release(&text);
}

static void a_late_answer(void **state)
{
	struct other *o = *state;
	struct asker a = { .o = o, .name = "a", .limit_ns = NS_PER_SEC / 20 };
	struct asker b = { .o = o, .name = "b" }, c = { .o = o, .name = "c" };
	struct wire_status status;
	long long id;

	live(o);
	ask(&a);
	id = expect_request(o, "a");
	failed_with(&a, "no answer in time");
	wire_status(o->wire, &status);
	assert_true(status.stalled);
	ask(&b);
	failed_with(&b, "it does not answer; nothing was sent");
	reply(o, id, "1");
	do
		wire_status(o->wire, &status);
	while (status.stalled);
	ask(&c);
	reply(o, expect_request(o, "c"), "3");
	answered(&c, 3);
}

static void a_lost_answer(void **state)
{
	struct other *o = *state;
	struct asker a = { .o = o, .name = "a", .changes = true };
	struct asker b = { .o = o, .name = "b" };

	live(o);
	ask(&a);
	expect_request(o, "a");
	ask(&b);
	close(o->fd);
	o->fd = -1;
	failed_with(&a, "the connection is lost: no answer; it may have been "
		     "done");
	assert_int_equal(a.err.errnum, EINPROGRESS);
	thread_join(b.thread);
	assert_null(b.reply);
	assert_int_equal(b.err.errnum, 0);
}

static void who_does_not_want_to_wait(void **state)
{
	struct other *o = *state;
	struct interrupt stop = { .fd = eventfd(0, EFD_CLOEXEC) };
	struct asker a = { .o = o, .name = "a", .interrupt = &stop,
			   .changes = true };
	struct asker b = { .o = o, .name = "b" };
	long long id;

	live(o);
	ask(&a);
	id = expect_request(o, "a");
	stop.signal = 2;
	eventfd_write(stop.fd, 1);
	failed_with(&a, "interrupted: no answer; it may have been done");
	ask(&b);
	expect_request(o, "b");
	reply(o, id, "1");		/* nobody's any more */
	reply(o, id + 1, "2");
	answered(&b, 2);
	close(stop.fd);
}

static void it_comes_back(void **state)
{
	struct other *o = *state;
	struct wire_status status;
	struct asker a = { .o = o, .name = "a" };

	live(o);
	say(o, "no JSON");
	close(o->fd);
	greet(o);
	do
		wire_status(o->wire, &status);
	while (status.state != WIRE_LIVE);
	ask(&a);
	reply(o, expect_request(o, "a"), "1");
	answered(&a, 1);
}

static void nobody_greets(void **state)
{
	struct other *o = *state;
	struct err err = ERR_INIT;
	struct asker a = { .o = o, .name = "a" };

	accept_wire(o);
	ask(&a);
	failed_with(&a, "it is not connected");
	assert_int_equal(wire_wait_live(o->wire, clock_ns() + LONG_NS, NULL,
					&err), -1);
	assert_non_null(strstr(err.text, "somebody else may hold its monitor"));
	say(o, greeting);		/* he has gone */
	reply(o, expect_request(o, "qmp_capabilities"), "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replies_by_id, enter, leave),
		cmocka_unit_test_setup_teardown(events_before_their_reply,
						enter, leave),
		cmocka_unit_test_setup_teardown(a_late_answer, enter, leave),
		cmocka_unit_test_setup_teardown(a_lost_answer, enter, leave),
		cmocka_unit_test_setup_teardown(who_does_not_want_to_wait,
						enter, leave),
		cmocka_unit_test_setup_teardown(it_comes_back, enter, leave),
		cmocka_unit_test_setup_teardown(nobody_greets, enter, leave),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
