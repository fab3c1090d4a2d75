/* test_jobs.c - stream and commit on real images: what the guest sees, what
 * the chain is afterwards, and what is refused.
 */
#include "tests/unit/jobs_world.h"

#include <sched.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"

#define MIB (1u << 20)

/* Layers of 1 MiB; each has 64 KiB of its own at 64 KiB times its number, and
 * all have the same last 64 KiB. */
static void make_chain(struct world *w, unsigned layers)
{
	for (unsigned i = 0; i < layers; i++) {
		if (i)
			world_close(w);
		world_add_layer(w, MIB, 16);
		world_open(w);
		world_write(w, i * 65536u, 65536);
		world_write(w, MIB - 65536, 65536);
	}
}

static unsigned depth(struct world *w)
{
	return chain_depth(drive_find(&w->engine->graph, "disk0")->root.node);
}

static void reopen(struct world *w)
{
	world_close(w);
	world_check(w);
	world_open(w);
}

static void stream_of_the_whole_chain(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 4);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 0);
	world_verify(w);
	reopen(w);
	assert_int_equal(depth(w), 0);
	world_verify(w);
}

/* A host that does not finish a write before the test lets it, or too long
 * has passed. */
static _Atomic bool writing, may_go, gave_up;

static int slow_write(const struct file *f, enum file_op op, uint64_t off,
		      uint64_t len, const void *buf)
{
	uint64_t deadline = clock_ns() + 60 * NS_PER_SEC;

	(void)f;
	(void)off;
	(void)len;
	(void)buf;
	if (op != FILE_OP_WRITE)
		return 0;
	writing = true;
	while (!may_go && clock_ns() < deadline)
		sched_yield();
	gave_up = gave_up || !may_go;
	return 0;
}

/* What a stream is about to fill shows the same before and after. */
static void readers_do_not_wait_for_a_stream(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 3);
	writing = may_go = gave_up = false;
	file_set_hook(slow_write);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), &err);
	while (!writing)
		sched_yield();
	world_verify(w);
	may_go = true;
	world_completes(w);
	file_set_hook(NULL);
	assert_false(gave_up);
	world_verify(w);
}

static void stream_above_a_base(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 4);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0", .base = "layer0" }, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 1);
	world_verify(w);
	reopen(w);
	assert_int_equal(depth(w), 1);
	world_verify(w);
}

static void nothing_to_stream(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	make_chain(w, 2);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0", .base = "layer0" }, &err), &err);
	world_wait(w, EVENT_JOB_COMPLETED, EVENT_NONE, &ev);
	assert_int_equal(ev.len, 0);
	assert_int_equal(ev.offset, 0);
	assert_int_equal(depth(w), 1);
}

static void commit_in_the_middle(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 5);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .base = "layer1",
			.top = "layer3" }, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 2);
	world_verify(w);
	reopen(w);
	assert_int_equal(depth(w), 2);
	world_verify(w);
}

static void active_commit_pivots(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct job_info *info;
	size_t n;

	make_chain(w, 3);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0" }, &err), &err);
	world_ready(w);
	world_write(w, 5 * 65536, 1000);
	engine_query_jobs(w->engine, &info, &n);
	assert_int_equal(n, 1);
	assert_int_equal(info->len, MIB);
	assert_int_equal(info->offset, MIB);
	assert_true(info->ready);
	free(info);
	must(engine_job_complete(w->engine, "disk0", &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 0);
	world_verify(w);
	world_write(w, 0, 4096);
	world_verify(w);
	w->layers = 1;
	reopen(w);
	world_verify(w);
}

static void active_commit_cancelled_stays(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 3);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0" }, &err), &err);
	world_ready(w);
	must(engine_job_cancel(w->engine, "disk0", false, 0, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 2);
	world_write(w, 0, 4096);
	world_zero(w, 65536, 65536);
	world_verify(w);
	reopen(w);
	world_verify(w);
}

static void commit_at_once(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 3);
	must(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0" }, &err), &err);
	assert_int_equal(depth(w), 2);
	world_verify(w);
	must(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "all" }, &err), &err);
	world_verify(w);
	reopen(w);
	world_verify(w);
}

static void commit_offline_to_a_lower_base(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 4);
	must(engine_commit_offline(w->engine, &(struct sync_options){
			.device = "disk0", .base = "layer1" }, &err), &err);
	world_verify(w);
	reopen(w);
	world_verify(w);
	/* Base alone shows it too. */
	world_close(w);
	w->layers = 2;
	world_open(w);
	world_verify(w);
}

static void larger_bases_show_nothing_old(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	world_add_layer(w, 2 * MIB, 16);
	world_open(w);
	world_write(w, 0, 2 * MIB);
	world_close(w);
	world_add_layer(w, MIB - 512, 16);
	world_add_layer(w, 2 * MIB, 16);
	world_open(w);
	world_verify(w);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .base = "layer0",
			.top = "layer1" }, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 1);
	world_verify(w);
}

static void smaller_bases_grow(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	world_add_layer(w, MIB / 2, 16);
	world_open(w);
	world_write(w, 0, MIB / 2);
	world_close(w);
	world_add_layer(w, MIB, 12);
	world_open(w);
	world_write(w, MIB - 5000, 3000);
	must(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0" }, &err), &err);
	world_verify(w);
	w->layers = 1;
	reopen(w);
	world_verify(w);
}

static void refuse(struct world *w, const struct commit_options *o,
		   enum err_class class, const char *text)
{
	struct err err = ERR_INIT;
	struct event ev;
	uint64_t lost;

	assert_int_equal(engine_commit(w->engine, o, &err), -1);
	assert_string_equal(err.text, text);
	assert_int_equal(err.class, class);
	assert_false(event_next(&w->ear, &ev, 0, &lost));
}

static void commits_are_refused(void **state)
{
	struct world *w = *state;

	make_chain(w, 3);
	refuse(w, &(struct commit_options){ .device = "x" },
	       ERR_DEVICE_NOT_FOUND, "Device 'x' not found");
	refuse(w, &(struct commit_options){ .device = "disk0", .top = "no" },
	       ERR_GENERIC, "Top image file no not found");
	refuse(w, &(struct commit_options){ .device = "disk0", .base = "no",
					    .top = "layer1" },
	       ERR_GENERIC, "Can't find 'no' in the backing chain");
	refuse(w, &(struct commit_options){ .device = "disk0",
			.base = "layer1", .top = "layer1" },
	       ERR_GENERIC,
	       "Invalid files for merge: top and base are the same");
	refuse(w, &(struct commit_options){ .device = "disk0",
			.base = "layer2", .top = "layer1" },
	       ERR_GENERIC, "Can't find 'layer2' in the backing chain");
	refuse(w, &(struct commit_options){ .device = "disk0", .speed = -1 },
	       ERR_INVALID_PARAMETER,
	       "Parameter 'speed' expects a non-negative value");
	refuse(w, &(struct commit_options){ .device = "disk0",
			.rhel6 = true },
	       ERR_GENERIC, "Parameter 'top' is missing");
	refuse(w, &(struct commit_options){ .device = "disk0",
			.top = "layer2", .rhel6 = true }, ERR_GENERIC,
	       "Top image as the active layer is currently unsupported");
	refuse(w, &(struct commit_options){ .device = "disk0",
			.backing_file = "x" }, ERR_GENERIC,
	       "'backing-file' specified, but 'top' is the active layer");
	refuse(w, &(struct commit_options){ .device = "disk0",
			.job.id = "1bad" }, ERR_GENERIC,
	       "Invalid job ID '1bad'");
	world_verify(w);
}

static void a_lone_image_can_not_be_committed(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_chain(w, 1);
	refuse(w, &(struct commit_options){ .device = "disk0" }, ERR_GENERIC,
	       "Device 'disk0' has no backing file to commit to");
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0" }, &err),
			 -1);
	assert_string_equal(err.text, "'commit' error for 'disk0': "
			    "Operation not supported");
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "all" }, &err), 0);
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "no" }, &err), -1);
	assert_string_equal(err.text, "Device 'no' not found");
}

static void a_busy_chain_is_refused(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct stream_options o = { .device = "disk0", .speed = 1 };

	make_chain(w, 3);
	must(engine_stream(w->engine, &o, &err), &err);
	assert_int_equal(engine_stream(w->engine, &o, &err), -1);
	assert_string_equal(err.text, "Node 'disk0' is busy: block device is "
			    "in use by block job: stream");
	assert_int_equal(err.class, ERR_DEVICE_IN_USE);
	assert_int_equal(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0" }, &err),
			 -1);
	assert_string_equal(err.text, "'commit' error for 'disk0': "
			    "Device or resource busy");
	assert_int_equal(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .top = "layer1" }, &err), -1);
	assert_int_equal(err.class, ERR_DEVICE_IN_USE);
	engine_cancel_all(w->engine);
	world_verify(w);
}

static void a_shared_base_is_left_alone(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct drive_options o = { .id = "other", .node.path = "beside" };
	struct commit_options c = { .device = "disk0", .base = "layer0" };

	make_chain(w, 3);
	if (system("qemu-img create -q -f qcow2 -b layer0 -F qcow2 beside"))
		skip();
	must(engine_add_drive(w->engine, &o, &err), &err);
	assert_int_equal(engine_commit(w->engine, &c, &err), -1);
	assert_string_equal(err.text, "Image 'layer0' is also the backing "
			    "file of 'beside', in use by drive 'other'");
	c.top = "layer1";
	assert_int_equal(engine_commit(w->engine, &c, &err), -1);
	assert_non_null(strstr(err.text, "in use by drive 'other'"));
	assert_int_equal(engine_commit_offline(w->engine,
			&(struct sync_options){
				.device = "disk0", .base = "layer0" }, &err),
			 -1);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), &err);
	world_completes(w);
	world_verify(w);
}

static void a_read_only_drive_streams_and_commits(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct drive_options o = { .id = "disk0", .node = {
		.path = "layer3", .read_only = true } };
	const struct node *node;

	make_chain(w, 4);
	world_close(w);
	w->engine = engine_new();
	must(engine_add_drive(w->engine, &o, &err), &err);
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0", .base = "layer1" }, &err), &err);
	world_completes(w);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .base = "layer0",
			.top = "layer1" }, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 1);
	for (node = drive_find(&w->engine->graph, "disk0")->root.node; node;
	     node = node->backing)
		assert_true(node->read_only);
	world_verify(w);
}

static void disks_without_a_byte(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	world_add_layer(w, 0, 16);
	world_add_layer(w, 0, 16);
	world_add_layer(w, 0, 16);
	world_open(w);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .top = "layer1" }, &err), &err);
	world_completes(w);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), &err);
	world_completes(w);
	assert_int_equal(depth(w), 0);
}

/* 1 MiB at 2 MiB/s, in clusters of 64 KiB. */
static void the_speed_is_kept(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	uint64_t began;

	world_add_layer(w, MIB, 16);
	world_open(w);
	world_write(w, 0, MIB);
	world_close(w);
	world_add_layer(w, MIB, 16);
	world_open(w);
	began = clock_ns();
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0", .speed = 2 * MIB }, &err), &err);
	world_completes(w);
	assert_true(clock_ns() - began > NS_PER_SEC * 40 / 100);
}

static void the_offset_jumps_over_what_is_there(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	make_chain(w, 2);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0" }, &err), &err);
	world_wait(w, EVENT_JOB_COMPLETED, EVENT_NONE, &ev);
	assert_int_equal(ev.len, MIB);
	assert_int_equal(ev.offset, MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_enter, \
						   world_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stream_of_the_whole_chain),
		TEST(readers_do_not_wait_for_a_stream),
		TEST(stream_above_a_base),
		TEST(nothing_to_stream),
		TEST(commit_in_the_middle),
		TEST(active_commit_pivots),
		TEST(active_commit_cancelled_stays),
		TEST(commit_at_once),
		TEST(commit_offline_to_a_lower_base),
		TEST(larger_bases_show_nothing_old),
		TEST(smaller_bases_grow),
		TEST(commits_are_refused),
		TEST(a_lone_image_can_not_be_committed),
		TEST(a_busy_chain_is_refused),
		TEST(a_shared_base_is_left_alone),
		TEST(a_read_only_drive_streams_and_commits),
		TEST(disks_without_a_byte),
		TEST(the_speed_is_kept),
		TEST(the_offset_jumps_over_what_is_there),
	};

	return cmocka_run_group_tests_name("jobs", tests, scratch_enter,
					   scratch_leave);
}
