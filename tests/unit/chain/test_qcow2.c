/* test_qcow2.c - random requests on small images of many shapes, against a
 * model in memory, with qemu-img (where there is one) as the judge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/chain/graph.h"
#include "engine/image/node.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/util/bytes.h"
#include "tests/unit/qcow2_file.h"
#include "tests/unit/scratch.h"
#include "tests/unit/slow.h"

static uint64_t seed = 1;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

static bool have_judge(void)
{
	static int have = -1;

	if (have < 0)
		have = !system("command -v qemu-img >/dev/null 2>&1");
	return have;
}

static int run(const char *fmt, const char *a, const char *b)
{
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), fmt, a, b);
	return system(cmd);
}

static void judge(const char *path)
{
	if (have_judge())
		assert_int_equal(run("qemu-img check -q %s%s", path, ""), 0);
}

static struct node *open_image(struct graph *g, const char *path, bool ro)
{
	struct node_options o = {
		.path = path, .format = "qcow2", .read_only = ro,
	};
	struct err err = ERR_INIT;
	struct node *node;

	if (node_open(&node, &o, &err))
		fail_msg("%s", err.text);
	assert_int_equal(graph_add(g, node, &err), 0);
	return node;
}

struct world {
	struct graph graph;
	struct node *base, *top;
	uint8_t *model;
	uint64_t size;
};

static void world_open(struct world *w)
{
	struct err err = ERR_INIT;

	graph_init(&w->graph);
	w->base = open_image(&w->graph, "base", true);
	w->top = open_image(&w->graph, "top", false);
	graph_link(w->top, w->base);
	(void)err;
}

static void world_close(struct world *w)
{
	graph_put(w->top);
	graph_put(w->base);
	graph_release(&w->graph);
}

static void compare(struct world *w)
{
	uint8_t *buf = malloc(w->size);

	assert_int_equal(node_read(w->top, 0, w->size, buf), 0);
	for (uint64_t i = 0; i < w->size; i++)
		if (buf[i] != w->model[i])
			fail_msg("differs at %llu: %02x not %02x",
				 (unsigned long long)i, buf[i], w->model[i]);
	free(buf);
}

static void one_request(struct world *w, uint64_t cluster)
{
	uint64_t off = rnd(w->size - 1);
	uint64_t len = 1 + rnd(min_u64(w->size - off, cluster * 6));
	uint8_t *buf;

	if (rnd(3) == 0)
		off = align_down(off, 512);
	len = min_u64(len, w->size - off);
	switch (rnd(8)) {
	case 0:
		assert_int_equal(node_zero(w->top, off, len,
					   (unsigned)rnd(4)), 0);
		memset(w->model + off, 0, len);
		break;
	case 1:
		assert_int_equal(node_flush(w->top), 0);
		break;
	case 2:
		buf = malloc(len);
		assert_int_equal(node_read(w->top, off, len, buf), 0);
		assert_memory_equal(buf, w->model + off, len);
		free(buf);
		break;
	default:
		buf = malloc(len);
		memset(buf, 1 + (int)rnd(255), len);
		assert_int_equal(node_write(w->top, off, len, buf), 0);
		memcpy(w->model + off, buf, len);
		free(buf);
	}
}

static void fill_base(uint8_t *model, uint64_t size)
{
	struct world w = { 0 };

	graph_init(&w.graph);
	w.base = open_image(&w.graph, "base", false);
	for (int i = 0; i < 12; i++) {
		uint64_t off = rnd(size - 1);
		uint64_t len = 1 + rnd(size - off);

		len = min_u64(len, size / 8);
		memset(model + off, 1 + (int)rnd(255), len);
		assert_int_equal(node_write(w.base, off, len, model + off), 0);
	}
	graph_put(w.base);
	graph_release(&w.graph);
}

static void shape(unsigned bits, unsigned order, const char *options)
{
	struct world w = { .size = (1ull << bits) * 77 + 512 };
	struct qcow2_create base = {
		.size = w.size, .cluster_bits = bits, .refcount_order = order,
	};
	struct qcow2_create top = base;

	w.model = calloc(1, w.size);
	qcow2_file_new("base", &base);
	fill_base(w.model, w.size);
	judge("base");
	top.backing_name = "base";
	top.backing_format = "qcow2";
	if (options && have_judge()) {
		unlink("top");
		assert_int_equal(run("qemu-img create -q -f qcow2 -o %s -b "
				     "base -F qcow2 %s", options, "top"), 0);
	} else {
		qcow2_file_new("top", &top);
	}
	for (int round = 0; round < (how_slow() > 1 ? 2 : 6); round++) {
		world_open(&w);
		compare(&w);
		for (int i = 0; i < 60; i++)
			one_request(&w, 1ull << bits);
		compare(&w);
		world_close(&w);
		judge("top");
	}
	free(w.model);
}

/* All sizes and all orders; each with each, where that is quick. */
static void test_shapes(void **state)
{
	const unsigned step = how_slow() > 1 ? 4 : 1;

	(void)state;
	for (unsigned bits = 9; bits <= 17; bits++)
		for (unsigned order = bits % step; order <= 6; order += step)
			shape(bits, order, NULL);
}

static void test_qemu_shapes(void **state)
{
	static const char *const options[] = {
		"compat=0.10", "lazy_refcounts=on", "extended_l2=on",
		"cluster_size=2M",
		"extended_l2=on,cluster_size=16k", "compression_type=zstd",
		"cluster_size=512,refcount_bits=64", "refcount_bits=1",
	};

	(void)state;
	if (!have_judge())
		skip();
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		shape(14, 4, options[i]);
}

/* What an internal snapshot holds stays as it was. */
static void test_snapshot(void **state)
{
	struct world w = { .size = 1 << 20 };
	struct qcow2_create o = { .size = w.size, .cluster_bits = 12,
				  .refcount_order = 4 };

	(void)state;
	if (!have_judge())
		skip();
	w.model = calloc(1, w.size);
	qcow2_file_new("base", &o);
	o.backing_name = "base";
	o.backing_format = "qcow2";
	qcow2_file_new("top", &o);
	for (int round = 0; round < 4; round++) {
		world_open(&w);
		for (int i = 0; i < 50; i++)
			one_request(&w, 4096);
		world_close(&w);
		judge("top");
		assert_int_equal(run("qemu-img convert -O raw %s %s", "top",
				     "before"), 0);
		assert_int_equal(run("qemu-img snapshot -c s %s%s", "top", ""),
				 0);
		world_open(&w);
		for (int i = 0; i < 50; i++)
			one_request(&w, 4096);
		compare(&w);
		world_close(&w);
		judge("top");
		assert_int_equal(run("qemu-img convert -l s -O raw %s %s",
				     "top", "after"), 0);
		assert_int_equal(run("cmp %s %s", "before", "after"), 0);
		assert_int_equal(run("qemu-img snapshot -d s %s%s", "top", ""),
				 0);
	}
	free(w.model);
}

static void test_empty(void **state)
{
	struct world w = { .size = 1 << 20 };
	struct qcow2_create o = { .size = w.size, .cluster_bits = 12,
				  .refcount_order = 4 };
	uint64_t before;

	(void)state;
	w.model = calloc(1, w.size);
	qcow2_file_new("base", &o);
	fill_base(w.model, w.size);
	o.backing_name = "base";
	o.backing_format = "qcow2";
	qcow2_file_new("top", &o);
	world_open(&w);
	for (int i = 0; i < 100; i++)
		one_request(&w, 4096);
	before = file_disk_bytes(w.top->file);
	assert_int_equal(w.top->drv->empty(w.top), 0);
	assert_int_equal(node_read(w.base, 0, w.size, w.model), 0);
	compare(&w);
	assert_true(file_disk_bytes(w.top->file) < before / 4);
	for (int i = 0; i < 100; i++)
		one_request(&w, 4096);
	compare(&w);
	world_close(&w);
	judge("top");
	free(w.model);
}

static const struct file *unreadable;
static uint64_t unreadable_from;

static int refuse_reading(const struct file *f, enum file_op op, uint64_t off,
			  uint64_t len, const void *buf)
{
	(void)buf;
	return f == unreadable && op == FILE_OP_READ &&
	       off + len > unreadable_from ? -EIO : 0;
}

/* Where one half of an L2 table can't be read, what the other half names must
 * not be let go: the L1 table goes on naming it. */
static void test_empty_unreadable(void **state)
{
	struct qcow2_create o = { .size = 256 << 20, .cluster_bits = 16,
				  .refcount_order = 4 };
	const uint64_t at[] = { 0, 200 << 20 };
	uint8_t data[4096], got[4096];
	struct graph graph;
	struct node *node;
	struct run run;

	(void)state;
	memset(data, 0x5a, sizeof(data));
	qcow2_file_new("top", &o);
	graph_init(&graph);
	node = open_image(&graph, "top", false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(node_write(node, at[i], 4096, data), 0);
	assert_int_equal(node_map(node, 0, 4096, &run), 0);
	graph_put(node);

	/* the L2 table lies behind the first data cluster */
	node = open_image(&graph, "top", false);
	unreadable = node->file;
	unreadable_from = run.host + 65536 + 16384;
	file_set_hook(refuse_reading);
	assert_int_equal(node->drv->empty(node), -EIO);
	file_set_hook(NULL);
	assert_int_equal(node_flush(node), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(node_read(node, at[i], 4096, got), 0);
		assert_memory_equal(got, data, 4096);
	}
	graph_put(node);
	graph_release(&graph);
	judge("top");
}

static void grow_once(unsigned bits, uint64_t from, uint64_t to)
{
	struct world w = { .size = to };
	struct qcow2_create o = { .size = to, .cluster_bits = bits,
				  .refcount_order = 4 };
	struct err err = ERR_INIT;

	w.model = calloc(1, w.size);
	qcow2_file_new("base", &o);
	fill_base(w.model, w.size);
	o.backing_name = "base";
	o.backing_format = "qcow2";
	o.size = from;
	qcow2_file_new("top", &o);
	world_open(&w);
	assert_int_equal(node_grow(w.top, to, &err), 0);
	memset(w.model + from, 0, to - from);
	compare(&w);
	for (int i = 0; i < 50; i++)
		one_request(&w, 1ull << bits);
	compare(&w);
	world_close(&w);
	judge("top");
	world_open(&w);
	compare(&w);
	world_close(&w);
	free(w.model);
}

static void test_grow(void **state)
{
	(void)state;
	grow_once(9, 1000 * 512, 3000 * 512);
	grow_once(12, 5 * 512, 300 * 512);
	grow_once(16, 1 << 20, 3 << 20);
	grow_once(16, (1 << 20) + 512, (1 << 20) + 1024);
}

/* --- growing, when the host fails --- */

/* What becomes of the write of the header that names a new L1 table. */
static enum header_way { HEADER_REFUSED, HEADER_DONE,
			 HEADER_NO_MEMORY } header_way;
static bool header_met;
static uint32_t l1_from;	/* entries that the new table has at least */

static int header_fails(const struct file *f, enum file_op op, uint64_t off,
			uint64_t len, const void *buf)
{
	struct rlimit none;

	if (op != FILE_OP_WRITE || off || header_met ||
	    get_be32((const uint8_t *)buf + QCOW2_AT_L1_SIZE) < l1_from)
		return 0;
	header_met = true;
	if (header_way == HEADER_NO_MEMORY) {
		getrlimit(RLIMIT_AS, &none);
		none.rlim_cur = 1 << 20;
		setrlimit(RLIMIT_AS, &none);
		return 0;
	}
	if (header_way == HEADER_DONE)
		assert_int_equal(pwrite(f->fd, buf, len, 0), len);
	return -EIO;
}

/* Whatever the header says now, the image is one, and what is written from
 * then on is found again. */
static void grow_fails(unsigned bits, uint64_t from, uint64_t to, int way)
{
	struct world w = { .size = from };
	struct qcow2_create o = { .size = from, .cluster_bits = bits,
				  .refcount_order = 4 };
	struct err err = ERR_INIT;

	w.model = calloc(1, to);
	qcow2_file_new("base", &o);
	fill_base(w.model, w.size);
	o.backing_name = "base";
	o.backing_format = "qcow2";
	qcow2_file_new("top", &o);
	world_open(&w);
	header_way = (enum header_way)way;
	l1_from = (uint32_t)(from >> (2 * bits - 3)) + 1;
	header_met = false;
	file_set_hook(header_fails);
	assert_int_equal(node_grow(w.top, to, &err), -1);
	file_set_hook(NULL);
	assert_true(header_met);
	for (int i = 0; i < 50; i++)
		one_request(&w, 1ull << bits);
	compare(&w);
	world_close(&w);
	judge("top");
	world_open(&w);
	compare(&w);
	assert_int_equal(node_grow(w.top, to, &err), 0);
	w.size = to;
	compare(&w);
	world_close(&w);
	judge("top");
	free(w.model);
}

static void test_grow_fails(void **state)
{
	(void)state;
	grow_fails(9, 1000 * 512, 3000 * 512, HEADER_REFUSED);
	grow_fails(9, 1000 * 512, 3000 * 512, HEADER_DONE);
	grow_fails(12, 8 * 4096, 600 * 4096, HEADER_DONE);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* From the moment on that the header names the new table there is nothing that
 * memory would be needed for. */
static void test_grow_without_memory(void **state)
{
	struct qcow2_create o = { .size = 1 << 20, .cluster_bits = 9,
				  .refcount_order = 4 };
	struct rlimit before;
	struct err err = ERR_INIT;
	struct graph graph;
	struct node *node;
	char got[5] = "";

	(void)state;
	getrlimit(RLIMIT_AS, &before);
	qcow2_file_new("top", &o);
	graph_init(&graph);
	node = open_image(&graph, "top", false);
	header_way = HEADER_NO_MEMORY;
	l1_from = 1000;
	header_met = false;
	file_set_hook(header_fails);
	node_grow(node, 4ull << 30, &err);
	file_set_hook(NULL);
	setrlimit(RLIMIT_AS, &before);
	assert_true(header_met);
	assert_int_equal(node_write(node, 500000, 5, "later"), 0);
	graph_put(node);
	node = open_image(&graph, "top", true);
	assert_int_equal(node_read(node, 500000, 5, got), 0);
	assert_memory_equal(got, "later", 5);
	graph_put(node);
	graph_release(&graph);
}
#endif

static int setup(void **state)
{
	const char *s = getenv("BLKMON_SEED");

	seed = s ? strtoull(s, NULL, 0) : 1;
	return scratch_enter_memory(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_qemu_shapes),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_empty_unreadable),
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_grow_fails),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(test_grow_without_memory),
#endif
	};

	return cmocka_run_group_tests(tests, setup, scratch_leave);
}
