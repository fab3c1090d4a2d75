/* test_powercut_jobs.c - jobs on chains while the guest writes, the power cut
 * at every write; see powercut.h. Files that a job which has COMPLETED made
 * superfluous are wiped in the history at that moment: who needs one still,
 * will be noticed.
 */
#include <semaphore.h>
#include <time.h>

#include "engine/engine_impl.h"
#include "engine/tools.h"
#include "tests/unit/guest_thread.h"
#include "tests/unit/powercut_chain.h"

#define BUDGET 150

/* --- what the guest flushes between base's last flush and the pivot --- */

enum { SHUT, ARMED, OPEN };

static _Atomic int window;
static sem_t window_opened, window_shut;

static bool window_goes(int from, int to)
{
	return atomic_compare_exchange_strong(&window, &from, to);
}

static bool window_wait(sem_t *sem)
{
	struct timespec until;
	int rc;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	do
		rc = sem_timedwait(sem, &until);
	while (rc && errno == EINTR);
	return !rc;
}

/* A flush of base waits until the guest has flushed the active layer. */
static int window_hook(const struct file *f, enum file_op op, uint64_t off,
		       uint64_t len, const void *buf)
{
	const char *name = recorder_name(f->path);
	int rc = recorder_hook(f, op, off, len, buf);

	if (op != FILE_OP_FLUSH)
		return rc;
	if (!strncmp(name, "l0", 2) && window_goes(ARMED, OPEN)) {
		sem_post(&window_opened);
		window_wait(&window_shut);
	} else if (!strcmp(name, "l3") && window_goes(OPEN, SHUT)) {
		sem_post(&window_shut);
	}
	return rc;
}

static void world_end(struct world *w)
{
	struct err err = ERR_INIT;
	size_t op = history_flush(&w->cut.h, guest_disk(&w->cut));

	must(engine_sync(w->engine, &err), &err);
	history_end(&w->cut.h, op);
	close_engine(w);
	recorder_stop();
	cut_judge(&w->cut);
	free(w->buf);
}

static void job_completes(struct world *w, unsigned work)
{
	struct event ev = job_wait(w, work);

	assert_int_equal(ev.type, EVENT_JOB_COMPLETED);
	assert_string_equal(ev.text, "");
}

static void stream_all(struct world *w)
{
	struct stream_options o = { .device = DRIVE };
	struct err err = ERR_INIT;

	must(engine_stream(w->engine, &o, &err), &err);
	job_completes(w, 20);
	chain_wipe(w, 0, LAYERS - 2);
}

static void stream_above_base(struct world *w)
{
	struct stream_options o = { .device = DRIVE, .base = w->layer[0] };
	struct err err = ERR_INIT;

	must(engine_stream(w->engine, &o, &err), &err);
	job_completes(w, 20);
	chain_wipe(w, 1, LAYERS - 2);
}

static void stream_cancelled(struct world *w)
{
	struct stream_options o = { .device = DRIVE,
				    .speed = 65536 };
	struct err err = ERR_INIT;

	must(engine_stream(w->engine, &o, &err), &err);
	guest_work(w, 10);
	/* unless it was faster */
	engine_job_cancel(w->engine, DRIVE, true, 0, &err);
	job_wait(w, 10);
}

static void commit_middle(struct world *w)
{
	struct commit_options o = { .device = DRIVE, .base = w->layer[0],
				    .top = w->layer[2] };
	struct err err = ERR_INIT;

	must(engine_commit(w->engine, &o, &err), &err);
	job_completes(w, 20);
	chain_wipe(w, 1, 2);
}

static void commit_active(struct world *w)
{
	struct commit_options o = { .device = DRIVE };
	struct err err = ERR_INIT;

	must(engine_commit(w->engine, &o, &err), &err);
	assert_int_equal(job_wait(w, 20).type, EVENT_JOB_READY);
	guest_work(w, 10);
	file_set_hook(window_hook);
	atomic_store(&window, ARMED);
	must(engine_job_complete(w->engine, DRIVE, &err), &err);
	assert_true(window_wait(&window_opened));
	w->no_fua = true;
	for (int i = 0; i < 5; i++)
		guest_change(w);
	w->no_fua = false;
	guest_flush(w);
	job_completes(w, 0);
	w->cut.active_from = w->cut.h.events + 1;
	w->cut.active_then = w->layer[0];
	chain_wipe(w, 1, LAYERS - 1);
}

static void commit_active_cancelled(struct world *w)
{
	struct commit_options o = { .device = DRIVE, .base = w->layer[1] };
	struct err err = ERR_INIT;

	must(engine_commit(w->engine, &o, &err), &err);
	assert_int_equal(job_wait(w, 20).type, EVENT_JOB_READY);
	guest_work(w, 10);
	must(engine_job_cancel(w->engine, DRIVE, false, 0, &err), &err);
	job_wait(w, 5);
}

/* --- a commit at once, and a guest that never waits --- */

static struct {
	struct world *world;
	struct gate *gate;
	bool emptied;		/* the overlay */
	bool flushed;		/* by the guest, since */
} at_once;

static bool guest_is_held(void)
{
	bool held;

	lock_take(&at_once.gate->lock);
	held = at_once.gate->held;
	lock_drop(&at_once.gate->lock);
	return held;
}

/* An error is an operation that never ends. */
static void write_at_once(void *world)
{
	struct world *w = world;
	struct err err = ERR_INIT;
	size_t op;

	fill_stamps(w->buf, SECTOR);
	op = history_write(&w->cut.h, guest_disk(&w->cut), 0, SECTOR, w->buf);
	if (!engine_write(w->engine, DRIVE, 0, SECTOR, w->buf, false, &err))
		history_end(&w->cut.h, op);
}

static void flush_at_once(void *world)
{
	struct world *w = world;
	struct err err = ERR_INIT;
	size_t op = history_flush(&w->cut.h, guest_disk(&w->cut));

	if (!engine_flush(w->engine, DRIVE, &err))
		history_end(&w->cut.h, op);
}

/* The guest writes behind each flush of base, also behind the last before it
 * is held; and flushes when the overlay is empty, before base is flushed any
 * more. */
static int at_once_hook(const struct file *f, enum file_op op, uint64_t off,
			uint64_t len, const void *buf)
{
	const char *name = recorder_name(f->path);
	bool base = op == FILE_OP_FLUSH && !strcmp(name, "l2");
	int rc;

	if (op == FILE_OP_TRUNCATE && !strcmp(name, "l3"))
		at_once.emptied = true;
	if (base && at_once.emptied && !at_once.flushed && !guest_is_held()) {
		at_once.flushed = true;
		guest_thread(flush_at_once, at_once.world);
	}
	rc = recorder_hook(f, op, off, len, buf);
	if (base && !at_once.emptied && !guest_is_held())
		guest_thread(write_at_once, at_once.world);
	return rc;
}

static void commit_at_once(struct world *w)
{
	struct err err = ERR_INIT;

	at_once.world = w;
	at_once.gate = &drive_find(&w->engine->graph, DRIVE)->gate;
	at_once.emptied = at_once.flushed = false;
	file_set_hook(at_once_hook);
	must(engine_commit_sync(w->engine, &(struct sync_options){
			.device = DRIVE }, &err), &err);
	file_set_hook(recorder_hook);
	assert_true(at_once.flushed);
}

static void snapshot(struct world *w)
{
	struct snapshot_options o = { .device = DRIVE, .file = "snap" };
	struct err err = ERR_INIT;

	unlink("snap");
	must(engine_snapshot(w->engine, &o, NULL, &err), &err);
	w->cut.active_from = w->cut.h.events + 1;
	w->cut.active_then = "snap";
}

/* --- rebase: the drive away, the image on another layer, the drive back --- */

static void rebase_to(struct world *w, const char *base, const char *format)
{
	const struct rebase_options o = {
		.image = { .path = w->layer[LAYERS - 1], .format = "qcow2" },
		.base = base, .format = format,
	};
	struct err err = ERR_INIT;
	size_t op = history_flush(&w->cut.h, guest_disk(&w->cut));

	must(engine_sync(w->engine, &err), &err);
	history_end(&w->cut.h, op);
	close_engine(w);
	w->engine = engine_new();
	must(engine_rebase(w->engine, &o, &err), &err);
	engine_free(w->engine);
}

static void rebase_lower(struct world *w)
{
	rebase_to(w, w->layer[0], w->plan->raw ? "raw" : "qcow2");
	chain_wipe(w, 1, LAYERS - 2);
	open_engine(w, LAYERS - 1, false);
}

static void rebase_flat(struct world *w)
{
	rebase_to(w, "", NULL);
	chain_wipe(w, 0, LAYERS - 2);
	open_engine(w, LAYERS - 1, false);
}

/* --- all of them on all --- */

static const struct {
	const char *name;
	void (*run)(struct world *w);
} works[] = {
	{ "stream", stream_all },
	{ "stream above a base", stream_above_base },
	{ "stream, cancelled", stream_cancelled },
	{ "commit in the middle", commit_middle },
	{ "active commit", commit_active },
	{ "active commit, cancelled", commit_active_cancelled },
	{ "commit at once", commit_at_once },
	{ "snapshot", snapshot },
	{ "rebase", rebase_lower },
	{ "rebase onto nothing", rebase_flat },
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Where it is slow, each plan does some of the works, and others than the one
 * before. */
static void run_plan(void **state)
{
	static size_t turn;
	const size_t step = (size_t)slow_step();
	const struct plan *p = *state;
	struct world w;
	char what[128];

	if (p->options && !have_qemu_img())
		skip();
	for (size_t i = turn++ % step; i < COUNT(works); i += step) {
		snprintf(what, sizeof(what), "%s, %s", works[i].name, p->name);
		world_make(&w, p, what, BUDGET);
		world_begin(&w);
		guest_work(&w, 10);
		works[i].run(&w);
		guest_work(&w, 10);
		world_end(&w);
	}
}

static struct plan plans[] = {
	{ .name = "4K", .bits = 12, .order = 4, .size = 300 << 10 },
	{ .name = "64K", .bits = 16, .order = 4, .size = 900 << 10 },
	{ .name = "raw base", .bits = 12, .order = 4, .size = 300 << 10,
	  .raw = true },
	{ .name = "smaller base", .bits = 12, .order = 4, .size = 300 << 10,
	  .base_size = (100 << 10) + 512 },
	{ .name = "smaller raw base", .bits = 9, .order = 6, .size = 100 << 10,
	  .base_size = (50 << 10) + 512, .raw = true },
	{ .name = "extended L2", .bits = 14, .size = 500 << 10,
	  .options = "extended_l2=on,cluster_size=16k" },
	{ .name = "lazy refcounts", .bits = 12, .size = 300 << 10,
	  .options = "lazy_refcounts=on,cluster_size=4k" },
	{ .name = "version 2", .bits = 12, .size = 300 << 10,
	  .options = "compat=0.10,cluster_size=4k" },
};

int main(void)
{
	struct CMUnitTest tests[COUNT(plans)];

	sem_init(&window_opened, 0, 0);
	sem_init(&window_shut, 0, 0);
	for (size_t i = 0; i < COUNT(plans); i++)
		tests[i] = (struct CMUnitTest){
			.name = plans[i].name, .test_func = run_plan,
			.initial_state = &plans[i],
		};
	return cmocka_run_group_tests(tests, cut_enter, cut_leave);
}
