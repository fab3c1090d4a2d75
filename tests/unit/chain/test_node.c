/* The front door: reads through layers, writes with edges, zeroes, discard. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"

static struct graph graph;

static void start(void)
{
	graph_init(&graph);
}

static void stop(struct node *top)
{
	graph_put(top);
	graph_release(&graph);
}

static void test_read_through_layers(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 4);
	fake_fill(top->backing->backing->backing, 0, 8, 0x10);
	fake_fill(top->backing->backing, 2, 2, 0x11);
	fake_fill(top->backing, 3, 2, 0x12);
	fake_fill(top, 6, 1, 0x13);
	assert_reads(top, 0, 1024, 0x10);
	assert_reads(top, 1024, 512, 0x11);
	assert_reads(top, 1536, 1024, 0x12);
	assert_reads(top, 2560, 512, 0x10);
	assert_reads(top, 3072, 512, 0x13);
	assert_reads(top, 3584, 512, 0x10);
	assert_reads(top, 4096, 4096, 0);
	stop(top);
}

static void test_read_beyond_the_end(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 1);
	fake_fill(top, FAKE_CLUSTERS - 1, 1, 7);
	assert_reads(top, FAKE_SIZE - 512, 512, 7);
	assert_reads(top, FAKE_SIZE, 1000, 0);
	assert_reads(top, FAKE_SIZE + 12345, 10, 0);
	stop(top);
}

static void test_shorter_layer_hides(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 3);
	fake_fill(top->backing->backing, 0, 8, 9);
	top->backing->size = 1000;
	assert_reads(top, 0, 1000, 9);
	assert_reads(top, 1000, 3096, 0);
	stop(top);
}

static void test_write_keeps_the_edges(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 3);
	fake_fill(top->backing->backing, 0, 8, 0x21);
	assert_int_equal(node_write(top, 700, 5, "xxxxx"), 0);
	assert_reads(top, 0, 700, 0x21);
	assert_reads(top, 700, 5, 'x');
	assert_reads(top, 705, 3000, 0x21);
	assert_int_equal(fake_of(top)->kind[1], RUN_DATA);
	assert_int_equal(fake_of(top)->kind[0], RUN_HOLE);
	/* the second one goes in place */
	assert_int_equal(node_write(top, 701, 2, "yy"), 0);
	assert_int_equal(fake_of(top)->next, FAKE_DATA + FAKE_CLUSTER);
	assert_reads(top, 701, 2, 'y');
	assert_reads(top, 703, 2, 'x');
	stop(top);
}

static void test_write_is_checked(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 1);
	assert_int_equal(node_write(top, FAKE_SIZE - 1, 2, "ab"), -EINVAL);
	assert_int_equal(node_write(top, UINT64_MAX, 2, "ab"), -EINVAL);
	assert_int_equal(node_zero(top, FAKE_SIZE + 1, 1, 0), -EINVAL);
	top->read_only = true;
	assert_int_equal(node_write(top, 0, 2, "ab"), -EROFS);
	assert_int_equal(node_discard(top, 0, 512), -EROFS);
	top->read_only = false;
	stop(top);
}

static void test_zero(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 2);
	fake_fill(top->backing, 0, 16, 0x31);
	assert_int_equal(node_zero(top, 100, 2000, 0), 0);
	assert_reads(top, 0, 100, 0x31);
	assert_reads(top, 100, 2000, 0);
	assert_reads(top, 2100, 3000, 0x31);
	assert_int_equal(fake_of(top)->kind[1], RUN_ZERO);
	assert_int_equal(fake_of(top)->kind[4], RUN_DATA);
	fake_of(top)->no_zero = true;
	assert_int_equal(node_zero(top, 2048, 4096, 0), 0);
	assert_reads(top, 2048, 4096, 0);
	assert_int_equal(fake_of(top)->kind[1], RUN_ZERO);
	assert_int_equal(fake_of(top)->kind[5], RUN_DATA);
	/* what shows zeroes is not written for who sees the chain */
	assert_int_equal(node_zero(top, 17 * 512, 512, ZERO_AS_SHOWN), 0);
	assert_int_equal(fake_of(top)->kind[17], RUN_HOLE);
	assert_int_equal(node_zero(top, 16 * 512, 512, 0), 0);
	assert_int_equal(fake_of(top)->kind[16], RUN_DATA);
	/* nor where there is nothing below */
	assert_int_equal(node_zero(top->backing, 20 * 512, 512, 0), 0);
	fake_of(top->backing)->no_zero = true;
	assert_int_equal(node_zero(top->backing, 21 * 512 + 7, 99, 0), 0);
	assert_int_equal(fake_of(top->backing)->kind[21], RUN_HOLE);
	stop(top);
}

static void test_discard_leaves_parts(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 1);
	fake_fill(top, 0, 8, 0x41);
	assert_int_equal(node_discard(top, 10, 1500), 0);
	assert_reads(top, 0, 512, 0x41);
	assert_reads(top, 512, 512, 0);
	assert_reads(top, 1024, 1024, 0x41);
	fake_of(top)->no_zero = true;
	assert_int_equal(node_discard(top, 1024, 512), 0);
	assert_reads(top, 1024, 512, 0x41);
	stop(top);
}

static void test_counts(void **state)
{
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 2);
	fake_fill(top->backing, 0, 4, 1);
	assert_reads(top, 0, 2048, 1);
	assert_int_equal(node_flush(top), 0);
	assert_int_equal(top->stats.rd_ops, 1);
	assert_int_equal(top->stats.rd_bytes, 2048);
	assert_int_equal(top->backing->stats.rd_bytes, 2048);
	assert_int_equal(top->backing->stats.wr_bytes, 2048);
	assert_int_equal(top->stats.flush_ops, 1);
	fake_of(top)->fail = -EIO;
	assert_int_equal(node_read(top, 0, 1, &(char){ 0 }), -EIO);
	assert_int_equal(top->stats.rd_failed, 1);
	assert_int_equal(top->stats.rd_ops, 1);
	stop(top);
}

static void test_damaged_layer_elsewhere(void **state)
{
	struct node *top;
	char c;

	(void)state;
	start();
	top = fake_chain(&graph, 4);
	fake_fill(top->backing, 0, 1, 5);
	fake_of(top->backing->backing)->fail = -EIO;
	assert_reads(top, 0, 512, 5);
	assert_int_equal(node_read(top, 512, 1, &c), -EIO);
	stop(top);
}

static void test_read_only_and_back(void **state)
{
	struct err err = ERR_INIT;
	struct node *top;

	(void)state;
	start();
	top = fake_chain(&graph, 1);
	assert_int_equal(node_set_writable(top, false, &err), 0);
	assert_int_equal(node_write(top, 0, 1, "a"), -EROFS);
	assert_int_equal(fake_of(top)->flushes, 1);
	assert_int_equal(node_set_writable(top, false, &err), 0);
	assert_int_equal(fake_of(top)->flushes, 1);
	assert_int_equal(node_set_writable(top, true, &err), 0);
	assert_int_equal(node_write(top, 0, 1, "a"), 0);
	stop(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_through_layers),
		cmocka_unit_test(test_read_beyond_the_end),
		cmocka_unit_test(test_shorter_layer_hides),
		cmocka_unit_test(test_write_keeps_the_edges),
		cmocka_unit_test(test_write_is_checked),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_discard_leaves_parts),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_damaged_layer_elsewhere),
		cmocka_unit_test(test_read_only_and_back),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
