/* test_stress.c - many threads on one disk: each has sectors of its own, which
 * must always be what it wrote last, though they share clusters with those of
 * others; and all write one region, whose sectors must be what somebody wrote.
 * First on one image, then on a drive while one job follows the other.
 *
 * BLKMON_SEED=N other random numbers; BLKMON_CRASH=N N times as long.
 */
#include "tests/unit/powercut_chain.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"

#define THREADS 3
#define STRIPE 3u		/* sectors that belong together */
#define SHARED 64u		/* sectors at the end of the disk */

struct disk_ops {
	int (*read)(void *disk, uint64_t off, uint64_t len, void *buf);
	int (*write)(void *disk, uint64_t off, uint64_t len, const void *buf);
	int (*zero)(void *disk, uint64_t off, uint64_t len, bool unmap);
	int (*discard)(void *disk, uint64_t off, uint64_t len);
	int (*flush)(void *disk);
};

struct crowd;

struct writer {
	struct crowd *crowd;
	unsigned id;
	uint64_t rnd, stamp;
	pthread_t thread;
};

struct crowd {
	const struct disk_ops *ops;
	void *disk;
	uint64_t sectors;	/* of the disk without the shared ones */
	uint64_t *model;	/* stamp of each sector; 0: zeroes */
	unsigned requests;	/* per writer; 0: until stopped */
	_Atomic bool stopped;
	struct writer writer[THREADS];
	pthread_t flusher;
	char what[64];
};

static uint64_t writer_random(struct writer *w, uint64_t below)
{
	w->rnd = w->rnd * 6364136223846793005ull + 1442695040888963407ull;
	return (w->rnd >> 33) % below;
}

static void wrong(const struct crowd *c, const char *what, uint64_t sector,
		  uint64_t got, uint64_t want)
{
	fprintf(stderr, "%s, BLKMON_SEED=%llu: %s: sector %llu is %llx, not "
		"%llx\n", c->what, (unsigned long long)cut_seed, what,
		(unsigned long long)sector, (unsigned long long)got,
		(unsigned long long)want);
	abort();
}

static void fill_sector(uint8_t *buf, uint64_t word)
{
	for (unsigned i = 0; i < SECTOR; i += 8)
		memcpy(buf + i, &word, 8);
}

/* The stamp of a sector that is all of one. */
static uint64_t stamp_of(const struct crowd *c, const uint8_t *buf,
			 uint64_t sector)
{
	uint64_t first, v;

	memcpy(&first, buf, 8);
	for (unsigned i = 8; i < SECTOR; i += 8) {
		memcpy(&v, buf + i, 8);
		if (v != first)
			wrong(c, "torn", sector, v, first);
	}
	return first;
}

static void check(const struct crowd *c, int rc, const char *what)
{
	if (rc)
		wrong(c, what, 0, (uint64_t)-rc, 0);
}

static void check_own(struct crowd *c, uint64_t first, uint64_t n,
		      const uint8_t *buf)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t got = stamp_of(c, buf + i * SECTOR, first + i);

		if (got != c->model[first + i])
			wrong(c, "lost", first + i, got, c->model[first + i]);
	}
}

static void read_own(struct writer *w, uint64_t first, uint64_t n)
{
	struct crowd *c = w->crowd;
	uint8_t buf[STRIPE * SECTOR];

	check(c, c->ops->read(c->disk, first * SECTOR, n * SECTOR, buf),
	      "read");
	check_own(c, first, n, buf);
}

static void write_own(struct writer *w, uint64_t first, uint64_t n)
{
	struct crowd *c = w->crowd;
	uint8_t buf[STRIPE * SECTOR];

	for (uint64_t i = 0; i < n; i++) {
		c->model[first + i] = ++w->stamp << 8 | w->id;
		fill_sector(buf + i * SECTOR, c->model[first + i]);
	}
	check(c, c->ops->write(c->disk, first * SECTOR, n * SECTOR, buf),
	      "write");
}

static void zero_own(struct writer *w, uint64_t first, uint64_t n)
{
	struct crowd *c = w->crowd;

	memset(c->model + first, 0, n * sizeof(*c->model));
	check(c, c->ops->zero(c->disk, first * SECTOR, n * SECTOR,
			      writer_random(w, 2)), "zero");
}

/* Whole clusters may go, what is left shows at once and stays. */
static void discard_own(struct writer *w, uint64_t first, uint64_t n)
{
	struct crowd *c = w->crowd;
	uint8_t buf[STRIPE * SECTOR];

	check(c, c->ops->discard(c->disk, first * SECTOR, n * SECTOR),
	      "discard");
	check(c, c->ops->read(c->disk, first * SECTOR, n * SECTOR, buf),
	      "read");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t got = stamp_of(c, buf + i * SECTOR, first + i);

		if (got && got != c->model[first + i])
			wrong(c, "lost by a discard", first + i, got,
			      c->model[first + i]);
		c->model[first + i] = got;
	}
}

/* Region of all: reads see whole sectors that somebody wrote. */
static void use_shared(struct writer *w)
{
	struct crowd *c = w->crowd;
	uint8_t buf[8 * SECTOR];
	uint64_t first = c->sectors + writer_random(w, SHARED - 8);
	uint64_t n = 1 + writer_random(w, 8);

	if (writer_random(w, 2)) {
		for (uint64_t i = 0; i < n; i++)
			fill_sector(buf + i * SECTOR,
				    ++w->stamp << 8 | w->id);
		check(c, c->ops->write(c->disk, first * SECTOR, n * SECTOR,
				       buf), "write");
		return;
	}
	check(c, c->ops->read(c->disk, first * SECTOR, n * SECTOR, buf),
	      "read");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t got = stamp_of(c, buf + i * SECTOR, first + i);

		if ((got & 0xff) >= THREADS)
			wrong(c, "written by nobody", first + i, got, 0);
	}
}

static void one_request(struct writer *w)
{
	uint64_t stripes = w->crowd->sectors / STRIPE / THREADS;
	uint64_t stripe = writer_random(w, stripes) * THREADS + w->id;
	uint64_t skip = writer_random(w, STRIPE);
	uint64_t first = stripe * STRIPE + skip;
	uint64_t n = 1 + writer_random(w, STRIPE - skip);

	switch (writer_random(w, 10)) {
	case 0:
		zero_own(w, first, n);
		break;
	case 1:
		discard_own(w, first, n);
		break;
	case 2:
	case 3:
		use_shared(w);
		break;
	case 4:
	case 5:
	case 6:
		read_own(w, first, n);
		break;
	default:
		write_own(w, first, n);
	}
}

static void writer_main(void *arg)
{
	struct writer *w = arg;
	struct crowd *c = w->crowd;

	for (unsigned i = 0; (!c->requests || i < c->requests) &&
	     !atomic_load(&c->stopped); i++)
		one_request(w);
}

static void flusher_main(void *arg)
{
	struct crowd *c = arg;

	while (!atomic_load(&c->stopped)) {
		check(c, c->ops->flush(c->disk), "flush");
		sched_yield();
	}
}

static void crowd_init(struct crowd *c, const struct disk_ops *ops,
		       void *disk, uint64_t size, unsigned requests)
{
	c->ops = ops;
	c->disk = disk;
	c->sectors = size / SECTOR - SHARED;
	c->model = calloc(c->sectors, sizeof(*c->model));
	c->requests = requests;
}

static void crowd_start(struct crowd *c)
{
	atomic_store(&c->stopped, false);
	for (unsigned i = 0; i < THREADS; i++) {
		struct writer *w = &c->writer[i];

		w->crowd = c;
		w->id = i;
		w->rnd += cut_seed * THREADS + i;
		assert_int_equal(thread_start(&w->thread, "writer",
					      writer_main, w), 0);
	}
	assert_int_equal(thread_start(&c->flusher, "flusher", flusher_main,
				      c), 0);
}

static void crowd_stop(struct crowd *c)
{
	if (!c->requests)
		atomic_store(&c->stopped, true);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(c->writer[i].thread);
	atomic_store(&c->stopped, true);
	thread_join(c->flusher);
}

static void crowd_verify(struct crowd *c)
{
	uint64_t bytes = c->sectors * SECTOR;
	uint8_t *buf = malloc(bytes);

	check(c, c->ops->read(c->disk, 0, bytes, buf), "read");
	check_own(c, 0, c->sectors, buf);
	free(buf);
}

static void check_image(const char *name)
{
	char why[256];
	uint64_t size;
	uint8_t *img = recorder_load(name, &size);

	if (!qcow2_judge(img, size, why, sizeof(why)))
		fail_msg("%s: %s", name, why);
	free(img);
}

/* --- on one image --- */

static int on_read(void *disk, uint64_t off, uint64_t len, void *buf)
{
	struct node *node = disk;
	int rc;

	rwlock_read(&node->graph->lock);
	rc = node_read(node, off, len, buf);
	rwlock_drop(&node->graph->lock);
	return rc;
}

static int on_write(void *disk, uint64_t off, uint64_t len, const void *buf)
{
	struct node *node = disk;
	int rc;

	rwlock_read(&node->graph->lock);
	rc = node_write(node, off, len, buf);
	rwlock_drop(&node->graph->lock);
	return rc;
}

static int on_zero(void *disk, uint64_t off, uint64_t len, bool unmap)
{
	struct node *node = disk;
	int rc;

	rwlock_read(&node->graph->lock);
	rc = node_zero(node, off, len, unmap ? ZERO_UNMAP : 0);
	rwlock_drop(&node->graph->lock);
	return rc;
}

static int on_discard(void *disk, uint64_t off, uint64_t len)
{
	struct node *node = disk;
	int rc;

	rwlock_read(&node->graph->lock);
	rc = node_discard(node, off, len);
	rwlock_drop(&node->graph->lock);
	return rc;
}

static int on_flush(void *disk)
{
	struct node *node = disk;
	int rc;

	rwlock_read(&node->graph->lock);
	rc = node_flush(node);
	rwlock_drop(&node->graph->lock);
	return rc;
}

static const struct disk_ops on_node = {
	.read = on_read, .write = on_write, .zero = on_zero,
	.discard = on_discard, .flush = on_flush,
};

struct shape {
	const char *name;
	unsigned bits, order;
	uint64_t size;
	const char *options;
};

static struct node *open_one(struct graph *g, const char *name, bool ro)
{
	struct node_options o = { .path = name, .format = "qcow2",
				  .read_only = ro, .no_backing = true };
	struct err err = ERR_INIT;
	struct node *node;

	must(node_open(&node, &o, &err), &err);
	must(graph_add(g, node, &err), &err);
	return node;
}

static void make_images(const struct shape *s)
{
	struct qcow2_create o = { .size = s->size, .cluster_bits = s->bits,
				  .refcount_order = s->order };
	char cmd[256];

	qcow2_file_new("base", &o);
	o.backing_name = "base";
	o.backing_format = "qcow2";
	if (!s->options) {
		qcow2_file_new("top", &o);
		return;
	}
	unlink("top");
	snprintf(cmd, sizeof(cmd), "qemu-img create -q -f qcow2 -o %s -b base "
		 "-F qcow2 top %llu", s->options, (unsigned long long)s->size);
	assert_int_equal(system(cmd), 0);
}

static struct node *open_both(struct graph *g)
{
	struct node *top, *base;

	graph_init(g);
	top = open_one(g, "top", false);
	base = open_one(g, "base", true);
	graph_link(top, base);
	graph_put(base);
	return top;
}

static void close_both(struct graph *g, struct node *top)
{
	graph_put(top);
	graph_release(g);
	check_image("top");
}

static void run_shape(void **state)
{
	const struct shape *s = *state;
	struct crowd c = { 0 };
	struct graph g;

	if (s->options && !have_qemu_img())
		skip();
	make_images(s);
	snprintf(c.what, sizeof(c.what), "%s", s->name);
	crowd_init(&c, &on_node, NULL, s->size,
		   cut_factor ? 1500 * cut_factor : 200);
	for (int round = 0; round < 2; round++) {
		c.disk = open_both(&g);
		if (round)
			crowd_verify(&c);
		crowd_start(&c);
		crowd_stop(&c);
		crowd_verify(&c);
		close_both(&g, c.disk);
	}
	free(c.model);
}

static struct shape shapes[] = {
	{ .name = "512", .bits = 9, .order = 4, .size = 200 << 10 },
	{ .name = "512, 64-bit refcounts", .bits = 9, .order = 6,
	  .size = 3 << 20 },
	{ .name = "4K", .bits = 12, .order = 4, .size = 400 << 10 },
	{ .name = "64K", .bits = 16, .order = 4, .size = 2 << 20 },
	{ .name = "extended L2", .bits = 14, .size = 500 << 10,
	  .options = "extended_l2=on,cluster_size=16k" },
	{ .name = "version 2", .bits = 12, .size = 200 << 10,
	  .options = "compat=0.10,cluster_size=4k" },
};

/* --- on a drive, under jobs --- */

static int drive_did(int rc, const struct err *err)
{
	if (rc)
		fprintf(stderr, "%s\n", err->text);
	return rc;
}

static int at_read(void *disk, uint64_t off, uint64_t len, void *buf)
{
	struct err err = ERR_INIT;

	return drive_did(engine_read(disk, DRIVE, off, len, buf, &err), &err);
}

static int at_write(void *disk, uint64_t off, uint64_t len, const void *buf)
{
	struct err err = ERR_INIT;

	return drive_did(engine_write(disk, DRIVE, off, len, buf, false, &err),
			 &err);
}

static int at_zero(void *disk, uint64_t off, uint64_t len, bool unmap)
{
	struct err err = ERR_INIT;

	return drive_did(engine_zero(disk, DRIVE, off, len, unmap, &err),
			 &err);
}

static int at_discard(void *disk, uint64_t off, uint64_t len)
{
	struct err err = ERR_INIT;

	return drive_did(engine_discard(disk, DRIVE, off, len, &err), &err);
}

static int at_flush(void *disk)
{
	struct err err = ERR_INIT;

	return drive_did(engine_flush(disk, DRIVE, &err), &err);
}

static const struct disk_ops at_drive = {
	.read = at_read, .write = at_write, .zero = at_zero,
	.discard = at_discard, .flush = at_flush,
};

struct site {
	struct world w;
	unsigned made;		/* snapshots */
	char top[32];		/* file of the drive */
};

static void look_around(struct site *s, char below[32], char deepest[32],
			unsigned *images)
{
	struct node_info *info;
	size_t n;

	engine_query_nodes(s->w.engine, &info, &n);
	*below = 0;
	for (size_t i = 0; i < n; i++) {
		const char *full = info[i].image.full_backing_filename;

		if (!full)
			snprintf(deepest, 32, "%.31s", info[i].file);
		if (!info[i].active)
			continue;
		snprintf(s->top, 32, "%.31s", info[i].file);
		snprintf(below, 32, "%.31s", full ? full : "");
	}
	node_info_free(info, n);
	*images = (unsigned)n;
}

static void take_snapshot(struct site *s)
{
	struct snapshot_options o = { .device = DRIVE };
	struct err err = ERR_INIT;
	char name[16];

	snprintf(name, sizeof(name), "s%u", s->made++);
	o.file = name;
	must(engine_snapshot(s->w.engine, &o, NULL, &err), &err);
}

static void end_well(struct site *s)
{
	struct event ev = job_wait(&s->w, 0);

	if (ev.type != EVENT_JOB_COMPLETED || *ev.text)
		fail_msg("the job failed: %s", ev.text);
}

static void stream(struct site *s, const char *base, bool cancel)
{
	struct stream_options o = { .device = DRIVE, .base = base };
	struct err err = ERR_INIT;

	must(engine_stream(s->w.engine, &o, &err), &err);
	if (cancel) {
		engine_job_cancel(s->w.engine, DRIVE, true, 0, &err);
		job_wait(&s->w, 0);
	} else {
		end_well(s);
	}
}

static void commit_lower(struct site *s, const char *top)
{
	struct commit_options o = { .device = DRIVE, .top = top };
	struct err err = ERR_INIT;

	must(engine_commit(s->w.engine, &o, &err), &err);
	end_well(s);
}

static void commit_all(struct site *s, bool pivot)
{
	struct commit_options o = { .device = DRIVE };
	struct err err = ERR_INIT;

	must(engine_commit(s->w.engine, &o, &err), &err);
	if (job_wait(&s->w, 0).type != EVENT_JOB_READY)
		fail_msg("the job was not ready");
	if (pivot) {
		must(engine_job_complete(s->w.engine, DRIVE, &err), &err);
		end_well(s);
	} else {
		must(engine_job_cancel(s->w.engine, DRIVE, false, 0, &err),
		     &err);
		job_wait(&s->w, 0);
	}
}

/* A job is gone a moment after it has told its end. */
static void no_jobs(struct site *s)
{
	struct job_info *info;
	size_t n;

	do {
		engine_query_jobs(s->w.engine, &info, &n);
		free(info);
		sched_yield();
	} while (n);
}

static void one_job(struct site *s)
{
	struct err err = ERR_INIT;
	char below[32], deepest[32];
	unsigned n;

	no_jobs(s);
	look_around(s, below, deepest, &n);
	if (n < 2 || (n < 5 && cut_random(&s->w.cut, 3) == 0)) {
		take_snapshot(s);
		return;
	}
	switch (cut_random(&s->w.cut, 7)) {
	case 0:
		stream(s, NULL, false);
		break;
	case 1:
		stream(s, n > 2 ? deepest : NULL, false);
		break;
	case 2:
		stream(s, NULL, true);
		break;
	case 3:
		if (n > 2)
			commit_lower(s, below);
		break;
	case 4:
		commit_all(s, true);
		break;
	case 5:
		commit_all(s, false);
		break;
	default:
		must(engine_commit_sync(s->w.engine, &(struct sync_options){
			.device = DRIVE }, &err), &err);
		end_well(s);
	}
}

static void site_open(struct site *s)
{
	struct drive_options o = { .id = DRIVE, .node.path = s->top,
				   .node.format = "qcow2", .force = true };
	struct err err = ERR_INIT;

	s->w.engine = engine_new();
	must(engine_add_drive(s->w.engine, &o, &err), &err);
	assert_int_equal(event_listen(engine_events(s->w.engine), &s->w.ear),
			 0);
}

static void test_jobs(void **state)
{
	const struct qcow2_create o = { .size = 1 << 20, .cluster_bits = 12,
					.refcount_order = 4 };
	struct crowd c = { .what = "jobs" };
	struct site s = { .top = "base", .w.cut.rnd = cut_seed };
	char below[32], deepest[32];
	unsigned n;

	(void)state;
	qcow2_file_new("base", &o);
	site_open(&s);
	crowd_init(&c, &at_drive, s.w.engine, o.size, 0);
	crowd_start(&c);
	for (unsigned i = 0; i < (cut_factor ? 60 * cut_factor : 10); i++)
		one_job(&s);
	crowd_stop(&c);
	no_jobs(&s);
	crowd_verify(&c);
	look_around(&s, below, deepest, &n);
	close_engine(&s.w);
	for (unsigned i = 0; i < s.made; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%u", i);
		check_image(name);
	}
	check_image("base");
	site_open(&s);
	c.disk = s.w.engine;
	crowd_verify(&c);
	close_engine(&s.w);
	free(c.model);
}

#define SHAPES (sizeof(shapes) / sizeof(*shapes))

int main(void)
{
	struct CMUnitTest tests[SHAPES + 1] = {
		[SHAPES] = cmocka_unit_test(test_jobs),
	};

	for (size_t i = 0; i < SHAPES; i++)
		tests[i] = (struct CMUnitTest){
			.name = shapes[i].name, .test_func = run_shape,
			.initial_state = &shapes[i],
		};
	return cmocka_run_group_tests(tests, cut_enter, cut_leave);
}
