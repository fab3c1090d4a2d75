/* The guest's stop and cont, and what the policies of a drive make of errors
 * of the host. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"

#include "engine/event/event.h"
#include "engine/chain/vm.h"
#include "engine/util/clock.h"
#include "engine/util/thread.h"

struct world {
	struct graph graph;
	struct vm vm;
	struct event_ring ring;
	struct event_listener ear;
	struct drive *drive;
	_Atomic bool gone;		/* the client */
};

static struct world *world_new(enum on_error on_read, enum on_error on_write)
{
	struct world *w = mem_alloc(sizeof(*w));
	struct node_options o = { 0 };
	struct err err = ERR_INIT;

	event_ring_init(&w->ring);
	assert_int_equal(event_listen(&w->ring, &w->ear), 0);
	graph_init(&w->graph);
	w->graph.events = &w->ring;
	vm_init(&w->vm, &w->graph);
	assert_int_equal(drive_add(&w->graph, "disk0",
				   fake_chain(&w->graph, 2), &o, &err), 0);
	w->drive = drive_find(&w->graph, "disk0");
	w->drive->on_read_error = on_read;
	w->drive->on_write_error = on_write;
	fake_fill(w->drive->root.node, 0, 8, 0x11);
	return w;
}

static void world_free(struct world *w)
{
	drive_remove(w->drive);
	vm_release(&w->vm);
	graph_release(&w->graph);
	event_unlisten(&w->ear);
	event_ring_release(&w->ring);
	free(w);
}

static void fail_with(struct world *w, int errnum)
{
	fake_of(w->drive->root.node)->fail = -errnum;
}

static void assert_event(struct world *w, enum event_type type,
			 struct event *ev)
{
	uint64_t lost;

	assert_true(event_next(&w->ear, ev, clock_ns() + 60 * NS_PER_SEC,
			       &lost));
	assert_int_equal(ev->type, type);
}

static void assert_io_error(struct world *w, const char *operation,
			    const char *action)
{
	struct event ev;

	assert_event(w, EVENT_IO_ERROR, &ev);
	assert_string_equal(ev.operation, operation);
	assert_string_equal(ev.action, action);
}

static void assert_stops(struct world *w, const char *operation, int errnum)
{
	struct event ev;

	assert_io_error(w, operation, "stop");
	assert_event(w, EVENT_STOP, &ev);
	assert_int_equal(w->vm.state, VM_IO_ERROR);
	assert_int_equal(w->drive->io_status, errnum);
}

static void assert_silence(struct world *w)
{
	struct event ev;
	uint64_t lost;

	assert_false(event_next(&w->ear, &ev, 0, &lost));
	assert_int_equal(w->vm.state, VM_RUNNING);
}

/* A thread of a client with one request. */
struct client {
	struct world *w;
	pthread_t thread;
	int (*ask)(struct client *c);
	char buf[FAKE_CLUSTER];
	int rc;
};

static int ask_read(struct client *c)
{
	return drive_read(c->w->drive, 0, sizeof(c->buf), c->buf);
}

static int ask_write(struct client *c)
{
	memset(c->buf, 0x22, sizeof(c->buf));
	return drive_write(c->w->drive, FAKE_CLUSTER, sizeof(c->buf), c->buf,
			   true);
}

static int ask_zero(struct client *c)
{
	return drive_zero(c->w->drive, 2 * FAKE_CLUSTER, 100, true);
}

static int ask_extents(struct client *c)
{
	struct extent x[2];
	size_t n;
	int rc = drive_extents(c->w->drive, 0, FAKE_CLUSTER, x, 2, &n);

	if (!rc) {
		assert_int_equal(n, 1);
		assert_int_equal(x[0].len, FAKE_CLUSTER);
		assert_false(x[0].zero);
	}
	return rc;
}

static void client_main(void *arg)
{
	struct client *c = arg;

	drive_serve(&c->w->gone);
	c->rc = c->ask(c);
}

static void client_start(struct client *c, struct world *w,
			 int (*ask)(struct client *c))
{
	*c = (struct client){ .w = w, .ask = ask, .rc = 1 };
	assert_int_equal(thread_start(&c->thread, "client", client_main, c),
			 0);
}

static int client_end(struct client *c)
{
	thread_join(c->thread);
	return c->rc;
}

static int as_client(struct world *w, int (*ask)(struct client *c))
{
	struct client c;

	client_start(&c, w, ask);
	return client_end(&c);
}

/* --- policies --- */

static void test_report(void **state)
{
	struct world *w = world_new(ON_ERROR_REPORT, ON_ERROR_REPORT);

	(void)state;
	fail_with(w, ENOSPC);
	assert_int_equal(as_client(w, ask_write), -ENOSPC);
	assert_io_error(w, "write", "report");
	assert_int_equal(as_client(w, ask_read), -ENOSPC);
	assert_io_error(w, "read", "report");
	assert_silence(w);
	assert_int_equal(w->drive->io_status, 0);
	world_free(w);
}

/* Nothing of this program's memory is read that way. */
static void test_ignore(void **state)
{
	struct world *w = world_new(ON_ERROR_IGNORE, ON_ERROR_IGNORE);
	struct client c;

	(void)state;
	fail_with(w, EIO);
	assert_int_equal(as_client(w, ask_write), 0);
	assert_io_error(w, "write", "ignore");
	client_start(&c, w, ask_read);
	assert_int_equal(client_end(&c), 0);
	for (size_t i = 0; i < sizeof(c.buf); i++)
		assert_int_equal(c.buf[i], 0);
	assert_io_error(w, "read", "ignore");
	assert_int_equal(as_client(w, ask_extents), 0);
	assert_io_error(w, "read", "ignore");
	assert_silence(w);
	world_free(w);
}

/* Until the guest stands still again; errors may be told before. */
static void assert_stops_again(struct world *w)
{
	struct event ev;

	assert_event(w, EVENT_RESUME, &ev);
	assert_event(w, EVENT_IO_ERROR, &ev);
	while (ev.type == EVENT_IO_ERROR) {
		uint64_t lost;

		assert_true(event_next(&w->ear, &ev,
				       clock_ns() + 60 * NS_PER_SEC, &lost));
	}
	assert_int_equal(ev.type, EVENT_STOP);
}

/* Others wait with the one that failed; all of them are served in the end. */
static void test_stop(void **state)
{
	int (*const ask[])(struct client *) = {
		ask_read, ask_zero, ask_extents, ask_write,
	};
	struct world *w = world_new(ON_ERROR_STOP, ON_ERROR_STOP);
	struct client client[4];
	struct event ev;

	(void)state;
	fail_with(w, EIO);
	client_start(&client[3], w, ask[3]);
	assert_stops(w, "write", EIO);
	for (unsigned i = 0; i < 3; i++)
		client_start(&client[i], w, ask[i]);
	vm_cont(&w->vm);		/* too early */
	assert_stops_again(w);
	assert_int_equal(w->drive->io_status, EIO);
	fail_with(w, 0);
	vm_cont(&w->vm);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(client_end(&client[i]), 0);
	assert_event(w, EVENT_RESUME, &ev);
	assert_silence(w);
	assert_int_equal(w->drive->io_status, 0);
	assert_int_equal(client[0].buf[0], 0x11);
	assert_reads(w->drive->root.node, FAKE_CLUSTER, FAKE_CLUSTER, 0x22);
	assert_reads(w->drive->root.node, 2 * FAKE_CLUSTER, 100, 0);
	world_free(w);
}

static void test_enospc(void **state)
{
	const int full[] = { ENOSPC, EDQUOT };
	struct world *w = world_new(ON_ERROR_REPORT, ON_ERROR_ENOSPC);
	struct client c;
	struct event ev;

	(void)state;
	fail_with(w, EIO);
	assert_int_equal(as_client(w, ask_write), -EIO);
	assert_io_error(w, "write", "report");
	assert_silence(w);
	for (int i = 0; i < 2; i++) {
		fail_with(w, full[i]);
		client_start(&c, w, ask_write);
		assert_stops(w, "write", full[i]);
		assert_string_equal(io_status_name(w->drive->io_status),
				    "nospace");
		fail_with(w, 0);
		vm_cont(&w->vm);
		assert_int_equal(client_end(&c), 0);
		assert_event(w, EVENT_RESUME, &ev);
	}
	assert_silence(w);
	world_free(w);
}

/* Whatever the host calls it: a file system that an error has made read-only,
 * a file made immutable, a disk that was pulled, a quota. */
static void test_each_errno(void **state)
{
	const int errnum[] = { EIO, EROFS, EPERM, EACCES, EINVAL, ENODEV,
			       ENXIO, EDQUOT, EFBIG, ENOMEM, ENOSPC };

	(void)state;
	for (size_t i = 0; i < sizeof(errnum) / sizeof(*errnum); i++) {
		struct world *w = world_new(ON_ERROR_STOP, ON_ERROR_STOP);
		struct client c;
		struct event ev;

		fail_with(w, errnum[i]);
		client_start(&c, w, i % 2 ? ask_read : ask_write);
		assert_stops(w, i % 2 ? "read" : "write", errnum[i]);
		fail_with(w, 0);
		vm_cont(&w->vm);
		assert_int_equal(client_end(&c), 0);
		assert_event(w, EVENT_RESUME, &ev);
		assert_silence(w);
		assert_int_equal(w->drive->stats.rd_failed +
				 w->drive->stats.wr_failed, 1);
		assert_int_equal(w->drive->stats.rd_invalid +
				 w->drive->stats.wr_invalid, 0);
		world_free(w);
	}
}

/* --- who is stopped, and who is not --- */

/* What the guest itself does wrong is its own affair. */
static void test_vms_own_fault(void **state)
{
	struct world *w = world_new(ON_ERROR_STOP, ON_ERROR_STOP);
	char c;

	(void)state;
	drive_serve(&w->gone);
	assert_int_equal(drive_read(w->drive, FAKE_SIZE, 1, &c), -EINVAL);
	assert_int_equal(drive_write(w->drive, FAKE_SIZE, 1, "", true),
			 -EINVAL);
	w->drive->read_only = true;
	assert_int_equal(drive_zero(w->drive, 0, 1, false), -EROFS);
	assert_int_equal(drive_discard(w->drive, 0, 1), -EROFS);
	w->drive->read_only = false;
	w->drive->root.node->read_only = true;
	assert_int_equal(drive_write(w->drive, 0, 1, "", false), -EROFS);
	w->drive->root.node->read_only = false;
	assert_int_equal(drive_zero_fast(w->drive, 0, 1, true), -EOPNOTSUPP);
	drive_serve(NULL);
	assert_silence(w);
	world_free(w);
}

/* Who would tell the guest to go on must not wait with it. */
static void test_operator_gets_the_error(void **state)
{
	struct world *w = world_new(ON_ERROR_STOP, ON_ERROR_IGNORE);
	char c = 0;

	(void)state;
	fail_with(w, EIO);
	assert_int_equal(drive_read(w->drive, 0, 1, &c), -EIO);
	assert_io_error(w, "read", "report");
	assert_int_equal(drive_write(w->drive, 0, 1, &c, false), -EIO);
	assert_io_error(w, "write", "report");
	assert_silence(w);
	world_free(w);
}

static void test_client_goes_away(void **state)
{
	struct world *w = world_new(ON_ERROR_STOP, ON_ERROR_STOP);
	struct client c;

	(void)state;
	fail_with(w, EIO);
	client_start(&c, w, ask_read);
	assert_stops(w, "read", EIO);
	w->gone = true;
	drive_recall(w->drive);
	assert_int_equal(client_end(&c), -ECANCELED);
	assert_int_equal(w->vm.state, VM_IO_ERROR);
	world_free(w);
}

/* A request that failed before the guest went on does not stop it again. */
static void test_late(void **state)
{
	struct world *w = world_new(ON_ERROR_STOP, ON_ERROR_STOP);
	struct event ev;
	unsigned turn;

	(void)state;
	assert_int_equal(drive_enter(w->drive, &turn), 0);
	drive_leave(w->drive);
	vm_stop(&w->vm);
	assert_int_equal(w->vm.state, VM_PAUSED);
	vm_cont(&w->vm);
	vm_fail(&w->vm, w->drive, turn, EIO);
	assert_int_equal(w->drive->io_status, 0);
	assert_event(w, EVENT_STOP, &ev);
	assert_event(w, EVENT_RESUME, &ev);
	assert_silence(w);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_ignore),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_enospc),
		cmocka_unit_test(test_each_errno),
		cmocka_unit_test(test_vms_own_fault),
		cmocka_unit_test(test_operator_gets_the_error),
		cmocka_unit_test(test_client_goes_away),
		cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
