/* test_qcow2_oom.c - each allocation fails once while a table of an image
 * moves to a larger place, and what is written then must still be there when
 * the image is opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/image/qcow2/qcow2.h"
#include "tests/unit/oom.h"
#include "tests/unit/scratch.h"

#define SECTOR 512u
#define CLUSTERS 5000u
#define ALLOCATIONS_MAX 5000

static const char path[] = "x.qcow2";
static uint8_t model[CLUSTERS * SECTOR];

static void create(uint64_t size)
{
	const struct qcow2_create o = { .size = size, .cluster_bits = 9,
					.refcount_order = 6 };
	struct err err = ERR_INIT;
	struct file *f;

	unlink(path);
	assert_int_equal(file_create(&f, path, 0600, false,
				     FILE_CACHE_WRITEBACK, &err), 0);
	assert_int_equal(qcow2_create(f, &o), 0);
	file_close(f);
	memset(model, 0, sizeof(model));
}

static struct node *open_node(struct graph *g)
{
	const struct node_options o = { .path = path, .format = "qcow2" };
	struct err err = ERR_INIT;
	struct node *node;

	graph_init(g);
	if (node_open(&node, &o, &err))
		fail_msg("%s", err.text);
	assert_int_equal(graph_add(g, node, &err), 0);
	return node;
}

static void close_node(struct graph *g, struct node *node)
{
	graph_put(node);
	graph_release(g);
}

/* Clusters [first, first + count) hold @byte if the write was said to be
 * done. */
static int put(struct node *node, unsigned first, unsigned count, uint8_t byte)
{
	static uint8_t data[CLUSTERS * SECTOR];
	uint64_t off = (uint64_t)first * SECTOR, len = (uint64_t)count * SECTOR;
	int rc;

	memset(data, byte, len);
	rc = node_write(node, off, len, data);
	if (!rc)
		memset(model + off, byte, len);
	return rc;
}

static void compare(struct node *node, long n)
{
	static uint8_t got[CLUSTERS * SECTOR];

	assert_int_equal(node_read(node, 0, node->size, got), 0);
	for (uint64_t i = 0; i < node->size; i++)
		if (got[i] != model[i])
			fail_msg("allocation %ld failed: %#llx is %02x, not "
				 "%02x", n, (unsigned long long)i, got[i],
				 model[i]);
}

/* Leaks are allowed. */
static void judge(long n)
{
	char line[128];
	int status;

	if (system("command -v qemu-img >/dev/null 2>&1"))
		return;
	snprintf(line, sizeof(line), "qemu-img check -q %s >/dev/null", path);
	status = WEXITSTATUS(system(line));
	if (status && status != 3)
		fail_msg("allocation %ld failed: qemu-img check says %d", n,
			 status);
}

/* What is written must be on disk, and not only in memory. */
static void check_again(long n)
{
	struct graph g;
	struct node *node = open_node(&g);

	compare(node, n);
	close_node(&g, node);
	if (n % 32 == 1)
		judge(n);
}

/* The L1 table grows. False if there was no such allocation. */
static bool grow(long n)
{
	struct err err = ERR_INIT;
	struct graph g;
	struct node *node;
	bool failed;
	int rc;

	create(1000 * SECTOR);
	node = open_node(&g);
	assert_int_equal(put(node, 10, 20, 1), 0);
	oom_arm(n, 1, 0);
	rc = node_grow(node, CLUSTERS * SECTOR, &err);
	failed = oom_disarm();
	assert_true(failed || !rc);
	/* tables that only the L1 table names */
	for (unsigned i = 100; i < 1000; i += 100)
		assert_int_equal(put(node, i, 3, (uint8_t)(i / 100)), 0);
	if (!rc)
		assert_int_equal(put(node, 4900, 10, 77), 0);
	compare(node, n);
	close_node(&g, node);
	check_again(n);
	return failed;
}

/* The refcount table grows: 4096 clusters are counted at first. */
static bool fill(long n)
{
	struct graph g;
	struct node *node;
	bool failed;
	int rc = 0;

	create(sizeof(model));
	node = open_node(&g);
	assert_int_equal(put(node, 0, 3900, 1), 0);
	oom_arm(n, 1, 0);
	for (unsigned i = 3900; i < CLUSTERS && !rc; i += 100)
		rc = put(node, i, 100, (uint8_t)(i / 100));
	failed = oom_disarm();
	assert_true(failed || !rc);
	assert_int_equal(put(node, 3900, 1100, 2), 0);
	compare(node, n);
	close_node(&g, node);
	check_again(n);
	return failed;
}

static void every_one(bool (*once)(long n))
{
	long n = 1;

	if (!OOM_WORKS)
		skip();
	while (n < ALLOCATIONS_MAX && once(n))
		n++;
	assert_in_range(n, 5, ALLOCATIONS_MAX - 1);
}

static void test_l1_table_grows(void **state)
{
	(void)state;
	every_one(grow);
}

static void test_refcount_table_grows(void **state)
{
	(void)state;
	every_one(fill);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_l1_table_grows),
		cmocka_unit_test(test_refcount_table_grows),
	};

	return cmocka_run_group_tests(tests, scratch_enter_memory,
				      scratch_leave);
}
