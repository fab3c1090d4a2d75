/* Guest requests: checks, the gate, the tap, many at once. */
#include "tests/unit/drive_world.h"
#include "tests/unit/file_fault.h"

#include "engine/event/event.h"

static void test_ids(void **state)
{
	struct node_options o = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	start(1, &o);
	assert_int_equal(drive_check_id(&graph, "disk0", &err), -1);
	assert_string_equal(err.text, "Duplicate ID 'disk0' for drive");
	assert_int_equal(drive_check_id(&graph, "", &err), -1);
	assert_int_equal(drive_check_id(&graph, "a b", &err), -1);
	assert_int_equal(drive_check_id(&graph, drive->root.node->name, &err),
			 -1);
	assert_int_equal(drive_check_id(&graph, "d-1._x", &err), 0);
	assert_ptr_equal(drive_of(drive->root.node), drive);
	stop();
}

static void test_checks(void **state)
{
	struct node_options o = { .read_only = true };
	char c = 0;

	(void)state;
	start(1, &o);
	assert_int_equal(drive_read(drive, FAKE_SIZE, 1, &c), -EINVAL);
	assert_int_equal(drive_read(drive, UINT64_MAX, 2, &c), -EINVAL);
	assert_int_equal(drive_write(drive, 0, 1, &c, false), -EROFS);
	assert_int_equal(drive_zero(drive, 0, 1, true), -EROFS);
	assert_int_equal(drive_discard(drive, 0, 1), -EROFS);
	assert_int_equal(drive_flush(drive), 0);
	assert_int_equal(drive_read(drive, FAKE_SIZE - 1, 1, &c), 0);
	assert_int_equal(drive->stats.rd_ops, 1);
	assert_int_equal(drive->stats.rd_invalid, 2);
	assert_int_equal(drive->stats.wr_invalid, 2);
	stop();
}

/* The guest must not make a disk of guessed format look like another. */
static void test_guessed_raw(void **state)
{
	struct node_options o = { .path = "disk.raw" };
	struct err err = ERR_INIT;
	struct node *node;
	FILE *f = fopen("disk.raw", "w");
	char head[8];

	(void)state;
	assert_int_equal(ftruncate(fileno(f), 4096), 0);
	fclose(f);
	graph_init(&graph);
	assert_int_equal(node_open(&node, &o, &err), 0);
	assert_true(node->probed);
	assert_int_equal(graph_add(&graph, node, &err), 0);
	assert_int_equal(drive_add(&graph, "disk0", node, &o, &err), 0);
	drive = drive_find(&graph, "disk0");
	assert_int_equal(drive_write(drive, 0, 5, "QFI\xfb ", false), -EPERM);
	assert_int_equal(drive_write(drive, 0, 3, "QFI", false), 0);
	assert_int_equal(drive_write(drive, 3, 1, "\xfb", false), -EPERM);
	assert_int_equal(drive_write(drive, 4, 4, "QFI\xfb", false), 0);
	/* the guard is the image's, whoever writes */
	assert_int_equal(node_write(node, 3, 1, "\xfb"), -EPERM);
	assert_int_equal(drive_read(drive, 0, 8, head), 0);
	assert_memory_equal(head, "QFI\0QFI\xfb", 8);
	stop();
}

static void test_errors_are_told(void **state)
{
	struct node_options o = { 0 };
	struct event_listener listener;
	struct event_ring ring;
	struct event ev;
	uint64_t lost;
	char c;

	(void)state;
	event_ring_init(&ring);
	assert_int_equal(event_listen(&ring, &listener), 0);
	start(1, &o);
	graph.events = &ring;
	fake_of(drive->root.node)->fail = -ENOSPC;
	assert_int_equal(drive_write(drive, 0, 1, "a", false), -ENOSPC);
	assert_true(event_next(&listener, &ev, 0, &lost));
	assert_int_equal(ev.type, EVENT_IO_ERROR);
	assert_string_equal(ev.id, "disk0");
	assert_string_equal(ev.node, drive->root.node->name);
	assert_string_equal(ev.operation, "write");
	assert_string_equal(ev.text, strerror(ENOSPC));
	assert_true(ev.nospace);
	assert_int_equal(drive_read(drive, FAKE_SIZE, 1, &c), -EINVAL);
	assert_false(event_next(&listener, &ev, 0, &lost));
	stop();
	event_unlisten(&listener);
	event_ring_release(&ring);
}

/* --- the gate --- */

static void write_one(void *arg)
{
	*(int *)arg = drive_write(drive, 0, 1, "x", false);
}

static void test_gate(void **state)
{
	struct node_options o = { 0 };
	pthread_t thread;
	int rc = 1;

	(void)state;
	start(1, &o);
	drive_stop(drive);
	drive_stop(drive);
	assert_int_equal(thread_start(&thread, "guest", write_one, &rc), 0);
	graph_begin(&graph);	/* the one who waits holds up nobody */
	graph_hold(drive->root.node);
	assert_int_equal(fake_of(drive->root.node)->maps, 0);
	graph_end(&graph);
	drive_cont(drive);
	thread_join(thread);
	assert_int_equal(rc, 0);
	assert_reads(drive->root.node, 0, 1, 'x');
	stop();
}

/* --- many at once --- */

/* Counts, and asserts that the range is held. */
struct watcher {
	struct tap tap;
	unsigned begun, done, failed, flushed;
	int refuse;
	struct change last;
};

static struct watcher *watcher_of(struct tap *tap)
{
	return container_of(tap, struct watcher, tap);
}

static int watch_begin(struct tap *tap, const struct change *c)
{
	struct watcher *w = watcher_of(tap);

	w->begun++;
	w->last = *c;
	return w->refuse;
}

static void watch_done(struct tap *tap, const struct change *c)
{
	assert_int_equal(watcher_of(tap)->last.off, c->off);
	watcher_of(tap)->done++;
}

static void watch_failed(struct tap *tap, const struct change *c)
{
	assert_int_equal(watcher_of(tap)->last.off, c->off);
	watcher_of(tap)->failed++;
}

static void watch_flush(struct tap *tap)
{
	watcher_of(tap)->flushed++;
}

static void test_tap(void **state)
{
	struct node_options o = { 0 };
	struct watcher w = { .tap = { .begin = watch_begin,
				      .done = watch_done,
				      .failed = watch_failed,
				      .flush = watch_flush } };
	char c;

	(void)state;
	start(2, &o);
	drive->tap = &w.tap;
	assert_int_equal(drive_write(drive, 700, 1, "x", true), 0);
	assert_int_equal(w.begun, 1);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.flushed, 1);
	assert_int_equal(w.last.off, 700);
	assert_int_equal(w.last.len, 1);
	assert_int_equal(drive_discard(drive, 0, 512), 0);
	assert_null(w.last.data);
	assert_true(w.last.unmap);
	assert_int_equal(w.done, 2);
	assert_int_equal(drive_zero_fast(drive, 0, 512, true), -EOPNOTSUPP);
	assert_int_equal(drive_read(drive, 0, 1, &c), 0);
	assert_int_equal(w.begun, 2);
	/* what it refuses is not made */
	w.refuse = -ENOSPC;
	assert_int_equal(drive_write(drive, 700, 1, "y", false), -ENOSPC);
	assert_int_equal(w.done, 2);
	assert_int_equal(drive_read(drive, 700, 1, &c), 0);
	assert_int_equal(c, 'x');
	w.refuse = 0;
	file_fail(FILE_OP_WRITE);
	assert_int_equal(drive_write(drive, 700, 1, "y", false), -EIO);
	file_set_hook(NULL);
	assert_int_equal(w.failed, 1);
	assert_int_equal(w.done, 2);
	drive->tap = NULL;
	stop();
}

static void test_stop_under_load(void **state)
{
	struct node_options o = { 0 };
	struct guest guest[GUESTS];
	uint64_t writes;

	(void)state;
	start(3, &o);
	guests_start(guest);
	for (unsigned i = 0; i < 50; i++) {
		drive_stop(drive);
		writes = drive->stats.wr_ops;
		lock_take(&drive->gate.lock);
		assert_int_equal(drive->gate.in_flight, 0);
		lock_drop(&drive->gate.lock);
		assert_int_equal(drive->stats.wr_ops, writes);
		drive_cont(drive);
	}
	guests_join(guest);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_guessed_raw),
		cmocka_unit_test(test_errors_are_told),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_tap),
		cmocka_unit_test(test_stop_under_load),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
