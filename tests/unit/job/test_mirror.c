/* test_mirror.c - what a guest writes goes to both images of an active commit.
 */
#include "tests/unit/drive_world.h"

#include "engine/job/mirror.h"

/* What a job of active commit does: piece after piece under the range. */
static void mirror_all(struct mirror *m)
{
	struct range_hold hold;
	char buf[1024];

	while (m->cursor < FAKE_SIZE) {
		struct node *node = drive->root.node;
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
	struct mirror m;
	struct node *target;
	char *a = mem_alloc(FAKE_SIZE), *b = mem_alloc(FAKE_SIZE);

	(void)state;
	start(3, &o);
	target = drive->root.node->backing->backing;
	fake_of(target)->no_zero = true;
	fake_fill(target, 3, 20, 0x51);
	fake_fill(drive->root.node->backing, 10, 20, 0x52);
	fake_fill(drive->root.node, 25, 20, 0x53);
	graph_begin(&graph);
	mirror_open(&m, drive, target);
	graph_end(&graph);
	guests_start(guest);
	mirror_all(&m);
	guests_join(guest);
	assert_int_equal(m.failed, 0);
	assert_int_equal(node_read(drive->root.node, 0, FAKE_SIZE, a), 0);
	assert_int_equal(node_read(m.target, 0, FAKE_SIZE, b), 0);
	assert_memory_equal(a, b, FAKE_SIZE);
	mirror_close(&m);
	assert_null(drive->tap);
	stop();
	free(a);
	free(b);
}

/* A target that fails is the job's trouble, not the guest's. */
static void test_mirror_fails(void **state)
{
	struct node_options o = { 0 };
	struct mirror m;

	(void)state;
	start(2, &o);
	mirror_open(&m, drive, drive->root.node->backing);
	m.cursor = 512;
	m.target->read_only = true;
	assert_int_equal(drive_write(drive, 512, 1, "x", false), 0);
	assert_int_equal(m.failed, 0);
	assert_int_equal(drive_write(drive, 511, 1, "x", false), 0);
	assert_int_equal(m.failed, -EROFS);
	assert_int_equal(m.lost, 0);
	m.target->read_only = false;
	mirror_close(&m);
	assert_null(drive->tap);
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
	struct mirror m;
	char buf[3 * FAKE_CLUSTER], copy[sizeof(buf)];

	(void)state;
	start(2, &o);
	file_set_hook(failing);
	fake_fill(drive->root.node->backing, 0, 4, 0x11);
	fake_fill(drive->root.node, 1, 2, 0x22);
	mirror_open(&m, drive, drive->root.node->backing);
	m.cursor = FAKE_SIZE;
	/* the first cluster is new, the others are written in one piece */
	memset(buf, 0x33, sizeof(buf));
	fail_on = drive->root.node->file;
	assert_int_equal(drive_write(drive, 0, sizeof(buf), buf, false), -EIO);
	fail_on = NULL;
	assert_reads(drive->root.node, 0, FAKE_CLUSTER, 0x33);
	assert_reads(drive->root.node, FAKE_CLUSTER, 2 * FAKE_CLUSTER, 0x22);
	assert_int_equal(node_read(m.target, 0, sizeof(copy), copy), 0);
	assert_int_equal(node_read(drive->root.node, 0, sizeof(buf), buf), 0);
	assert_memory_equal(copy, buf, sizeof(buf));
	assert_int_equal(m.failed, 0);
	mirror_close(&m);
	assert_null(drive->tap);
	file_set_hook(NULL);
	stop();
}

static void test_mirror_is_not_flushed(void **state)
{
	struct node_options o = { 0 };
	struct mirror m;

	(void)state;
	start(2, &o);
	mirror_open(&m, drive, drive->root.node->backing);
	m.cursor = FAKE_SIZE;
	assert_int_equal(drive_write(drive, 0, 1, "x", true), 0);
	assert_int_equal(drive_flush(drive), 0);
	assert_int_equal(fake_of(drive->root.node)->flushes, 2);
	assert_int_equal(fake_of(m.target)->flushes, 0);
	mirror_close(&m);
	assert_null(drive->tap);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_mirror_fails),
		cmocka_unit_test(test_mirror_of_half_a_write),
		cmocka_unit_test(test_mirror_is_not_flushed),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
