/* test_powercut.c - random requests on images of many shapes, the power cut at
 * every write; see powercut.h.
 */
#include "tests/unit/powercut.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"

#define BUDGET 500

struct shape {
	const char *name;
	unsigned bits, order;
	const char *options;	/* of qemu-img create; NULL: our own */
	const char *prepare;	/* a command on the image with data */
	void (*damage)(void);	/* and more */
	unsigned clusters;	/* of the guest's disk; 0: 40 */
	bool data;		/* in an external file */
	bool lagging;		/* see powercut.h */
	uint64_t base_size;	/* 0: as the top */
};

struct world {
	struct powercut cut;
	struct graph graph;
	struct node *base, *top;
	uint64_t size, cluster;
	uint8_t *buf;
};

static void shell(const char *fmt, const char *arg)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), fmt, arg);
	assert_int_equal(system(cmd), 0);
}

static struct node *open_node(struct world *w, const char *path, bool ro)
{
	struct node_options o = {
		.path = path, .read_only = ro, .no_backing = true,
		.format = "qcow2",
		.data_file = strcmp(path, "top") ? NULL : w->cut.data,
	};
	struct err err = ERR_INIT;
	struct node *node;

	if (node_open(&node, &o, &err))
		fail_msg("%s", err.text);
	assert_int_equal(graph_add(&w->graph, node, &err), 0);
	return node;
}

static void open_world(struct world *w, bool ro)
{
	graph_init(&w->graph);
	w->top = open_node(w, "top", ro);
	w->base = NULL;
	if (!w->top->backing_name)
		return;
	w->base = open_node(w, w->top->backing_name, true);
	graph_link(w->top, w->base);
}

static void close_world(struct world *w)
{
	graph_put(w->top);
	if (w->base)
		graph_put(w->base);
	graph_release(&w->graph);
}

/* --- requests, told to the history --- */

static void do_write(struct world *w, uint64_t off, uint64_t len)
{
	struct history *h = &w->cut.h;
	size_t op;

	fill_stamps(w->buf, len);
	op = history_write(h, guest_disk(&w->cut), off, len, w->buf);
	assert_int_equal(node_write(w->top, off, len, w->buf), 0);
	history_end(h, op);
}

static void do_zero(struct world *w, uint64_t off, uint64_t len)
{
	struct history *h = &w->cut.h;
	size_t op = history_write(h, guest_disk(&w->cut), off, len, NULL);

	assert_int_equal(node_zero(w->top, off, len,
				   (unsigned)cut_random(&w->cut, 4)), 0);
	history_end(h, op);
}

/* It may or may not read as zeroes afterwards, but that is then for good. */
static void do_discard(struct world *w, uint64_t off, uint64_t len)
{
	struct history *h = &w->cut.h;
	unsigned guest = guest_disk(&w->cut);
	size_t zeroed = history_write(h, guest, off, len, NULL), op;

	assert_int_equal(node_discard(w->top, off, len), 0);
	assert_int_equal(node_read(w->top, off, len, w->buf), 0);
	op = history_write(h, guest, off, len, w->buf);
	history_end(h, zeroed);
	history_end(h, op);
}

static void claim_durable(struct world *w)
{
	struct history *h = &w->cut.h;

	history_end(h, history_flush(h, guest_disk(&w->cut)));
}

static void do_flush(struct world *w)
{
	struct history *h = &w->cut.h;
	size_t op = history_flush(h, guest_disk(&w->cut));

	assert_int_equal(node_flush(w->top), 0);
	history_end(h, op);
}

static void one_request(struct world *w)
{
	struct powercut *c = &w->cut;
	uint64_t off = cut_random(c, w->size);
	uint64_t len = 1 + cut_random(c, w->cluster *
				      (cut_random(c, 4) ? 1 : 4));

	if (cut_random(c, 4)) {
		off = align_down(off, SECTOR);
		len = align_up(len, SECTOR);
	}
	if (cut_random(c, 4) == 0)
		off = align_down(off, w->cluster);
	len = min_u64(len, w->size - off);
	switch (cut_random(c, 10)) {
	case 0:
		do_zero(w, off, len);
		break;
	case 1:
		do_discard(w, align_down(off, SECTOR),
			   min_u64(align_up(len, w->cluster),
				   w->size - align_down(off, SECTOR)));
		break;
	case 2:
		do_flush(w);
		break;
	default:
		do_write(w, off, len);
	}
}

static void requests(struct world *w, unsigned n)
{
	while (n--)
		one_request(w);
}

/* --- scenarios --- */

static void fill_image(struct world *w, const char *path, unsigned n,
		       uint64_t most)
{
	struct node *node;

	graph_init(&w->graph);
	node = open_node(w, path, false);
	for (unsigned i = 0; i < n; i++) {
		uint64_t off = align_down(cut_random(&w->cut, node->size),
					  SECTOR);
		uint64_t len = SECTOR + cut_random(&w->cut, most);

		len = min_u64(align_up(len, SECTOR), node->size - off);
		fill_stamps(w->buf, len);
		assert_int_equal(node_write(node, off, len, w->buf), 0);
	}
	graph_put(node);
	graph_release(&w->graph);
}

static void make_images(struct world *w, const struct shape *s)
{
	struct qcow2_create o = {
		.size = s->base_size ? s->base_size : w->size,
		.cluster_bits = s->bits, .refcount_order = s->order,
	};

	qcow2_file_new("base", &o);
	fill_image(w, "base", 12, w->size / 8);
	o.size = w->size;
	o.backing_name = "base";
	o.backing_format = "qcow2";
	if (s->options) {
		unlink("top");
		shell("qemu-img create -q -f qcow2 -b base -F qcow2 -o %s top",
		      s->options);
	} else {
		qcow2_file_new("top", &o);
	}
}

/* Starts the recording with top and base as they lie there. */
static void begin(struct world *w)
{
	const char *names[] = { "top", "base", w->cut.data, NULL };

	open_world(w, true);
	guest_start(&w->cut, w->top);
	close_world(w);
	recorder_start(&w->cut.h, names);
	open_world(w, false);
}

static void end(struct world *w)
{
	close_world(w);
	claim_durable(w);
	recorder_stop();
	cut_judge(&w->cut);
	free(w->buf);
}

static void make_world(struct world *w, const struct shape *s)
{
	memset(w, 0, sizeof(*w));
	cut_init(&w->cut, s->name, "top", BUDGET);
	w->cluster = 1ull << s->bits;
	w->size = w->cluster * (s->clusters ? s->clusters : 40) + 7 * SECTOR;
	w->buf = malloc(w->size);
	w->cut.data = s->data ? "data" : NULL;
	w->cut.lagging = s->lagging;
	make_images(w, s);
	fill_image(w, "top", 8, w->cluster * 4);
}

static void run_shape(void **state)
{
	const struct shape *s = *state;
	struct world w;

	if ((s->options || s->prepare) && !have_qemu_img())
		skip();
	make_world(&w, s);
	if (s->prepare)
		shell(s->prepare, "top");
	if (s->damage)
		s->damage();
	begin(&w);
	requests(&w, 90);
	end(&w);
}

/* A dirty image may have lost its COPIED flags, too. */
static void lose_flags(void)
{
	uint8_t e[8], byte;
	uint64_t l1, l2;
	int fd = open("top", O_RDWR | O_CLOEXEC);

	assert_int_equal(pread(fd, e, 8, 40), 8);
	l1 = get_be64(e);
	assert_int_equal(pread(fd, e, 8, (off_t)l1), 8);
	l2 = get_be64(e) & JUDGE_OFFSET;
	e[0] &= 0x7f;
	assert_int_equal(pwrite(fd, e, 1, (off_t)l1), 1);
	for (uint64_t i = 0; i < 20; i++) {
		assert_int_equal(pread(fd, &byte, 1, (off_t)(l2 + i * 8)), 1);
		byte &= 0x7f;
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(l2 + i * 8)), 1);
	}
	close(fd);
}

#define MAKE_DIRTY \
	"qemu-io -c 'write -P 7 8k 40k' -c 'write -z 16k 4k' " \
	"-c 'write -P 8 100k 3k' -c flush -c abort %s " \
	">/dev/null 2>&1; qemu-img info top | grep -q " \
	"'cleanly shut down: no'"

static struct shape shapes[] = {
	{ .name = "64K", .bits = 16, .order = 4, .clusters = 24 },
	{ .name = "4K", .bits = 12, .order = 4 },
	{ .name = "4K, two L2 tables", .bits = 12, .order = 4,
	  .clusters = 520 },
	{ .name = "512", .bits = 9, .order = 4, .clusters = 200 },
	{ .name = "512, 64-bit refcounts", .bits = 9, .order = 6,
	  .clusters = 300 },
	{ .name = "1K, 1-bit refcounts", .bits = 10, .order = 0,
	  .clusters = 150 },
	{ .name = "2K, 32-bit refcounts", .bits = 11, .order = 5 },
	{ .name = "extended L2", .bits = 14, .order = 4, .clusters = 24,
	  .options = "extended_l2=on,cluster_size=16k" },
	{ .name = "extended L2, 64K", .bits = 16, .order = 4, .clusters = 12,
	  .options = "extended_l2=on" },
	{ .name = "lazy refcounts", .bits = 12, .order = 4,
	  .options = "lazy_refcounts=on,cluster_size=4k" },
	{ .name = "version 2", .bits = 12, .order = 4,
	  .options = "compat=0.10,cluster_size=4k" },
	{ .name = "external data file", .bits = 12, .order = 4,
	  .options = "data_file=data,cluster_size=4k", .data = true },
	{ .name = "internal snapshot", .bits = 12, .order = 4,
	  .prepare = "qemu-img snapshot -c s %s" },
	{ .name = "internal snapshot, 512", .bits = 9, .order = 4,
	  .clusters = 200, .prepare = "qemu-img snapshot -c s %s" },
	{ .name = "internal snapshot, extended L2", .bits = 14, .order = 4,
	  .clusters = 24, .options = "extended_l2=on,cluster_size=16k",
	  .prepare = "qemu-img snapshot -c s %s" },
	{ .name = "compressed", .bits = 12, .order = 4,
	  .prepare = "qemu-img convert -c -O qcow2 -o cluster_size=4k,"
		     "compression_type=zstd %s new && mv new top && "
		     "qemu-img rebase -u -b base -F qcow2 top" },
	{ .name = "compressed, 64K", .bits = 16, .order = 4, .clusters = 16,
	  .prepare = "qemu-img convert -c -O qcow2 -o compat=0.10 %s new && "
		     "mv new top && qemu-img rebase -u -b base -F qcow2 top" },
	{ .name = "dirty", .bits = 12, .order = 4,
	  .options = "lazy_refcounts=on,cluster_size=4k",
	  .prepare = MAKE_DIRTY },
	{ .name = "dirty, without flags", .bits = 12, .order = 4,
	  .options = "lazy_refcounts=on,cluster_size=4k",
	  .prepare = MAKE_DIRTY, .damage = lose_flags },
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* A refcount table that has to grow. */
static void test_table_growth(void **state)
{
	static const struct shape s = {
		.name = "refcount table grows", .bits = 9, .order = 6,
		.clusters = 5000,
	};
	struct world w;

	(void)state;
	make_world(&w, &s);
	/* 64 blocks of 64 counts are 4096 clusters; fill most of them */
	open_world(&w, false);
	fill_stamps(w.buf, 3900 * 512);
	assert_int_equal(node_write(w.top, 0, 3900 * 512, w.buf), 0);
	close_world(&w);
	begin(&w);
	for (unsigned i = 0; i < 12; i++) {
		do_write(&w, (4000 + i * 24) * 512, 24 * 512);
		/* the table grows with nothing flushed, and beside flushes */
		if (i > 8)
			requests(&w, 2);
	}
	end(&w);
}

static void test_backing(void **state)
{
	static const struct shape s = { .name = "set_backing", .bits = 12,
					.order = 4 };
	struct err err = ERR_INIT;
	struct world w;
	uint8_t *all;
	unsigned base;
	size_t op;

	(void)state;
	make_world(&w, &s);
	all = malloc(w.size);
	begin(&w);
	requests(&w, 20);
	assert_int_equal(node_read(w.top, 0, w.size, all), 0);
	assert_int_equal(node_write(w.top, 0, w.size, all), 0);
	assert_int_equal(w.top->drv->set_backing(w.top, NULL, NULL, &err), 0);
	claim_durable(&w);
	graph_link(w.top, NULL);
	/* who needs it still, will see */
	base = history_find(&w.cut.h, "base");
	op = history_write(&w.cut.h, base, 0, 4096, NULL);
	history_end(&w.cut.h, op);
	history_end(&w.cut.h, history_flush(&w.cut.h, base));
	requests(&w, 20);
	free(all);
	end(&w);
}

static void test_rename(void **state)
{
	static const struct shape s = { .name = "long name", .bits = 12,
					.order = 4 };
	char name[601], other[601];
	struct err err = ERR_INIT;
	struct world w;

	(void)state;
	for (int i = 0; i < 594; i += 2)
		memcpy(name + i, "./", 2);
	memcpy(name + 594, "base", 5);
	memcpy(other, name, sizeof(name));
	memset(other + 1, '/', 593);
	make_world(&w, &s);
	begin(&w);
	requests(&w, 10);
	assert_int_equal(w.top->drv->set_backing(w.top, name, "qcow2", &err),
			 0);
	claim_durable(&w);
	requests(&w, 10);
	assert_int_equal(w.top->drv->set_backing(w.top, other, "qcow2", &err),
			 0);
	assert_int_equal(w.top->drv->set_backing(w.top, "base", "qcow2", &err),
			 0);
	requests(&w, 10);
	end(&w);
}

static void grow(unsigned bits, unsigned clusters, uint64_t to)
{
	struct shape s = { .name = "grow", .bits = bits, .order = 4,
			   .clusters = clusters, .base_size = to };
	struct err err = ERR_INIT;
	struct world w;
	size_t op;

	make_world(&w, &s);
	begin(&w);
	requests(&w, 20);
	op = history_resize(&w.cut.h, guest_disk(&w.cut), to);
	assert_int_equal(node_grow(w.top, to, &err), 0);
	history_end(&w.cut.h, op);
	claim_durable(&w);
	w.size = to;
	free(w.buf);
	w.buf = malloc(w.size);
	requests(&w, 40);
	end(&w);
}

static void test_grow(void **state)
{
	(void)state;
	grow(12, 40, 90 * 4096);
	grow(9, 100, 9000 * 512);	/* a larger L1 */
}

static void test_grow_raw(void **state)
{
	struct node_options o = { .path = "top.raw", .format = "raw" };
	const uint64_t size = 40 * SECTOR, to = 90 * SECTOR;
	const char *names[] = { "top.raw", NULL };
	struct err err = ERR_INIT;
	struct world w = { .size = size };
	size_t op;

	(void)state;
	cut_init(&w.cut, "grow, raw", "top.raw", BUDGET);
	shell("head -c 20480 /dev/urandom > %s", "top.raw");
	graph_init(&w.graph);
	assert_int_equal(node_open(&w.top, &o, &err), 0);
	assert_int_equal(graph_add(&w.graph, w.top, &err), 0);
	guest_start(&w.cut, w.top);
	recorder_start(&w.cut.h, names);
	w.cluster = SECTOR;
	w.buf = malloc(to);
	requests(&w, 20);
	op = history_resize(&w.cut.h, guest_disk(&w.cut), to);
	assert_int_equal(node_grow(w.top, to, &err), 0);
	history_end(&w.cut.h, op);
	claim_durable(&w);
	w.size = to;
	requests(&w, 20);
	end(&w);
}

static void test_empty(void **state)
{
	static const struct shape s = { .name = "empty", .bits = 12,
					.order = 4 };
	struct world w;
	uint8_t *base;
	size_t op;

	(void)state;
	make_world(&w, &s);
	begin(&w);
	requests(&w, 50);
	base = malloc(w.size);
	assert_int_equal(node_read(w.base, 0, w.size, base), 0);
	op = history_write(&w.cut.h, guest_disk(&w.cut), 0, w.size, base);
	assert_int_equal(w.top->drv->empty(w.top), 0);
	history_end(&w.cut.h, op);
	claim_durable(&w);
	free(base);
	requests(&w, 50);
	end(&w);
}

/* --- several threads at once --- */

#define THREADS 3
#define STRIPE 3u	/* sectors that one thread owns in a row */

struct guest {
	struct world *w;
	unsigned id;
	uint64_t rnd;
	pthread_t thread;
};

static uint64_t guest_random(struct guest *g, uint64_t below)
{
	g->rnd = g->rnd * 6364136223846793005ull + 1442695040888963407ull;
	return (g->rnd >> 33) % below;
}

static void guest_request(struct guest *g, unsigned n)
{
	struct world *w = g->w;
	struct history *h = &w->cut.h;
	uint64_t stripes = w->size / SECTOR / STRIPE / THREADS;
	uint64_t first = (guest_random(g, stripes) * THREADS + g->id) * STRIPE;
	uint64_t len = (1 + guest_random(g, STRIPE)) * SECTOR;
	uint8_t buf[STRIPE * SECTOR];
	bool zero = guest_random(g, 4) == 0;
	size_t op;
	int rc;

	memset(buf, (int)(1 + n % 255), sizeof(buf));
	buf[0] = buf[SECTOR] = buf[2 * SECTOR] = (uint8_t)g->id;
	op = history_write(h, guest_disk(&w->cut), first * SECTOR, len,
			   zero ? NULL : buf);
	rc = zero ? node_zero(w->top, first * SECTOR, len, n & 3) :
		    node_write(w->top, first * SECTOR, len, buf);
	if (rc)
		abort();
	history_end(h, op);
}

static void guest_main(void *arg)
{
	struct guest *g = arg;
	struct history *h = &g->w->cut.h;
	size_t op;

	for (unsigned n = 0; n < 60; n++) {
		if (guest_random(g, 6)) {
			guest_request(g, n);
			continue;
		}
		op = history_flush(h, guest_disk(&g->w->cut));
		if (node_flush(g->w->top))
			abort();
		history_end(h, op);
	}
}

static void threads(unsigned bits, unsigned order, unsigned clusters)
{
	struct shape s = { .name = "threads", .bits = bits, .order = order,
			   .clusters = clusters };
	struct guest g[THREADS];
	struct world w;

	make_world(&w, &s);
	begin(&w);
	for (unsigned i = 0; i < THREADS; i++) {
		g[i] = (struct guest){ &w, i, cut_seed * THREADS + i, 0 };
		assert_int_equal(thread_start(&g[i].thread, "guest",
					      guest_main, &g[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(g[i].thread);
	end(&w);
}

static void test_threads(void **state)
{
	(void)state;
	threads(12, 4, 40);
	threads(9, 6, 300);
	threads(16, 4, 16);
}

/* Bits that say something about the content that a change makes untrue. */
static void test_autoclear(void **state)
{
	static const struct shape s = { .name = "autoclear", .bits = 12,
					.order = 4 };
	static const uint8_t unknown = 0x80;
	struct world w;
	int fd;

	(void)state;
	make_world(&w, &s);
	fd = open("top", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &unknown, 1, 90), 1);
	close(fd);
	begin(&w);
	requests(&w, 30);
	end(&w);
}

static void take_snapshot(struct world *w, const char *name)
{
	struct snapshot_wish wish = { .name = name };
	struct err err = ERR_INIT;

	if (w->top->drv->snapshot_create(w->top, &wish, &err))
		fail_msg("%s", err.text);
	claim_durable(w);
}

static void drop_snapshot(struct world *w, const char *id)
{
	struct err err = ERR_INIT;

	if (w->top->drv->snapshot_delete(w->top, id, &err))
		fail_msg("%s", err.text);
	claim_durable(w);
}

static void snapshots(const struct shape *s)
{
	struct world w;

	if ((s->options || s->prepare) && !have_qemu_img())
		return;
	make_world(&w, s);
	if (s->prepare)
		shell(s->prepare, "top");
	begin(&w);
	requests(&w, 10);
	take_snapshot(&w, "one");
	requests(&w, 20);
	take_snapshot(&w, "two");
	/* twice: what is free in memory is so on disk */
	do_flush(&w);
	do_flush(&w);
	drop_snapshot(&w, "1");
	requests(&w, 20);
	drop_snapshot(&w, "2");
	requests(&w, 20);
	end(&w);
}

/* Version 2 has no bit that says "count anew". */
static void test_snapshots(void **state)
{
	static const struct shape all[] = {
		{ .name = "snapshots", .bits = 12, .order = 4 },
		{ .name = "snapshots, 64K", .bits = 16, .order = 4,
		  .clusters = 16 },
		{ .name = "snapshots, 512", .bits = 9, .order = 4,
		  .clusters = 300 },
		{ .name = "snapshots, extended L2", .bits = 14, .order = 4,
		  .clusters = 24,
		  .options = "extended_l2=on,cluster_size=16k" },
		{ .name = "snapshots, compressed", .bits = 12, .order = 4,
		  .prepare = "qemu-img convert -c -O qcow2 -o "
			     "cluster_size=4k %s new && mv new top && "
			     "qemu-img rebase -u -b base -F qcow2 top" },
		{ .name = "snapshots, version 2", .bits = 12, .order = 4,
		  .options = "compat=0.10,cluster_size=4k", .lagging = true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		snapshots(&all[i]);
}

#define FIXED 9

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT(shapes)] = {
		cmocka_unit_test(test_table_growth),
		cmocka_unit_test(test_backing),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_grow_raw),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_autoclear),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_threads),
	};

	for (size_t i = 0; i < COUNT(shapes); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			.name = shapes[i].name, .test_func = run_shape,
			.initial_state = &shapes[i],
		};
	return cmocka_run_group_tests(tests, cut_enter, cut_leave);
}
