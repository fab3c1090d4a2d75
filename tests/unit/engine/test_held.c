/* test_held.c - how much is written while a guest is held: one sector of a
 * header at most, for what waits in memory goes out before, while it works.
 */
#include "tests/unit/jobs_world.h"

#include <errno.h>
#include <semaphore.h>

#define MIB (1u << 20)
#define LAYERS 3
#define HEADER 512u		/* bytes that are written of it */

static struct gate *gate;		/* the guest's */
static _Atomic uint64_t held_bytes;	/* written behind it */
static char target[16];
static sem_t target_written;

static int held_hook(const struct file *f, enum file_op op, uint64_t off,
		     uint64_t len, const void *buf)
{
	(void)off;
	(void)buf;
	if (op != FILE_OP_WRITE)
		return 0;
	lock_take(&gate->lock);
	if (gate->held)
		held_bytes += len;
	lock_drop(&gate->lock);
	if (!strcmp(f->path, target))
		sem_post(&target_written);
	return 0;
}

/* What is written from here on is counted; @layer is the job's target. */
static void watch(struct world *w, unsigned layer)
{
	world_name(target, layer);
	sem_init(&target_written, 0, 0);
	gate = &drive_find(&w->engine->graph, "disk0")->gate;
	held_bytes = 0;
	file_set_hook(held_hook);
}

/* No more of it is: the job is over. */
static void watched(struct world *w, uint64_t most)
{
	file_set_hook(NULL);
	sem_destroy(&target_written);
	assert_in_range(held_bytes, 0, most);
	world_verify(w);
}

/* Small clusters: much waits in memory soon. */
static void make_chain(struct world *w)
{
	for (unsigned i = 0; i < LAYERS; i++) {
		if (i)
			world_close(w);
		world_add_layer(w, 4 * MIB, 9);
		world_open(w);
		world_write(w, i * MIB, MIB);
	}
}

static void make_read_only_chain(struct world *w)
{
	struct drive_options o = { .id = "disk0", .node = {
		.path = "layer2", .read_only = true } };
	struct err err = ERR_INIT;

	make_chain(w);
	world_close(w);
	w->engine = engine_new();
	must(engine_add_drive(w->engine, &o, &err), &err);
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
}

/* The job has written something, and wants to write more. Where its start held
 * the guest that may have been before it had ended. */
static void cancel_halfway(struct world *w)
{
	struct err err = ERR_INIT;
	struct event ev;

	while (sem_wait(&target_written) && errno == EINTR)
		;
	held_bytes = 0;
	must(engine_job_cancel(w->engine, "disk0", true, 0, &err), &err);
	world_wait(w, EVENT_JOB_CANCELLED, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_CANCELLED);
}

static void the_end_of_a_stream(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w);
	watch(w, 2);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), &err);
	world_completes(w);
	watched(w, HEADER);
}

static void a_stream_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_read_only_chain(w);
	watch(w, 2);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0", .speed = 1 }, &err), &err);
	cancel_halfway(w);
	watched(w, 0);
}

static void a_commit_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w);
	watch(w, 0);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .top = "layer1", .speed = 1 },
			&err), &err);
	cancel_halfway(w);
	watched(w, 0);
}

static void an_active_commit_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w);
	watch(w, 0);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .speed = 1 }, &err), &err);
	cancel_halfway(w);
	watched(w, 0);
}

static bool until_written(uint64_t done, uint64_t total, void *arg)
{
	(void)done;
	(void)total;
	(void)arg;
	if (sem_trywait(&target_written))
		return true;
	held_bytes = 0;
	return false;
}

static void a_commit_at_once_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w);
	watch(w, 1);
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0", .speed = 1,
			.progress = until_written }, &err), -1);
	watched(w, 0);
}

static void a_snapshot(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w);
	watch(w, 2);
	must(engine_snapshot(w->engine, &(struct snapshot_options){
			.device = "disk0", .file = "layer3" }, NULL, &err),
	     &err);
	watched(w, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_enter, \
						   world_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_end_of_a_stream),
		TEST(a_stream_cancelled),
		TEST(a_commit_cancelled),
		TEST(an_active_commit_cancelled),
		TEST(a_commit_at_once_cancelled),
		TEST(a_snapshot),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
