/* Merged maps against a model that looks at every cluster. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"

#include "engine/chain/graph.h"
#include "engine/chain/plan.h"

static struct graph graph;

static struct node *layer_of(struct node *top, uint64_t off,
			     enum run_kind *kind)
{
	for (struct node *n = top; n; n = n->backing) {
		*kind = RUN_ZERO;
		if (off >= n->size)
			return n;
		*kind = fake_of(n)->kind[off / FAKE_CLUSTER];
		if (*kind != RUN_HOLE)
			return n;
	}
	*kind = RUN_HOLE;
	return NULL;
}

static void check_span(struct node *top, const struct span *s)
{
	enum run_kind kind;

	assert_true(s->len > 0);
	for (uint64_t off = s->off; off < s->off + s->len; off++) {
		assert_ptr_equal(layer_of(top, off, &kind), s->node);
		assert_int_equal(kind, s->kind);
	}
}

static void check_plan(struct node *top, uint64_t off, uint64_t len)
{
	struct node *culprit;
	struct plan plan;
	uint64_t at = off;

	assert_int_equal(plan_build(&plan, top, NULL, off, len, &culprit), 0);
	for (size_t i = 0; i < plan.count; i++) {
		const struct span *s = &plan.span[i];

		assert_int_equal(s->off, at);
		check_span(top, s);
		if (i)
			assert_true(s[-1].node != s->node ||
				    s[-1].kind != s->kind);
		at += s->len;
	}
	assert_int_equal(at, off + len);
	plan_release(&plan);
}

static void check_index(struct node *top, uint64_t off, uint64_t len)
{
	while (len) {
		struct span s;

		assert_int_equal(index_find(top, off, len, &s), 0);
		assert_int_equal(s.off, off);
		assert_true(s.len <= len);
		check_span(top, &s);
		off += s.len;
		len -= s.len;
	}
}

static void scatter(struct node *top)
{
	static const enum run_kind kinds[] = {
		RUN_HOLE, RUN_HOLE, RUN_HOLE, RUN_DATA, RUN_ZERO,
	};

	for (struct node *n = top; n; n = n->backing) {
		n->size = rand() % 4 ? FAKE_SIZE :
			  (uint64_t)rand() % (FAKE_SIZE / 256) * 256;
		for (unsigned i = 0; i < FAKE_CLUSTERS; i++)
			if (!(rand() % 3))
				fake_of(n)->kind[i] = kinds[rand() % 5];
	}
}

static void test_random_chains(void **state)
{
	(void)state;
	srand(7);
	for (unsigned round = 0; round < 60; round++) {
		struct node *top;
		uint64_t off = (uint64_t)rand() % FAKE_SIZE;

		graph_init(&graph);
		top = fake_chain(&graph, 1 + (unsigned)rand() % 8);
		scatter(top);
		check_plan(top, 0, FAKE_SIZE + 4096);
		check_plan(top, off, FAKE_SIZE - off);
		check_plan(top, off, 1);
		check_index(top, 0, FAKE_SIZE);
		check_index(top, off, FAKE_SIZE - off);
		graph_put(top);
		graph_release(&graph);
	}
}

static void test_stop(void **state)
{
	struct node *top, *base, *culprit;
	struct plan plan;

	(void)state;
	graph_init(&graph);
	top = fake_chain(&graph, 3);
	base = top->backing->backing;
	fake_of(base)->kind[1] = RUN_DATA;
	fake_of(top->backing)->kind[2] = RUN_DATA;
	assert_int_equal(plan_build(&plan, top, base, 0, FAKE_SIZE, &culprit),
			 0);
	assert_int_equal(plan.count, 3);
	assert_int_equal(plan.span[0].len, 1024);
	assert_ptr_equal(plan.span[1].node, top->backing);
	assert_null(plan.span[2].node);
	plan_release(&plan);
	graph_put(top);
	graph_release(&graph);
}

static void test_culprit(void **state)
{
	struct node *top, *culprit;
	struct plan plan;

	(void)state;
	graph_init(&graph);
	top = fake_chain(&graph, 3);
	fake_of(top->backing)->fail = -EIO;
	assert_int_equal(plan_build(&plan, top, NULL, 0, 512, &culprit), -EIO);
	assert_ptr_equal(culprit, top->backing);
	graph_put(top);
	graph_release(&graph);
}

/* An empty layer is asked once, whatever the layers above look like. */
static void test_empty_layers_cost_one_call(void **state)
{
	struct node *top, *culprit;
	struct plan plan;

	(void)state;
	graph_init(&graph);
	top = fake_chain(&graph, 40);
	for (unsigned i = 0; i < FAKE_CLUSTERS; i += 2)
		fake_of(top)->kind[i] = RUN_DATA;
	assert_int_equal(plan_build(&plan, top, NULL, 0, FAKE_SIZE, &culprit),
			 0);
	for (struct node *n = top->backing; n; n = n->backing)
		assert_int_equal(fake_of(n)->maps, 1);
	plan_release(&plan);
	graph_put(top);
	graph_release(&graph);
}

/* The second look costs nothing; a new link and graph_forget_maps() cost a new
 * map. */
static void test_cache(void **state)
{
	struct node *top;
	struct span s;

	(void)state;
	graph_init(&graph);
	top = fake_chain(&graph, 3);
	fake_of(top->backing)->kind[3] = RUN_DATA;
	assert_int_equal(index_find(top, 0, 512, &s), 0);
	assert_int_equal(index_find(top, 1536, 9, &s), 0);
	assert_ptr_equal(s.node, top->backing);
	assert_int_equal(s.len, 9);
	assert_int_equal(fake_of(top->backing->backing)->maps, 1);
	fake_of(top)->kind[3] = RUN_ZERO;
	graph_forget_maps(&graph);
	assert_int_equal(index_find(top, 1536, 9, &s), 0);
	assert_ptr_equal(s.node, top);
	graph_link(top, top->backing->backing);
	fake_of(top)->kind[3] = RUN_HOLE;
	assert_int_equal(index_find(top, 1536, 9, &s), 0);
	assert_null(s.node);
	graph_put(top);
	graph_release(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_chains),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_culprit),
		cmocka_unit_test(test_empty_layers_cost_one_call),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
