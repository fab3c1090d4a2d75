/* test_jobs_faults.c - every operation of a job fails once: no false success,
 * the guest sees what it saw, the images stay sound.
 */
#include "tests/unit/jobs_fault.h"
#include "tests/unit/slow.h"

#include <errno.h>
#include <stdatomic.h>

static struct {
	_Atomic int countdown;		/* 0: nothing fails */
	_Atomic bool struck;
	bool writes_only;
	_Atomic int error;		/* changed while a job is at work */
} fault;

static int strike(const struct file *f, enum file_op op, uint64_t off,
		  uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)len;
	(void)buf;
	/* Discards and clones are only tried; a file is opened before. */
	if (op == FILE_OP_DISCARD || op == FILE_OP_CLONE ||
	    op == FILE_OP_OPEN || (fault.writes_only && op != FILE_OP_WRITE))
		return 0;
	if (atomic_fetch_sub(&fault.countdown, 1) != 1)
		return 0;
	fault.struck = true;
	return -fault.error;
}

static int start_stream(struct world *w, struct err *err)
{
	return engine_stream(w->engine, &(struct stream_options){
			.device = "disk0", .base = "layer0" }, err);
}

static int start_stream_all(struct world *w, struct err *err)
{
	return engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, err);
}

static int start_commit(struct world *w, struct err *err)
{
	return engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .base = "layer0",
			.top = "layer2" }, err);
}

static int start_active(struct world *w, struct err *err)
{
	return engine_commit(w->engine, &(struct commit_options){
			.device = "disk0" }, err);
}

/* True if the job said that it ended well. */
static bool run_job(struct world *w,
		    int (*start)(struct world *w, struct err *err))
{
	struct err err = ERR_INIT;
	struct event ev;

	if (start(w, &err) < 0)
		return false;
	world_wait(w, EVENT_JOB_READY, EVENT_JOB_COMPLETED, &ev);
	if (ev.type == EVENT_JOB_READY) {
		engine_job_complete(w->engine, "disk0", &err);
		world_wait(w, EVENT_JOB_COMPLETED, EVENT_NONE, &ev);
	}
	return !*ev.text;
}

static void every_operation_fails(struct world *w, int error,
				  int (*start)(struct world *w,
					       struct err *err))
{
	for (int n = 1;; n += slow_step()) {
		bool well;

		make_chain(w);
		fault.error = error;
		fault.struck = false;
		fault.countdown = n;
		file_set_hook(strike);
		well = run_job(w, start);
		fault.countdown = 0;
		assert_true(well || fault.struck);
		verify_all(w);
		file_set_hook(NULL);
		if (!fault.struck)
			break;
	}
}

/* --- two overlays on top --- */

static void make_fork(struct world *w)
{
	struct qcow2_create o = {
		.size = 512 << 10, .cluster_bits = 16, .refcount_order = 4,
		.backing_name = "layer2", .backing_format = "qcow2",
	};
	struct drive_options fork = { .id = "disk1" };
	struct err err = ERR_INIT;

	make_chain(w);
	qcow2_file_new("fork", &o);
	fork.node.path = "fork";
	must(engine_add_drive(w->engine, &fork, &err), &err);
}

static void assert_on(struct world *w, const char *id, const char *below)
{
	const struct node *n = drive_find(&w->engine->graph, id)->root.node;

	assert_string_equal(n->backing->file->path, below);
	assert_string_equal(n->backing_name, below);
	assert_string_equal(n->backing_format, "qcow2");
}

static void all_overlays_or_none(void **state)
{
	struct world *w = *state;

	fault.error = EIO;
	for (int n = 1; n == 1 || fault.struck; n += slow_step()) {
		const char *below;

		make_fork(w);
		fault.struck = false;
		fault.countdown = n;
		file_set_hook(strike);
		below = run_job(w, start_commit) ? "layer0" : "layer2";
		fault.countdown = 0;
		assert_on(w, "disk0", below);
		assert_on(w, "disk1", below);
		world_verify(w);
		finish(w);
		check_sound();
		file_set_hook(NULL);
	}
}

/* A job that an error stopped goes on where it was. */
static void a_stopped_job_resumes(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	make_chain(w);
	fault.error = ENOSPC;
	fault.writes_only = true;
	fault.countdown = 1;
	file_set_hook(strike);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0",
			.job.on_error = ON_ERROR_ENOSPC }, &err), &err);
	world_wait(w, EVENT_JOB_ERROR, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_ERROR);
	assert_string_equal(ev.operation, "write");
	assert_string_equal(ev.action, "stop");
	world_verify(w);
	must(engine_job_resume(w->engine, "disk0", &err), &err);
	world_completes(w);
	file_set_hook(NULL);
	fault.writes_only = false;
	world_verify(w);
	finish(w);
	check_sound();
}

/* The disk of the lowest image is full. */
static int full(const struct file *f, enum file_op op, uint64_t off,
		uint64_t len, const void *buf)
{
	(void)off;
	(void)len;
	(void)buf;
	return fault.error && op == FILE_OP_WRITE &&
	       !strcmp(f->path, "layer0") ? -fault.error : 0;
}

static void changes(struct world *w, int count)
{
	while (count--)
		world_change(w);
}

/* The guest does not notice; the job is READY again when base has caught up,
 * with the guest at work all the time. */
static void a_mirror_that_fell_behind_catches_up(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	make_chain(w);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0",
			.job.on_error = ON_ERROR_ENOSPC }, &err), &err);
	world_ready(w);
	fault.error = ENOSPC;
	file_set_hook(full);
	for (int round = 0; round < 3; round++) {
		fault.error = ENOSPC;
		changes(w, 20);
		world_wait(w, EVENT_JOB_ERROR, EVENT_JOB_COMPLETED, &ev);
		assert_int_equal(ev.type, EVENT_JOB_ERROR);
		assert_string_equal(ev.operation, "write");
		assert_string_equal(ev.action, "stop");
		changes(w, 20);
		fault.error = 0;
		must(engine_job_resume(w->engine, "disk0", &err), &err);
		changes(w, 20);
	}
	/* Its own write and a guest's may both have failed: two errors. */
	must(engine_job_complete(w->engine, "disk0", &err), &err);
	for (;;) {
		world_wait(w, EVENT_JOB_ERROR, EVENT_JOB_COMPLETED, &ev);
		if (ev.type == EVENT_JOB_COMPLETED)
			break;
		must(engine_job_resume(w->engine, "disk0", &err), &err);
	}
	if (*ev.text)
		fail_msg("%s", ev.text);
	verify_all(w);
	file_set_hook(NULL);
}

/* Without such a policy it ends, and the drive stays where it is. */
static void a_mirror_that_fell_behind_ends(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	make_chain(w);
	must(start_active(w, &err), &err);
	world_ready(w);
	fault.error = EIO;
	file_set_hook(full);
	changes(w, 20);
	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
	assert_string_equal(ev.text, "Input/output error");
	fault.error = 0;
	verify_all(w);
	assert_int_equal(w->layers, 4);
	file_set_hook(NULL);
}

static void streams_survive(void **state)
{
	every_operation_fails(*state, EIO, start_stream);
	every_operation_fails(*state, ENOSPC, start_stream_all);
}

static void commits_survive(void **state)
{
	every_operation_fails(*state, EIO, start_commit);
}

static void active_commits_survive(void **state)
{
	every_operation_fails(*state, ENOSPC, start_active);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fault_enter, \
							 fault_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stopped_job_resumes),
		TEST(a_mirror_that_fell_behind_catches_up),
		TEST(a_mirror_that_fell_behind_ends),
		TEST(streams_survive),
		TEST(commits_survive),
		TEST(all_overlays_or_none),
		TEST(active_commits_survive),
	};

	return cmocka_run_group_tests_name("jobs_faults", tests,
					   scratch_enter, scratch_leave);
}
