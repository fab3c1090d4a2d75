/* Guest requests: checks, the gate, many at once, and both images under an
 * active commit. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"

#include "engine/event/event.h"
#include "engine/node_io.h"
#include "engine/node_open.h"
#include "engine/util/thread.h"

static struct graph graph;
static struct drive *drive;

static void start(unsigned layers, const struct node_options *o)
{
	struct err err = ERR_INIT;

	graph_init(&graph);
	assert_int_equal(drive_add(&graph, "disk0",
				   fake_chain(&graph, layers), o, &err), 0);
	drive = drive_find(&graph, "disk0");
}

static void stop(void)
{
	drive_remove(drive);
	graph_release(&graph);
}

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
	assert_int_equal(drive_check_id(&graph, drive->node->name, &err), -1);
	assert_int_equal(drive_check_id(&graph, "d-1._x", &err), 0);
	assert_ptr_equal(drive_of(drive->node), drive);
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
	fake_of(drive->node)->fail = -ENOSPC;
	assert_int_equal(drive_write(drive, 0, 1, "a", false), -ENOSPC);
	assert_true(event_next(&listener, &ev, 0, &lost));
	assert_int_equal(ev.type, EVENT_IO_ERROR);
	assert_string_equal(ev.id, "disk0");
	assert_string_equal(ev.node, drive->node->name);
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
	rwlock_write(&graph.lock);	/* the one who waits does not hold it */
	assert_int_equal(fake_of(drive->node)->maps, 0);
	rwlock_drop(&graph.lock);
	drive_cont(drive);
	thread_join(thread);
	assert_int_equal(rc, 0);
	assert_reads(drive->node, 0, 1, 'x');
	stop();
}

/* --- many at once --- */

#define GUESTS 4
#define REQUESTS 2000

struct guest {
	pthread_t thread;
	unsigned char byte;	/* what it writes; its clusters' stripes */
	unsigned seed;
	bool failed;
};

static uint64_t any(struct guest *g, uint64_t below)
{
	return (uint64_t)rand_r(&g->seed) % below;
}

static int request(struct guest *g, uint64_t off, uint64_t len, char *buf)
{
	memset(buf, g->byte, len);
	switch (any(g, 8)) {
	case 0:
		return drive_zero(drive, off, len, any(g, 2));
	case 1:
		return drive_discard(drive, off, len);
	case 2:
		return drive_flush(drive);
	case 3:
		return drive_read(drive, off, len, buf);
	default:
		return drive_write(drive, off, len, buf, false);
	}
}

static void guest_works(void *arg)
{
	struct guest *g = arg;
	char buf[4096];

	for (unsigned i = 0; i < REQUESTS && !g->failed; i++) {
		uint64_t off = any(g, FAKE_SIZE);
		uint64_t len = 1 + any(g, min_u64(sizeof(buf),
						  FAKE_SIZE - off));

		g->failed = request(g, off, len, buf);
	}
}

static void guests_start(struct guest *guest)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		guest[i] = (struct guest){ .byte = (unsigned char)(0xa0 + i),
					   .seed = i };
		assert_int_equal(thread_start(&guest[i].thread, "guest",
					      guest_works, &guest[i]), 0);
	}
}

static void guests_join(struct guest *guest)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		thread_join(guest[i].thread);
		assert_false(guest[i].failed);
	}
}

/* What a job of active commit does: piece after piece under the range. */
static void mirror_all(struct mirror *m)
{
	struct range_hold hold;
	char buf[1024];

	while (m->cursor < FAKE_SIZE) {
		struct node *node = drive->node;
		uint64_t off = m->cursor;

		rwlock_read(&graph.lock);
		range_take(&node->range, &hold, off, sizeof(buf), false);
		assert_int_equal(node_read_held(node, off, sizeof(buf), buf),
				 0);
		assert_int_equal(node_write(m->target, off, sizeof(buf), buf),
				 0);
		m->cursor = off + sizeof(buf);
		range_drop(&node->range, &hold);
		rwlock_drop(&graph.lock);
	}
}

static void test_mirror(void **state)
{
	struct node_options o = { 0 };
	struct guest guest[GUESTS];
	struct mirror m = { .lost = MIRROR_WHOLE };
	char *a = mem_alloc(FAKE_SIZE), *b = mem_alloc(FAKE_SIZE);

	(void)state;
	start(3, &o);
	m.target = drive->node->backing->backing;
	fake_of(m.target)->no_zero = true;
	fake_fill(m.target, 3, 20, 0x51);
	fake_fill(drive->node->backing, 10, 20, 0x52);
	fake_fill(drive->node, 25, 20, 0x53);
	rwlock_write(&graph.lock);
	drive->mirror = &m;
	rwlock_drop(&graph.lock);
	guests_start(guest);
	mirror_all(&m);
	guests_join(guest);
	assert_int_equal(m.failed, 0);
	assert_int_equal(node_read(drive->node, 0, FAKE_SIZE, a), 0);
	assert_int_equal(node_read(m.target, 0, FAKE_SIZE, b), 0);
	assert_memory_equal(a, b, FAKE_SIZE);
	drive->mirror = NULL;
	stop();
	free(a);
	free(b);
}

/* A target that fails is the job's trouble, not the guest's. */
static void test_mirror_fails(void **state)
{
	struct node_options o = { 0 };
	struct mirror m = { .cursor = 512, .lost = MIRROR_WHOLE };

	(void)state;
	start(2, &o);
	m.target = drive->node->backing;
	m.target->read_only = true;
	drive->mirror = &m;
	assert_int_equal(drive_write(drive, 512, 1, "x", false), 0);
	assert_int_equal(m.failed, 0);
	assert_int_equal(drive_write(drive, 511, 1, "x", false), 0);
	assert_int_equal(m.failed, -EROFS);
	assert_int_equal(m.lost, 0);
	m.target->read_only = false;
	drive->mirror = NULL;
	stop();
}

/* Longer writes into it than of one cluster fail. */
static const struct file *fail_on;

static int failing(const struct file *f, enum file_op op, uint64_t off,
		   uint64_t len, const void *buf)
{
	(void)off;
	(void)buf;
	return f == fail_on && op == FILE_OP_WRITE && len > FAKE_CLUSTER ?
	       -EIO : 0;
}

/* A guest's write that fails half way is seen by whoever reads; the target
 * must show the same. */
static void test_mirror_of_half_a_write(void **state)
{
	struct node_options o = { 0 };
	struct mirror m = { .cursor = FAKE_SIZE,
			    .lost = MIRROR_WHOLE };
	char buf[3 * FAKE_CLUSTER], copy[sizeof(buf)];

	(void)state;
	start(2, &o);
	file_set_hook(failing);
	m.target = drive->node->backing;
	fake_fill(m.target, 0, 4, 0x11);
	fake_fill(drive->node, 1, 2, 0x22);
	drive->mirror = &m;
	/* the first cluster is new, the others are written in one piece */
	memset(buf, 0x33, sizeof(buf));
	fail_on = drive->node->file;
	assert_int_equal(drive_write(drive, 0, sizeof(buf), buf, false), -EIO);
	fail_on = NULL;
	assert_reads(drive->node, 0, FAKE_CLUSTER, 0x33);
	assert_reads(drive->node, FAKE_CLUSTER, 2 * FAKE_CLUSTER, 0x22);
	assert_int_equal(node_read(m.target, 0, sizeof(copy), copy), 0);
	assert_int_equal(node_read(drive->node, 0, sizeof(buf), buf), 0);
	assert_memory_equal(copy, buf, sizeof(buf));
	assert_int_equal(m.failed, 0);
	drive->mirror = NULL;
	file_set_hook(NULL);
	stop();
}

static void test_mirror_is_not_flushed(void **state)
{
	struct node_options o = { 0 };
	struct mirror m = { .cursor = FAKE_SIZE,
			    .lost = MIRROR_WHOLE };

	(void)state;
	start(2, &o);
	m.target = drive->node->backing;
	drive->mirror = &m;
	assert_int_equal(drive_write(drive, 0, 1, "x", true), 0);
	assert_int_equal(drive_flush(drive), 0);
	assert_int_equal(fake_of(drive->node)->flushes, 2);
	assert_int_equal(fake_of(m.target)->flushes, 0);
	drive->mirror = NULL;
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
		rwlock_write(&graph.lock);
		assert_int_equal(drive->in_flight, 0);
		rwlock_drop(&graph.lock);
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
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_mirror_fails),
		cmocka_unit_test(test_mirror_of_half_a_write),
		cmocka_unit_test(test_mirror_is_not_flushed),
		cmocka_unit_test(test_stop_under_load),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
