/* test_sync.c - HMP's commit and the offline one: jobs that others see and end,
 * for whom somebody waits.
 */
#include "tests/unit/jobs_world.h"

#define MIB (1u << 20)

struct caller {
	struct world *w;
	struct sync_options o;
	pthread_t thread;
	int rc;
	struct err err;
};

static void caller_run(void *arg)
{
	struct caller *c = arg;

	c->rc = engine_commit_sync(c->w->engine, &c->o, &c->err);
}

static void make_chain(struct world *w)
{
	for (unsigned i = 0; i < 3; i++) {
		if (i)
			world_close(w);
		world_add_layer(w, MIB, 16);
		world_open(w);
		world_write(w, i * 65536u, 256u << 10);
	}
}

static void status_is(struct world *w, const char *status)
{
	struct event ev;

	do
		world_wait(w, EVENT_JOB_STATUS, EVENT_JOB_STATUS, &ev);
	while (strcmp(ev.status, status));
}

/* Somebody waits for a commit that stands still after its first piece. */
static void call(struct caller *c, struct world *w, const char *device)
{
	*c = (struct caller){ .w = w, .o = { .device = device, .speed = 1 } };
	assert_int_equal(thread_start(&c->thread, "caller", caller_run, c), 0);
	status_is(w, "running");
}

static void has_failed(struct caller *c, const char *text)
{
	thread_join(c->thread);
	assert_int_equal(c->rc, -1);
	assert_string_equal(c->err.text, text);
}

#define CANCELLED(what) "'commit' error for '" what "': Cancelled; the " \
	"active layer is as it was"

static void is_whole(struct world *w)
{
	world_verify(w);
	world_close(w);
	world_check(w);
	world_open(w);
	world_verify(w);
}

static void shows_itself_and_is_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct job_info *jobs;
	struct caller c;
	size_t n;

	make_chain(w);
	call(&c, w, "disk0");
	assert_int_equal(engine_query_jobs(w->engine, &jobs, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(jobs[0].id, "disk0");
	assert_string_equal(jobs[0].type, "commit");
	assert_true(*jobs[0].top && *jobs[0].base);
	assert_int_equal(jobs[0].len, MIB);
	free(jobs);
	/* The guest goes on, and nobody else comes in between. */
	world_write(w, 0, 128u << 10);
	world_zero(w, 700u << 10, 64u << 10);
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0" }, &err), -1);
	assert_string_equal(err.text, "'commit' error for 'disk0': Device or "
			    "resource busy");
	must(engine_job_cancel(w->engine, "disk0", false, 60 * NS_PER_SEC,
			       &err), &err);
	assert_int_equal(engine_query_jobs(w->engine, &jobs, &n), 0);
	assert_int_equal(n, 0);
	free(jobs);
	has_failed(&c, CANCELLED("disk0"));
	is_whole(w);
}

static void a_paused_one_is_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct caller c;

	make_chain(w);
	call(&c, w, "all");
	must(engine_job_pause(w->engine, "disk0", &err), &err);
	status_is(w, "paused");
	must(engine_job_cancel(w->engine, "disk0", true, 0, &err), &err);
	has_failed(&c, CANCELLED("all"));
	is_whole(w);
}

struct seen {
	unsigned calls, most;		/* give up after so many */
	uint64_t done, total;
};

static bool look(uint64_t done, uint64_t total, void *arg)
{
	struct seen *s = arg;

	assert_true(done >= s->done && done <= total);
	s->done = done;
	s->total = total;
	return ++s->calls < s->most;
}

static void the_caller_gives_up(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct seen seen = { .most = 2 };
	struct sync_options o = { .device = "disk0", .speed = 1,
				  .progress = look, .arg = &seen };

	make_chain(w);
	assert_int_equal(engine_commit_sync(w->engine, &o, &err), -1);
	assert_string_equal(err.text, CANCELLED("disk0"));
	is_whole(w);
	seen = (struct seen){ .most = UINT32_MAX };
	o.speed = 0;
	must(engine_commit_offline(w->engine, &o, &err), &err);
	assert_int_equal(seen.total, 256u << 10);
	assert_int_equal(seen.done, seen.total);
	is_whole(w);
	o.speed = -1;
	assert_int_equal(engine_commit_sync(w->engine, &o, &err), -1);
	assert_int_equal(err.class, ERR_INVALID_PARAMETER);
}

/* Another disk's job has the name. */
static void takes_a_name_that_is_free(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct drive_options d = { .id = "other", .node.path = "beside" };
	struct event ev;

	make_chain(w);
	if (system("qemu-img create -q -f qcow2 -b layer0 -F qcow2 beside"))
		skip();
	must(engine_add_drive(w->engine, &d, &err), &err);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "other", .job.id = "disk0", .speed = 1,
		}, &err), &err);
	must(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0" }, &err), &err);
	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
	assert_string_equal(ev.id, "commit-disk0");
	world_verify(w);
}

/* From the end on nobody begins anything: who commits all disks neither. */
static void the_end_of_the_program(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct caller c;

	make_chain(w);
	call(&c, w, "disk0");
	engine_cancel_all(w->engine);
	has_failed(&c, CANCELLED("disk0"));
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "all" }, &err), -1);
	assert_string_equal(err.text, "'commit' error for 'all': Job 'disk0' "
			    "is not started: the program ends");
	assert_int_equal(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), -1);
	assert_string_equal(err.text, "Job 'disk0' is not started: the "
			    "program ends");
	is_whole(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_enter, \
						   world_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_itself_and_is_cancelled),
		TEST(a_paused_one_is_cancelled),
		TEST(the_caller_gives_up),
		TEST(takes_a_name_that_is_free),
		TEST(the_end_of_the_program),
	};

	return cmocka_run_group_tests_name("sync", tests, scratch_enter,
					   scratch_leave);
}
