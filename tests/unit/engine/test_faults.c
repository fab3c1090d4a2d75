/* test_faults.c - every n-th operation on the host fails, once or from then
 * on, under every kind of job while the guest works. Whatever happens
 *   - a job that says it ended well has done its work,
 *   - the guest sees what it wrote; where its own request failed, the old or
 *     the new content,
 *   - the images are free of contradictions (leaks aside), and after the
 *     fault the program goes on: the guest can write, the job can be repeated,
 *   - but a file whose fsync failed never has another success.
 *
 * BLKMON_SEED=N other numbers; BLKMON_CRASH=N every n-th operation more often.
 */
#include "tests/unit/powercut_chain.h"

#define STRIDE (12 * SLOW_BUILD)

struct fault {
	const char *name;
	int error;
	unsigned ops;		/* which count: 1 << FILE_OP_... */
	bool lasting;		/* else only the n-th */
};

#define OP(name) (1u << FILE_OP_##name)
#define ANY_OP 0xffu
#define GROWING (OP(WRITE) | OP(ZERO) | OP(TRUNCATE) | OP(CLONE))

static const struct fault faults[] = {
	{ "EIO once", EIO, ANY_OP, false },
	{ "EIO for ever", EIO, ANY_OP, true },
	{ "write: EIO once", EIO, GROWING, false },
	{ "ENOSPC once", ENOSPC, GROWING, false },
	{ "ENOSPC for ever", ENOSPC, GROWING, true },
	{ "fsync: EIO once", EIO, OP(FLUSH), false },
};

static struct {
	const struct fault *fault;
	_Atomic unsigned count, at;	/* at 0: none fails */
	_Atomic unsigned flushes;	/* that failed */
	_Atomic bool named;		/* the next is there */
	char failed[32];		/* the file that the first was of */
	_Atomic unsigned retried;	/* flushes of it after that */
} armed;

static void note_failed_flush(const struct file *f)
{
	if (armed.flushes++)
		return;
	snprintf(armed.failed, sizeof(armed.failed), "%.31s", f->path);
	armed.named = true;
}

static int pass_on(const struct file *f, enum file_op op, uint64_t off,
		   uint64_t len, const void *buf)
{
	return recorder_history ? recorder_hook(f, op, off, len, buf) : 0;
}

static int fault_hook(const struct file *f, enum file_op op, uint64_t off,
		      uint64_t len, const void *buf)
{
	unsigned n, at = armed.at;

	if (op == FILE_OP_FLUSH && armed.named &&
	    !strcmp(f->path, armed.failed))
		armed.retried++;
	if (!at || !(armed.fault->ops & 1u << op))
		return pass_on(f, op, off, len, buf);
	n = ++armed.count;
	if (n != at && !(armed.fault->lasting && n > at))
		return pass_on(f, op, off, len, buf);
	if (op == FILE_OP_FLUSH)
		note_failed_flush(f);
	return -armed.fault->error;
}

/* --- jobs: 0 if they say that they ended well --- */

static char situation[160];

#define HOLDS(what) \
	do { \
		if (!(what)) \
			fail_msg("%s: not true: %s", situation, #what); \
	} while (0)

static unsigned images(struct world *w)
{
	struct node_info *info;
	size_t n;

	engine_query_nodes(w->engine, &info, &n);
	node_info_free(info, n);
	return (unsigned)n;
}

static int job_ends(struct world *w, unsigned work)
{
	struct event ev = job_wait(w, work);

	return ev.type == EVENT_JOB_COMPLETED && !*ev.text ? 0 : -1;
}

static int stream_all(struct world *w)
{
	struct stream_options o = { .device = DRIVE };
	struct err err = ERR_INIT;

	return engine_stream(w->engine, &o, &err) ? -1 : job_ends(w, 3);
}

static int stream_above_base(struct world *w)
{
	struct stream_options o = { .device = DRIVE, .base = w->layer[0] };
	struct err err = ERR_INIT;

	return engine_stream(w->engine, &o, &err) ? -1 : job_ends(w, 3);
}

static int commit_middle(struct world *w)
{
	struct commit_options o = { .device = DRIVE, .base = w->layer[0],
				    .top = w->layer[2] };
	struct err err = ERR_INIT;

	return engine_commit(w->engine, &o, &err) ? -1 : job_ends(w, 3);
}

static int commit_active(struct world *w)
{
	struct commit_options o = { .device = DRIVE };
	struct err err = ERR_INIT;
	struct event ev;

	if (engine_commit(w->engine, &o, &err))
		return -1;
	ev = job_wait(w, 3);
	if (ev.type != EVENT_JOB_READY)
		return -1;
	guest_work(w, 3);
	engine_job_complete(w->engine, DRIVE, &err);
	return job_ends(w, 0);
}

static int commit_at_once(struct world *w)
{
	struct err err = ERR_INIT;

	return engine_commit_sync(w->engine, &(struct sync_options){
			.device = DRIVE }, &err);
}

static int snapshot(struct world *w)
{
	struct snapshot_options o = { .device = DRIVE, .file = "snap" };
	struct err err = ERR_INIT;

	return engine_snapshot(w->engine, &o, NULL, &err);
}

struct work {
	const char *name;
	int (*run)(struct world *w);
	unsigned images;	/* open when it has ended well */
	unsigned first, last;	/* layers not needed any more then */
	const char *active;	/* then; NULL: as before */
};

static const struct work works[] = {
	{ "stream", stream_all, 1, 0, 2, NULL },
	{ "stream above a base", stream_above_base, 2, 1, 2, NULL },
	{ "commit in the middle", commit_middle, 2, 1, 2, NULL },
	{ "active commit", commit_active, 1, 1, 3, "l0" },
	{ "commit at once", commit_at_once, LAYERS, 1, 0, NULL },
	{ "snapshot", snapshot, LAYERS + 1, 1, 0, "snap" },
};

/* --- what must hold --- */

/* The file of the drive. */
static const char *active_name(struct world *w)
{
	static char name[32];
	struct node_info *info;
	size_t n;

	engine_query_nodes(w->engine, &info, &n);
	for (size_t i = 0; i < n; i++)
		if (info[i].active)
			snprintf(name, sizeof(name), "%.31s", info[i].file);
	node_info_free(info, n);
	return name;
}

/* Goes to the end of the history: what is loose then may or may not be seen;
 * @exact: what is not known to have failed is. */
static void check_content(struct world *w, bool exact)
{
	struct history *h = &w->cut.h;
	struct disk *d = &h->disk[guest_disk(&w->cut)];
	struct err err = ERR_INIT;
	int rc = engine_read(w->engine, DRIVE, 0, w->size, w->buf, &err);

	HOLDS(!rc);
	if (exact)
		history_end(h, history_flush(h, guest_disk(&w->cut)));
	history_rewind(h);
	while (h->at < h->events)
		history_step(h);
	for (uint64_t i = 0; i < w->size / SECTOR; i++)
		if (!history_could_hold(h, d, i, w->buf + i * SECTOR))
			fail_msg("%s: wrong content at %llx: %02x (%02x)",
				 situation, (unsigned long long)i * SECTOR,
				 w->buf[i * SECTOR], d->img[i * SECTOR]);
	if (exact)
		return;
	/* until something is flushed again, this is how it is */
	history_end(h, history_write(h, guest_disk(&w->cut), 0, w->size,
				     w->buf));
}

static void check_image(const char *name)
{
	uint64_t size;
	uint8_t *img;
	char why[256];

	if (access(name, F_OK))
		return;
	img = recorder_load(name, &size);
	if (!qcow2_judge(img, size, why, sizeof(why)))
		fail_msg("%s: %s: %s", situation, name, why);
	free(img);
}

static void check_images(struct world *w)
{
	for (unsigned i = 0; i < LAYERS; i++)
		check_image(w->layer[i]);
	check_image("snap");
}

static void open_active(struct world *w, const char *name)
{
	struct drive_options o = { .id = DRIVE, .node.path = name,
				   .node.format = "qcow2", .force = true };
	struct err err = ERR_INIT;

	w->engine = engine_new();
	if (engine_add_drive(w->engine, &o, &err))
		fail_msg("%s: %s", situation, err.text);
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
}

/* The layers before anything happened. */
static struct {
	uint8_t *data;
	uint64_t size;
} original[LAYERS];

static void restore_layers(struct world *w)
{
	unlink("snap");
	for (unsigned i = 0; i < LAYERS; i++) {
		FILE *f = fopen(w->layer[i], "w");

		assert_non_null(f);
		assert_int_equal(fwrite(original[i].data, original[i].size, 1,
					f), 1);
		fclose(f);
	}
}

static void guest_restart(struct world *w)
{
	uint8_t *data = malloc(w->size);

	memcpy(data, w->start, w->size);
	history_disk(&w->cut.h, GUEST, data, w->size);
}

/* The fault is over, the engine open. */
static void go_on(struct world *w, const struct work *work, int rc)
{
	check_content(w, false);
	if (!rc)
		HOLDS(images(w) == work->images);
	if (armed.flushes) {
		HOLDS(strcmp(armed.failed, active_name(w)) || guest_flush(w));
		return;
	}
	w->may_fail = false;
	guest_work(w, 6);
	if (rc && (work->run(w) || images(w) != work->images))
		fail_msg("%s: can't be repeated", situation);
	w->may_fail = true;
}

/* One run with the n-th operation failing. False if there were fewer. */
static bool one_run(struct world *w, const struct work *work, unsigned n,
		    bool lift)
{
	struct err err = ERR_INIT;
	bool again, done;
	int rc;

	restore_layers(w);
	history_init(&w->cut.h);
	open_active(w, w->layer[LAYERS - 1]);
	guest_restart(w);
	w->may_fail = true;
	armed.count = armed.flushes = armed.retried = 0;
	armed.named = false;
	armed.at = n;
	guest_work(w, 4);
	rc = work->run(w);
	again = armed.count >= n;
	done = !rc;
	if (lift) {
		armed.at = 0;
		go_on(w, work, rc);
		done = done || !armed.flushes;
	}
	rc = engine_sync(w->engine, &err);
	HOLDS(!armed.retried);
	close_engine(w);
	armed.at = 0;
	check_images(w);
	open_active(w, done && work->active ? work->active :
					      w->layer[LAYERS - 1]);
	check_content(w, !rc);
	close_engine(w);
	history_release(&w->cut.h);
	return again;
}

static void make_world(struct world *w)
{
	static const struct plan plan = { .name = "faults", .bits = 12,
					  .order = 4, .size = 120 << 10 };
	world_make(w, &plan, "faults", 0);
	history_release(&w->cut.h);
	w->start = malloc(w->size);
	memcpy(w->start, w->buf, w->size);
	for (unsigned i = 0; i < LAYERS; i++)
		original[i].data = recorder_load(w->layer[i],
						 &original[i].size);
}

static void drop_world(struct world *w)
{
	for (unsigned i = 0; i < LAYERS; i++)
		free(original[i].data);
	free(w->start);
	free(w->buf);
}

static void run_fault(void **state)
{
	const struct fault *fault = *state;
	unsigned stride = STRIDE / (cut_factor ? cut_factor : 1);
	struct world w;

	armed.at = 0;
	make_world(&w);
	armed.fault = fault;
	file_set_hook(fault_hook);
	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++) {
		unsigned n = 1 + (unsigned)cut_random(&w.cut, 3);
		bool lift;

		do {
			lift = cut_random(&w.cut, 3);
			snprintf(situation, sizeof(situation), "%s, %s, "
				 "operation %u, %s, BLKMON_SEED=%llu",
				 works[i].name, fault->name, n,
				 lift ? "lifted" : "till closed",
				 (unsigned long long)cut_seed);
			cut_total++;
			if (!one_run(&w, &works[i], n, lift))
				break;
			n += fault->ops == OP(FLUSH) || stride < 2 ? 1 :
			     1 + (unsigned)cut_random(&w.cut, 2 * stride);
		} while (cut_factor || n < 25);
	}
	file_set_hook(NULL);
	drop_world(&w);
}

/* --- what is reported as done is durable --- */

/* The n-th fsync fails and nothing is durable by it; then the power is cut at
 * some writes. */
static bool one_cut(struct world *w, const struct work *work, unsigned n)
{
	const char *names[] = { "l0", "l1", "l2", "l3", NULL };
	struct powercut *c = &w->cut;
	uint64_t rnd = c->rnd;

	restore_layers(w);
	cut_init(c, situation, w->layer[LAYERS - 1], 60);
	c->rnd = rnd;
	guest_restart(w);
	recorder_start(&c->h, names);
	file_set_hook(fault_hook);
	armed.count = armed.flushes = armed.retried = 0;
	armed.named = false;
	armed.at = n;
	open_active(w, w->layer[LAYERS - 1]);
	guest_work(w, 4);
	if (!work->run(w)) {
		c->active_from = c->h.events + 1;
		c->active_then = work->active;
		chain_wipe(w, work->first, work->last);
	}
	guest_work(w, 4);
	close_engine(w);
	recorder_stop();
	cut_judge(c);
	return armed.count >= n;
}

static void run_fsync(void **state)
{
	static const struct fault fsync_once = {
		"fsync: EIO once", EIO, OP(FLUSH), false,
	};
	struct world w;

	(void)state;
	armed.at = 0;
	make_world(&w);
	w.may_fail = true;
	armed.fault = &fsync_once;
	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++) {
		unsigned n = 0;

		do {
			snprintf(situation, sizeof(situation), "%s, fsync %u "
				 "fails", works[i].name, ++n);
		} while (one_cut(&w, &works[i], n));
	}
	drop_world(&w);
}

#define FAULTS (sizeof(faults) / sizeof(*faults))

int main(void)
{
	struct CMUnitTest tests[FAULTS + 1] = {
		[FAULTS] = cmocka_unit_test(run_fsync),
	};

	for (size_t i = 0; i < FAULTS; i++)
		tests[i] = (struct CMUnitTest){
			.name = faults[i].name, .test_func = run_fault,
			.initial_state = (void *)(uintptr_t)&faults[i],
		};
	return cmocka_run_group_tests(tests, cut_enter, cut_leave);
}
