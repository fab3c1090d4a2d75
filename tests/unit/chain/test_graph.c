/* Names, links, who is busy, who would see a write. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"

#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"

static struct graph graph;

static const struct claim stream = { .id = "s", .type = "stream" };

static struct node *open_named(const char *path, const char *name)
{
	struct node_options o = {
		.path = path, .format = "fake", .node_name = name,
	};
	struct err err = ERR_INIT;
	struct node *node;

	fake_create(path, "", "");
	if (node_open(&node, &o, &err))
		return NULL;
	return node;
}

static void test_names(void **state)
{
	struct node *a = open_named("a", "same"), *b = open_named("b", "same");
	struct node *c = open_named("c", NULL);
	struct err err = ERR_INIT;

	(void)state;
	graph_init(&graph);
	assert_int_equal(graph_add(&graph, a, &err), 0);
	assert_int_equal(graph_add(&graph, b, &err), -1);
	assert_string_equal(err.text,
			    "Duplicate nodes with node-name='same'");
	node_close(b);
	assert_int_equal(graph_add(&graph, c, &err), 0);
	assert_string_equal(c->name, "#block001");
	assert_ptr_equal(graph_find(&graph, "same"), a);
	assert_ptr_equal(graph_find(&graph, "#block001"), c);
	assert_null(graph_find(&graph, "none"));
	assert_ptr_equal(graph_find_file(&graph, c->file), c);
	assert_null(open_named("d", "1a"));
	assert_null(open_named("d", "a b"));
	assert_null(open_named("d", "a234567890123456789012345678901x"));
	graph_put(a);
	graph_put(c);
	graph_release(&graph);
}

static struct drive *add_drive(const char *id, struct node *node)
{
	struct node_options o = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(drive_add(&graph, id, node, &o, &err), 0);
	return drive_find(&graph, id);
}

static struct drive *add_anonymous(struct node *node)
{
	struct node_options o = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(drive_add(&graph, NULL, node, &o, &err), 0);
	return drive_of(node);
}

static void test_claim(void **state)
{
	const struct claim other = { .id = "o", .type = "commit" };
	struct err err = ERR_INIT;
	struct node *top, *mid;
	struct drive *d;

	(void)state;
	graph_init(&graph);
	top = fake_chain(&graph, 4);
	mid = top->backing;
	d = add_drive("disk0", top);
	assert_int_equal(graph_claim(mid, mid->backing, &stream, &err), 0);
	assert_int_equal(graph_check_free(top, &err), 0);
	assert_int_equal(graph_claim(top, mid, &other, &err), -1);
	assert_null(top->claim);
	assert_int_equal(err.class, ERR_DEVICE_IN_USE);
	assert_int_equal(graph_claim(mid->backing->backing,
				     mid->backing->backing, &other, &err), 0);
	graph_unclaim(&graph, &stream);
	graph_unclaim(&graph, &other);
	assert_int_equal(graph_claim(top, mid, &stream, &err), 0);
	assert_int_equal(graph_check_free(top, &err), -1);
	assert_string_equal(err.text, "Node 'disk0' is busy: block device is "
			    "in use by block job: stream");
	graph_unclaim(&graph, &stream);
	assert_int_equal(graph_check_free(mid, &err), 0);
	drive_remove(d);
	graph_release(&graph);
}

static void test_exclusive(void **state)
{
	struct err err = ERR_INIT;
	struct node *top, *base, *side;
	struct drive *d0, *d1;

	(void)state;
	graph_init(&graph);
	top = fake_chain(&graph, 3);
	base = top->backing->backing;
	d0 = add_drive("disk0", top);
	assert_int_equal(graph_check_exclusive(top, base, &err), 0);
	side = open_named("side", NULL);
	assert_int_equal(graph_add(&graph, side, &err), 0);
	graph_link(side, base);
	d1 = add_drive("disk1", side);
	assert_int_equal(graph_check_exclusive(top, base, &err), -1);
	assert_non_null(strstr(err.text, "'l0'"));
	assert_non_null(strstr(err.text, "'side', in use by drive 'disk1'"));
	assert_int_equal(graph_check_exclusive(top, top->backing, &err), 0);
	assert_ptr_equal(graph_overlay(base, 0), side);
	assert_ptr_equal(graph_overlay(base, 1), top->backing);
	assert_null(graph_overlay(base, 2));
	drive_remove(d1);
	assert_int_equal(graph_check_exclusive(top, base, &err), 0);
	side = open_named("side", "n1");
	assert_int_equal(graph_add(&graph, side, &err), 0);
	graph_link(side, base);
	d1 = add_anonymous(side);
	assert_int_equal(graph_check_exclusive(top, base, &err), -1);
	assert_non_null(strstr(err.text, "'side', in use by node 'n1'"));
	drive_remove(d1);
	d1 = add_anonymous(graph_get(base));
	assert_int_equal(graph_check_exclusive(top, base, &err), -1);
	assert_non_null(strstr(err.text, "Image 'l0' is in use by node '"));
	assert_non_null(strstr(err.text, base->name));
	drive_remove(d1);
	d1 = add_drive("disk1", graph_get(base));
	assert_int_equal(graph_check_exclusive(top, base, &err), -1);
	assert_string_equal(err.text, "Image 'l0' is in use by drive 'disk1'");
	drive_remove(d0);
	assert_ptr_equal(graph_find(&graph, base->name), base);
	drive_remove(d1);
	graph_release(&graph);
}

static unsigned flushes;

static int count_flushes(const struct file *f, enum file_op op, uint64_t off,
			 uint64_t len, const void *buf)
{
	(void)f, (void)off, (void)len, (void)buf;
	flushes += op == FILE_OP_FLUSH;
	return 0;
}

static void test_flushed_once(void **state)
{
	struct node_options o = { .path = "raw", .format = "raw" };
	struct err err = ERR_INIT;
	static const char data[512];
	struct node *node;

	(void)state;
	fake_create("raw", "", "");
	assert_int_equal(node_open(&node, &o, &err), 0);
	assert_int_equal(file_write(node->file, 0, data, sizeof(data)), 0);
	graph_init(&graph);
	assert_int_equal(graph_add(&graph, node, &err), 0);
	file_set_hook(count_flushes);
	graph_put(node);
	file_set_hook(NULL);
	assert_int_equal(flushes, 1);
	graph_release(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_exclusive),
		cmocka_unit_test(test_flushed_once),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
