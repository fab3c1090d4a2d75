/* Extents through a chain of small images: depth, zeroes, limits. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"

#include "engine/chain/extent.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"

static struct graph graph;
static struct node *top;

static void start(unsigned layers)
{
	graph_init(&graph);
	top = fake_chain(&graph, layers);
}

static void stop(void)
{
	graph_put(top);
	graph_release(&graph);
}

/* "LENGTH/DEPTH" or, of zeroes, "LENGTH-DEPTH", in clusters. */
static void assert_extents(uint64_t first, uint64_t clusters, size_t max,
			   const char *want)
{
	struct extent x[FAKE_CLUSTERS];
	char text[1000] = "";
	size_t n;

	assert_int_equal(extents_find(top, first * FAKE_CLUSTER,
				      clusters * FAKE_CLUSTER, x, max, &n),
			 0);
	for (size_t i = 0; i < n; i++)
		sprintf(text + strlen(text), "%llu%c%u ",
			(unsigned long long)(x[i].len / FAKE_CLUSTER),
			x[i].zero ? '-' : '/', x[i].depth);
	assert_string_equal(text, want);
}

static void test_depths(void **state)
{
	(void)state;
	start(3);
	fake_fill(top->backing->backing, 0, 8, 1);
	fake_fill(top->backing, 2, 2, 2);
	fake_fill(top, 3, 2, 3);
	assert_int_equal(node_zero(top, 6 * FAKE_CLUSTER, FAKE_CLUSTER,
				   ZERO_UNMAP), 0);
	assert_extents(0, 64, 64, "2/3 1/2 2/1 1/3 1-1 1/3 56-0 ");
	assert_extents(1, 3, 64, "1/3 1/2 1/1 ");
	assert_extents(63, 1, 64, "1-0 ");
	stop();
}

static void test_limits(void **state)
{
	(void)state;
	start(2);
	fake_fill(top, 0, 1, 1);
	fake_fill(top, 2, 1, 1);
	assert_extents(0, 64, 1, "1/1 ");
	assert_extents(0, 64, 2, "1/1 1-0 ");
	assert_extents(0, 64, 3, "1/1 1-0 1/1 ");
	assert_extents(3, 61, 1, "61-0 ");
	stop();
}

/* An image shorter than its overlay hides nothing, but is asked. */
static void test_short_image(void **state)
{
	(void)state;
	start(2);
	top->backing->size = 10 * FAKE_CLUSTER;
	fake_fill(top->backing, 8, 2, 1);
	assert_extents(0, 64, 64, "8-0 2/2 54-2 ");
	stop();
}

static void test_error(void **state)
{
	struct extent x;
	size_t n;

	(void)state;
	start(2);
	fake_of(top->backing)->fail = -EIO;
	assert_int_equal(extents_find(top, 0, FAKE_SIZE, &x, 1, &n), -EIO);
	stop();
}

/* A map that can't be read is no error of what lies in front of it. */
static void test_in_front_of_an_error(void **state)
{
	struct extent x;
	size_t n;

	(void)state;
	start(2);
	fake_fill(top, 0, 7, 1);
	fake_of(top->backing)->fail = -EIO;
	assert_extents(0, 64, 64, "4/1 ");
	assert_extents(4, 60, 64, "1/1 ");
	assert_extents(6, 1, 64, "1/1 ");
	assert_int_equal(extents_find(top, 7 * FAKE_CLUSTER, FAKE_SIZE / 2,
				      &x, 1, &n), -EIO);
	stop();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, \
						   scratch_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_depths),
		TEST(test_limits),
		TEST(test_short_image),
		TEST(test_error),
		TEST(test_in_front_of_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
