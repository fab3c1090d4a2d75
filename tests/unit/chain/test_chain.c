/* Opening chains, and what their images are called. The tree of transcript
 * 19: imgs/sn3 -> imgs/sub/sn2 -> imgs/sn1 -> imgs/base, by relative names. */
#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/graph.h"

#include <sys/stat.h>

static struct graph graph;

static int open_chain(const struct node_options *o, struct node **out,
		      struct err *err)
{
	int rc;

	graph_begin(&graph);
	rc = chain_open(&graph, o, out, err);
	graph_end(&graph);
	return rc;
}

static struct node *must_open(const char *path)
{
	struct node_options o = { .path = path };
	struct err err = ERR_INIT;
	struct node *node;

	if (open_chain(&o, &node, &err))
		fail_msg("%s", err.text);
	return node;
}

static void assert_refused(const struct node_options *o, const char *why)
{
	size_t nodes = 0, after = 0;
	struct err err = ERR_INIT;
	struct node *node;

	list_for_each(link, &graph.nodes)
		nodes++;
	assert_int_equal(open_chain(o, &node, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("'%s' does not say '%s'", err.text, why);
	list_for_each(link, &graph.nodes)
		after++;
	assert_int_equal(nodes, after);
}

static void add_drive(const char *id, struct node *node, bool read_only)
{
	struct node_options o = { .read_only = read_only };
	struct err err = ERR_INIT;

	assert_int_equal(drive_add(&graph, id, node, &o, &err), 0);
}

static void remove_drives(void)
{
	list_for_each_safe(link, &graph.roots)
		drive_remove(drive_linked(link));
	graph_release(&graph);
}

static void make_tree(void)
{
	graph_init(&graph);
	mkdir("imgs", 0777);
	mkdir("imgs/sub", 0777);
	fake_create("imgs/base", "", "");
	fake_create("imgs/sn1", "base", "fake");
	fake_create("imgs/sub/sn2", "../sn1", "fake");
	fake_create("imgs/sn3", "sub/sn2", "fake");
}

static void test_open(void **state)
{
	struct node *top, *base;

	(void)state;
	make_tree();
	top = must_open("imgs/sn3");
	base = top->backing->backing->backing;
	assert_int_equal(chain_depth(top), 3);
	assert_string_equal(base->file->path, "imgs/sub/../base");
	assert_false(top->read_only);
	assert_true(base->read_only);
	assert_int_equal(base->refs, 1);
	assert_ptr_equal(chain_above(top, base), top->backing->backing);
	assert_true(chain_has(top, base));
	assert_false(chain_has(base, top));
	assert_string_equal(top->name, "#block001");
	graph_put(top);
	assert_true(list_is_empty(&graph.nodes));
	graph_release(&graph);
}

static void test_share(void **state)
{
	struct node *a, *b;

	(void)state;
	make_tree();
	fake_create("imgs/other", "sn1", "fake");
	a = must_open("imgs/sn3");
	add_drive("disk0", a, false);
	b = must_open("imgs/other");
	assert_ptr_equal(b->backing, a->backing->backing);
	assert_int_equal(b->backing->refs, 2);
	graph_put(b);
	assert_int_equal(a->backing->backing->refs, 1);
	remove_drives();
}

static void test_in_use(void **state)
{
	struct node_options o = { .path = "imgs/sub/../sn1" };
	struct node *node;

	(void)state;
	make_tree();
	add_drive("disk0", must_open("imgs/sn3"), false);
	assert_refused(&o, "'imgs/sub/../sn1' is in use by drive 'disk0'");
	o.read_only = true;
	assert_int_equal(open_chain(&o, &node, &(struct err)ERR_INIT), 0);
	assert_int_equal(node->refs, 2);
	graph_put(node);
	o.format = "raw";
	assert_refused(&o, "open already as fake, not as raw");
	fake_create("imgs/sn4", "sn3", "fake");
	o = (struct node_options){ .path = "imgs/sn4" };
	assert_refused(&o, "'imgs/sn3' is in use read-write by drive 'disk0'");
	o = (struct node_options){ .path = "imgs/sn3", .read_only = true };
	assert_refused(&o, "in use read-write by drive 'disk0'");
	remove_drives();
}

static void test_loops(void **state)
{
	struct node_options o = { .path = "l1" };

	(void)state;
	make_tree();
	fake_create("l1", "l2", "fake");
	fake_create("l2", "l3", "fake");
	fake_create("l3", "./imgs/../l1", "fake");
	assert_refused(&o, "is a loop: './imgs/../l1' is in it twice");
	fake_create("l3", "l4", "fake");
	assert_int_equal(symlink("l2", "l4"), 0);
	assert_refused(&o, "is a loop: 'l4'");
	assert_int_equal(unlink("l4") || link("l1", "l4"), 0);
	assert_refused(&o, "is a loop: 'l4'");
	fake_create("l1", "l1", "fake");
	assert_refused(&o, "is a loop: 'l1'");
	graph_release(&graph);
}

static void test_format(void **state)
{
	struct node_options o = { .path = "f1" };
	struct err err = ERR_INIT;
	struct node *node;

	(void)state;
	make_tree();
	fake_create("f1", "imgs/base", "");
	assert_refused(&o, "'f1' has a backing file 'imgs/base' but does not "
		       "record its format; name it with backing-format= on "
		       "the drive, or allow probing with --probe");
	o.backing_format = "raw";
	assert_int_equal(open_chain(&o, &node, &err), 0);
	assert_ptr_equal(node->backing->drv, &driver_raw);
	assert_false(node->backing->probed);
	graph_put(node);
	o.backing_format = NULL;
	o.probe_backing = true;
	assert_int_equal(open_chain(&o, &node, &err), 0);
	assert_ptr_equal(node->backing->drv, &driver_fake);
	assert_true(node->backing->probed);
	graph_put(node);
	o = (struct node_options){ .path = "f1", .no_backing = true };
	assert_int_equal(open_chain(&o, &node, &err), 0);
	assert_null(node->backing);
	graph_put(node);
	fake_create("f1", "imgs/base", "file");
	assert_int_equal(open_chain(&o, &node, &err), 0);
	graph_put(node);
	fake_create("f1", "imgs/base", "vmdk");
	o.no_backing = false;
	assert_refused(&o, "Unknown file format 'vmdk'");
	graph_release(&graph);
}

static void test_names_in_headers(void **state)
{
	static const char *const refused[] = {
		"json:{\"driver\":\"null-co\"}", "nbd://host/x", "nbd:h:1",
		"file:json:{}",
	};
	struct node_options o = { .path = "n1" };
	struct node *node;

	(void)state;
	make_tree();
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		fake_create("n1", refused[i], "fake");
		assert_refused(&o, "only local files can be layers");
	}
	fake_create("n1", "x:\033[2J", "fake");
	assert_refused(&o, "'x:\\x1b[2J'");
	fake_create("n1", "missing", "fake");
	assert_refused(&o, "Could not open 'missing': No such file");
	fake_create("n1", "file:imgs/base", "fake");
	node = must_open("file:n1");
	assert_string_equal(node->file->path, "n1");
	assert_string_equal(node->backing->file->path, "imgs/base");
	graph_put(node);
	graph_release(&graph);
}

static void test_node_names(void **state)
{
	struct node_options o = { .path = "imgs/sn3", .node_name = "top" };
	struct node *node, *other;
	struct err err = ERR_INIT;

	(void)state;
	make_tree();
	assert_int_equal(open_chain(&o, &node, &err), 0);
	o.path = "l";
	fake_create("l", "imgs/base", "fake");
	assert_refused(&o, "Duplicate nodes with node-name='top'");
	o.node_name = "two";
	assert_int_equal(open_chain(&o, &other, &err), 0);
	graph_put(other);
	graph_put(node);
	graph_release(&graph);
}

static struct node *find(struct node *top, const char *name)
{
	struct err err = ERR_INIT;
	struct node *node;

	if (chain_find(top, name, &node, &err))
		fail_msg("%s", err.text);
	return node;
}

static void test_find(void **state)
{
	struct node *sn3, *sn2, *sn1, *base;
	char here[4096], *path;

	(void)state;
	make_tree();
	sn3 = must_open("imgs/sn3");
	sn2 = sn3->backing;
	sn1 = sn2->backing;
	base = sn1->backing;
	assert_ptr_equal(find(sn3, "base"), base);
	assert_ptr_equal(find(sn3, "imgs/base"), base);
	assert_ptr_equal(find(sn3, "imgs/sub/../base"), base);
	assert_ptr_equal(find(sn3, "../sn1"), sn1);
	assert_ptr_equal(find(sn3, "sn1"), sn1);
	assert_ptr_equal(find(sn3, "sub/sn2"), sn2);
	assert_ptr_equal(find(sn3, "sn2"), sn2);
	assert_ptr_equal(find(sn3, "sn3"), sn3);
	assert_ptr_equal(find(sn3, "imgs/sn3"), sn3);
	assert_non_null(getcwd(here, sizeof(here)));
	path = mem_printf("%s/imgs/sn1", here);
	assert_ptr_equal(find(sn3, path), sn1);
	assert_ptr_equal(find(sn3, "file:base"), base);
	assert_ptr_equal(find(sn3, "file:imgs/base"), base);
	fake_create("base", "", "");
	assert_ptr_equal(find(sn3, "base"), base);
	assert_null(find(sn3, "file:base"));
	assert_null(find(sn3, "nosuch"));
	assert_null(find(sn3, "sub"));
	assert_null(find(sn2, "sn3"));
	free(path);
	graph_put(sn3);
	graph_release(&graph);
}

static void test_find_two(void **state)
{
	struct err err = ERR_INIT;
	struct node *top, *node;

	(void)state;
	make_tree();
	fake_create("imgs/sub/base", "../base", "fake");
	fake_create("imgs/sub/mid", "base", "fake");
	fake_create("imgs/top", "sub/mid", "fake");
	top = must_open("imgs/top");
	/* the header of mid says it */
	assert_ptr_equal(find(top, "base"), top->backing->backing);
	/* two folders have one, and no header says it */
	assert_int_equal(chain_find(top, "./base", &node, &err), -1);
	assert_non_null(strstr(err.text, "more than one image"));
	assert_null(node);
	graph_put(top);
	graph_release(&graph);
}

/* Words in a header, and on the command line, are no name of another file
 * than they lead to. */
static void test_find_other_file(void **state)
{
	struct node_options o = { .path = "imgs/sn1", .no_backing = true };
	struct err err = ERR_INIT;
	struct node *other, *top;

	(void)state;
	make_tree();
	fake_create("imgs/other", "", "");
	other = must_open("imgs/other");
	assert_int_equal(open_chain(&o, &top, &err), 0);
	graph_link(top, other);
	assert_null(find(top, "base"));
	assert_null(find(top, "imgs/base"));
	assert_ptr_equal(find(top, "other"), other);
	/* the link is the words' as soon as they lead there */
	assert_int_equal(rename("imgs/other", "imgs/base"), 0);
	assert_ptr_equal(find(top, "base"), other);
	/* nothing stands there: it can only be what was opened */
	assert_ptr_equal(find(top, "imgs/other"), other);
	fake_create("imgs/other", "", "");
	assert_null(find(top, "imgs/other"));
	graph_put(other);
	graph_put(top);
	graph_release(&graph);
}

static void assert_named(struct node *overlay, struct node *base,
			 const char *want)
{
	struct err err = ERR_INIT;
	char *name = chain_name_for(overlay, base, &err);

	if (!name)
		fail_msg("%s", err.text);
	assert_string_equal(name, want);
	free(name);
}

static void test_name_for(void **state)
{
	struct err err = ERR_INIT;
	struct node *sn3, *base;
	char here[4096], *path;

	(void)state;
	make_tree();
	sn3 = must_open("imgs/sn3");
	base = sn3->backing->backing->backing;
	assert_named(sn3, sn3->backing, "sub/sn2");
	assert_named(sn3, sn3->backing->backing, "sn1");
	assert_named(sn3, base, "base");
	assert_named(sn3->backing, base, "../base");
	assert_int_equal(rename("imgs/base", "imgs/moved"), 0);
	assert_null(chain_name_for(sn3, base, &err));
	assert_non_null(strstr(err.text, "was it moved?"));
	graph_put(sn3);
	assert_int_equal(rename("imgs/moved", "imgs/base"), 0);
	/* absolute stays absolute */
	assert_non_null(getcwd(here, sizeof(here)));
	path = mem_printf("%s/imgs/base", here);
	fake_create("imgs/sn1", path, "fake");
	sn3 = must_open("imgs/sn3");
	assert_named(sn3->backing, sn3->backing->backing->backing, path);
	free(path);
	graph_put(sn3);
	graph_release(&graph);
}

static void test_name_from(void **state)
{
	struct err err = ERR_INIT;
	char here[4096], *want, *name;
	struct node *node;

	(void)state;
	make_tree();
	fake_create("a:b", "", "");
	node = must_open("./a:b");
	assert_non_null(getcwd(here, sizeof(here)));
	name = chain_name_from("new", node, "./a:b", true, &err);
	assert_string_equal(name, "./a:b");
	free(name);
	name = chain_name_from("new", node, "a:b", true, &err);
	assert_string_equal(name, "./a:b");
	free(name);
	name = chain_name_from("imgs/sub/new", node, "a:b", true, &err);
	assert_string_equal(name, "../../a:b");
	free(name);
	name = chain_name_from("imgs/new", node, "a:b", false, &err);
	want = mem_printf("%s/a:b", here);
	assert_string_equal(name, want);
	free(name);
	free(want);
	assert_null(chain_name_from("nosuch/new", node, "a:b", true, &err));
	/* ".." goes up from the folder itself, not from a link to it */
	assert_int_equal(symlink("imgs/sub", "short"), 0);
	name = chain_name_from("short/new", node, "a:b", true, &err);
	assert_string_equal(name, "../../a:b");
	free(name);
	graph_put(node);
	graph_release(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_names_in_headers),
		cmocka_unit_test(test_node_names),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_two),
		cmocka_unit_test(test_find_other_file),
		cmocka_unit_test(test_name_for),
		cmocka_unit_test(test_name_from),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
