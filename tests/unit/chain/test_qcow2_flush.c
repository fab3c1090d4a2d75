/* test_qcow2_flush.c - when a qcow2 image flushes of its own accord: what waits
 * in memory stays little, and what was let go of counts no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/image/check.h"
#include "engine/util/bytes.h"
#include "tests/unit/qcow2_file.h"
#include "tests/unit/scratch.h"

#define MIB (1u << 20)

/* One L2 table of the smallest clusters, and more of them than may wait. */
#define TABLE_SPAN (64u * 512)
#define TABLES (12 * MIB / 512)
#define MAY_WAIT (9 * MIB)

static struct graph graph;
static uint64_t waiting, most;	/* bytes written since a flush, ever */

static int meter(const struct file *f, enum file_op op, uint64_t off,
		 uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)buf;
	if (op == FILE_OP_FLUSH)
		waiting = 0;
	if (op == FILE_OP_WRITE)
		waiting += len;
	most = max_u64(most, waiting);
	return 0;
}

static struct node *top_open(void)
{
	struct node_options o = { .path = "top", .format = "qcow2",
				  .no_backing = true };
	struct err err = ERR_INIT;
	struct node *node;

	graph_init(&graph);
	if (node_open(&node, &o, &err) || graph_add(&graph, node, &err))
		fail_msg("%s", err.text);
	waiting = most = 0;
	file_set_hook(meter);
	return node;
}

static void top_close(struct node *node)
{
	file_set_hook(NULL);
	graph_put(node);
	graph_release(&graph);
	scratch_clear();
}

static struct node *top_with_many_tables(void)
{
	struct qcow2_create o = {
		.size = (uint64_t)TABLES * TABLE_SPAN, .cluster_bits = 9,
		/* a refcount table that need not grow: that flushes as well */
		.refcount_order = 2, .backing_name = "base",
		.backing_format = "raw",
	};

	qcow2_file_new("top", &o);
	return top_open();
}

static void take_snapshot(struct node *node)
{
	struct snapshot_wish wish = { .name = "s" };
	struct err err = ERR_INIT;

	if (node->drv->snapshot_create(node, &wish, &err))
		fail_msg("%s", err.text);
}

static void writes_and_a_snapshot(void **state)
{
	struct node *node = top_with_many_tables();

	(void)state;
	for (uint64_t i = 0; i < TABLES; i++)
		assert_int_equal(node_write(node, i * TABLE_SPAN, 6, "table"),
				 0);
	assert_int_equal(node_flush(node), 0);
	assert_in_range(most, MIB, MAY_WAIT);
	most = 0;
	take_snapshot(node);
	assert_in_range(most, MIB, MAY_WAIT);
	top_close(node);
}

static void zeroes(void **state)
{
	struct node *node = top_with_many_tables();

	(void)state;
	assert_int_equal(node_zero(node, 0, node->size, ZERO_UNMAP), 0);
	assert_int_equal(node_flush(node), 0);
	assert_in_range(most, MIB, MAY_WAIT);
	top_close(node);
}

static void assert_no_leaks(struct node *node)
{
	const struct check_options look = { .fix = 0 };
	struct check_report report = { 0 };
	struct err err = ERR_INIT;

	if (node->drv->check(node->file, &look, &report, &err))
		fail_msg("%s", err.text);
	assert_int_equal(report.leaks + report.corruptions, 0);
}

static void an_emptied_image(void **state)
{
	struct node *node = top_with_many_tables();

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(node_write(node, i * 512, 4, "gone"), 0);
	assert_int_equal(node->drv->empty(node), 0);
	assert_no_leaks(node);
	top_close(node);
}

/* What the guest let go of. */
static void a_settled_image(void **state)
{
	struct node *node = top_with_many_tables();

	(void)state;
	assert_int_equal(node_write(node, 0, 5, "gone"), 0);
	assert_int_equal(node_flush(node), 0);
	assert_int_equal(node_zero(node, 0, TABLE_SPAN, ZERO_UNMAP), 0);
	assert_int_equal(node_settle(node), 0);
	assert_no_leaks(node);
	top_close(node);
}

/* 15 compressed clusters in one of the host, which can be counted no more
 * often; 8 of them are overwritten: then a snapshot has room for the rest. */
static void room_for_a_snapshot(void **state)
{
	uint8_t data[4096];
	struct node *node;

	(void)state;
	if (system("command -v qemu-img qemu-io >/dev/null 2>&1"))
		skip();
	assert_int_equal(system(
		"truncate -s 60k raw && "
		"qemu-io -f raw -c 'write -q -P 7 0 60k' raw >/dev/null && "
		"qemu-img convert -c -f raw -O qcow2 -o "
		"cluster_size=4k,refcount_bits=4 raw top"), 0);
	node = top_open();
	memset(data, 8, sizeof(data));
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(node_write(node, i * sizeof(data),
					    sizeof(data), data), 0);
	take_snapshot(node);
	top_close(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_and_a_snapshot),
		cmocka_unit_test(zeroes),
		cmocka_unit_test(an_emptied_image),
		cmocka_unit_test(a_settled_image),
		cmocka_unit_test(room_for_a_snapshot),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
