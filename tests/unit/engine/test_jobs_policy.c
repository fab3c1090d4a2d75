/* test_jobs_policy.c - what each kind of job does under each policy with an
 * error of the host that lasts, or is mended while the job stands.
 */
#include "tests/unit/guest_thread.h"
#include "tests/unit/jobs_fault.h"
#include "tests/unit/slow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>

#include "engine/tools.h"

#define PIECE (512ull << 10)

enum kind { STREAM, COMMIT, ACTIVE, REBASE };

static struct {
	_Atomic int error;		/* errno of each touch; 0: none */
	enum file_op op;
	uint64_t disk, host;		/* the byte, and where it lies */
} spot;

static int touch(const struct file *f, enum file_op op, uint64_t off,
		 uint64_t len, const void *buf)
{
	(void)buf;
	if (op == FILE_OP_CLONE)
		return -EOPNOTSUPP;
	return op == spot.op && !strcmp(f->path, "base") &&
	       off <= spot.host && off + len > spot.host ? -spot.error : 0;
}

static void policy_layer(const char *name, const char *below,
			 const char *format, unsigned bits)
{
	struct qcow2_create o = {
		.size = WORLD_MAX, .cluster_bits = bits, .refcount_order = 4,
		.backing_name = below, .backing_format = format,
	};

	qcow2_file_new(name, &o);
}

static void fill_and_close(struct world *w)
{
	world_open(w);
	world_write(w, 0, WORLD_MAX);
	world_close(w);
}

static struct node *base_node(struct world *w)
{
	struct node *n = drive_find(&w->engine->graph, "disk0")->root.node;

	while (n->backing)
		n = n->backing;
	return n;
}

/* A base full of data whose byte @disk can't be read (stream) or written, and
 * on it what the job works with. */
static void make_scene(struct world *w, enum kind kind, unsigned bits,
		       uint64_t disk)
{
	struct run run;

	scratch_clear();
	file_set_hook(NULL);
	policy_layer("layer0", NULL, NULL, bits);
	w->layers = 1;
	w->size = WORLD_MAX;
	fill_and_close(w);
	assert_int_equal(rename("layer0", "base"), 0);
	policy_layer("layer0", "base", "qcow2", bits);
	if (kind == COMMIT || kind == ACTIVE)
		fill_and_close(w);
	if (kind == COMMIT) {
		policy_layer("layer1", "layer0", "qcow2", bits);
		w->layers = 2;
	}
	world_open(w);
	assert_int_equal(node_map(base_node(w), disk, 1, &run), 0);
	spot.error = 0;
	spot.disk = disk;
	spot.host = run.host;
	spot.op = kind == STREAM || kind == REBASE ? FILE_OP_READ :
						     FILE_OP_WRITE;
	file_set_hook(touch);
}

static const char *job_name(enum kind kind)
{
	return kind == REBASE ? "rebase" : "disk0";
}

/* For an image that nobody has open. */
static void reopen_without(struct world *w)
{
	world_close(w);
	w->engine = engine_new();
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
}

static void start(struct world *w, enum kind kind, enum on_error policy)
{
	struct rebase_job_options r = { .file = "layer0", .base = "",
					.job.on_error = policy };
	struct stream_options s = { .device = "disk0", .job.on_error = policy };
	struct commit_options c = {
		.device = "disk0", .top = kind == COMMIT ? "layer0" : NULL,
		.base = "base", .job.on_error = policy,
	};
	struct err err = ERR_INIT;

	if (kind == STREAM)
		must(engine_stream(w->engine, &s, &err), &err);
	else if (kind == REBASE)
		must(engine_rebase_start(w->engine, &r, &err), &err);
	else
		must(engine_commit(w->engine, &c, &err), &err);
}

static void error_is(struct world *w, const char *action, uint64_t offset)
{
	struct event ev;

	world_wait(w, EVENT_JOB_ERROR, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_ERROR);
	assert_string_equal(ev.operation,
			    spot.op == FILE_OP_READ ? "read" : "write");
	assert_string_equal(ev.action, action);
	assert_int_equal(ev.offset, offset);
}

static void status_is(struct world *w, const char *status)
{
	struct event ev;

	do
		world_wait(w, EVENT_JOB_STATUS, EVENT_JOB_COMPLETED, &ev);
	while (ev.type == EVENT_JOB_STATUS && strcmp(ev.status, status));
	assert_int_equal(ev.type, EVENT_JOB_STATUS);
}

static void io_status_is(struct world *w, enum kind kind, const char *status)
{
	struct job *job = job_find(&w->engine->jobs, job_name(kind));
	struct job_info info;

	job_describe(job, &info);
	job_put(job);
	assert_string_equal(info.io_status, status);
}

/* The disk reads the same, now and from its images alone. */
static void scene_end(struct world *w)
{
	file_set_hook(NULL);
	world_verify(w);
	world_close(w);
	check_sound();
	world_open(w);
	world_verify(w);
	world_close(w);
}

static void rebased(struct world *w, const char *bottom)
{
	event_unlisten(&w->ear);
	engine_free(w->engine);
	w->engine = NULL;
	file_set_hook(NULL);
	world_open(w);
	assert_string_equal(base_node(w)->file->path, bottom);
	scene_end(w);
}

static void completes_well(struct world *w, enum kind kind)
{
	struct err err = ERR_INIT;

	if (kind == ACTIVE) {
		world_ready(w);
		must(engine_job_complete(w->engine, "disk0", &err), &err);
	}
	world_completes(w);
	if (kind == REBASE) {
		rebased(w, "layer0");
		return;
	}
	assert_string_equal(base_node(w)->file->path,
			    kind == STREAM ? "layer0" : "base");
	if (kind == ACTIVE)
		assert_ptr_equal(base_node(w), drive_find(&w->engine->graph,
							  "disk0")->root.node);
	scene_end(w);
}

static void completes_badly(struct world *w, enum kind kind, int error,
			    uint64_t offset)
{
	struct event ev;

	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_COMPLETED);
	assert_string_equal(ev.text, strerror(error));
	assert_int_equal(ev.offset, offset);
	if (kind == REBASE)
		rebased(w, "base");
	else
		scene_end(w);
}

/* --- one policy, one kind --- */

static void stops(struct world *w, enum kind kind, int error, uint64_t piece)
{
	struct err err = ERR_INIT;

	for (int i = 0; i < 3; i++) {
		error_is(w, "stop", piece);
		status_is(w, "paused");
		io_status_is(w, kind, error == ENOSPC || error == EDQUOT ?
			     "nospace" : "failed");
		if (i == 2)
			spot.error = 0;
		must(engine_job_resume(w->engine, job_name(kind), &err), &err);
		if (i == 2)
			completes_well(w, kind);
	}
}

static void ignores(struct world *w, enum kind kind, int error, uint64_t piece)
{
	error_is(w, "ignore", piece);
	if (kind == STREAM) {
		completes_badly(w, kind, error, WORLD_MAX);
		return;
	}
	error_is(w, "ignore", piece);
	error_is(w, "ignore", piece);
	spot.error = 0;
	completes_well(w, kind);
}

static void obeys(struct world *w, enum kind kind, enum on_error policy,
		  int error, unsigned bits)
{
	uint64_t piece = 5 * PIECE;

	make_scene(w, kind, bits, piece + 70000);
	spot.error = error;
	if (kind == REBASE)
		reopen_without(w);
	start(w, kind, policy);
	switch (on_error_action(policy, error)) {
	case ON_ERROR_STOP:
		stops(w, kind, error, piece);
		break;
	case ON_ERROR_IGNORE:
		ignores(w, kind, error, piece);
		break;
	default:
		error_is(w, "report", piece);
		if (kind != REBASE)
			assert_int_equal(base_node(w)->stats.wr_invalid, 0);
		completes_badly(w, kind, error, piece);
	}
}

/* Clusters that are longer than a piece are done as a whole; the error names
 * the piece nevertheless. */
static void obeys_all(struct world *w, enum kind kind)
{
	const int error[] = { EIO, ENOSPC, EROFS, EDQUOT };

	for (int p = ON_ERROR_REPORT; p < ON_ERROR_COUNT; p++)
		for (unsigned e = 0; e < 4; e++)
			obeys(w, kind, (enum on_error)p, error[e],
			      e & 1 ? 16 : 21);
}

static void a_stream_obeys(void **state)
{
	obeys_all(*state, STREAM);
}

static void a_commit_obeys(void **state)
{
	obeys_all(*state, COMMIT);
}

static void an_active_commit_obeys(void **state)
{
	obeys_all(*state, ACTIVE);
}

static void a_rebase_obeys(void **state)
{
	obeys_all(*state, REBASE);
}

static void open_guessing(struct world *w, const char *path)
{
	struct drive_options o = {
		.id = "disk0", .force = true,
		.node = { .path = path, .probe_backing = true },
	};
	struct err err = ERR_INIT;

	w->engine = engine_new();
	must(engine_add_drive(w->engine, &o, &err), &err);
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
}

/* A base whose format was guessed has beginnings that must not be written to
 * it (EPERM), whatever the policy. Where it is the host who says EPERM, of a
 * file that was made immutable, the policy is asked. */
static void the_host_forbids_a_guessed_base(void **state)
{
	struct world *w = *state;
	int fd;

	scratch_clear();
	file_set_hook(NULL);
	fd = open("base", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, WORLD_MAX), 0);
	close(fd);
	policy_layer("layer0", "base", NULL, 16);
	w->size = WORLD_MAX;
	open_guessing(w, "layer0");
	world_write(w, 0, WORLD_MAX);
	world_close(w);
	policy_layer("layer1", "layer0", "qcow2", 16);
	w->layers = 2;
	open_guessing(w, "layer1");
	assert_true(base_node(w)->probed);
	spot.host = spot.disk = 5 * PIECE + 70000;
	spot.op = FILE_OP_WRITE;
	spot.error = EPERM;
	file_set_hook(touch);
	start(w, COMMIT, ON_ERROR_STOP);
	stops(w, COMMIT, EPERM, 5 * PIECE);
}

/* --- after READY --- */

static void write_spot(void *world)
{
	world_write(world, spot.disk - 4096, 8192);
}

static void ready_with_error(struct world *w, enum on_error policy, int error)
{
	make_scene(w, ACTIVE, 21, 5 * PIECE + 70000);
	start(w, ACTIVE, policy);
	world_ready(w);
	spot.error = error;
	guest_thread(write_spot, w);
}

static void error_of_ready(struct world *w, const char *action)
{
	struct event ev;

	world_wait(w, EVENT_JOB_ERROR, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_ERROR);
	assert_string_equal(ev.action, action);
}

static void completes_from_ready(struct world *w)
{
	struct err err = ERR_INIT;

	must(engine_job_complete(w->engine, "disk0", &err), &err);
	world_completes(w);
	scene_end(w);
}

static void a_ready_one_obeys(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;

	ready_with_error(w, ON_ERROR_IGNORE, EIO);
	for (int i = 0; i < 3; i++)
		error_of_ready(w, "ignore");
	spot.error = 0;
	completes_from_ready(w);

	ready_with_error(w, ON_ERROR_ENOSPC, ENOSPC);
	for (int i = 0; i < 3; i++) {
		error_of_ready(w, "stop");
		status_is(w, "standby");
		io_status_is(w, ACTIVE, "nospace");
		spot.error = i == 2 ? 0 : ENOSPC;
		must(engine_job_resume(w->engine, "disk0", &err), &err);
	}
	completes_from_ready(w);

	ready_with_error(w, ON_ERROR_ENOSPC, EIO);
	error_of_ready(w, "report");
	completes_badly(w, ACTIVE, EIO, 5 * PIECE);
}

/* --- an error that lasts --- */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* After eight tries it rests for a second, and ends at once. */
static void does_not_spin(struct world *w, uint64_t began, uint64_t cpu)
{
	struct err err = ERR_INIT;
	struct event ev;

	for (int i = 0; i < 8; i++)
		error_of_ready(w, "ignore");
	assert_true(clock_ns() - began >= 1270 * NS_PER_MS);
	if (how_slow() == 1)
		assert_true(cpu_ns() - cpu < (clock_ns() - began) / 2);
	began = clock_ns();
	must(engine_job_cancel(w->engine, "disk0", true, 0, &err), &err);
	world_wait(w, EVENT_JOB_CANCELLED, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_CANCELLED);
	assert_true(clock_ns() - began < 500 * NS_PER_MS);
	spot.error = 0;
	scene_end(w);
}

static void a_lasting_error_is_quiet(void **state)
{
	struct world *w = *state;

	for (int kind = COMMIT; kind <= ACTIVE; kind++) {
		uint64_t began, cpu;

		make_scene(w, (enum kind)kind, 21, PIECE + 70000);
		spot.error = EIO;
		began = clock_ns();
		cpu = cpu_ns();
		start(w, (enum kind)kind, ON_ERROR_IGNORE);
		does_not_spin(w, began, cpu);
	}
	ready_with_error(w, ON_ERROR_IGNORE, EIO);
	does_not_spin(w, clock_ns(), cpu_ns());
}

/* --- commits at once --- */

static bool goes_on(uint64_t done, uint64_t total, void *arg)
{
	(void)done;
	(void)total;
	(void)arg;
	return true;
}

static void fails_at(const struct err *err, const char *what)
{
	char words[128];

	snprintf(words, sizeof(words), "Could not %s 'base' at offset %llu of "
		 "the disk", what, 5 * PIECE);
	assert_non_null(strstr(err->text, words));
}

static void a_commit_at_once_names_its_piece(void **state)
{
	struct sync_options o = { .device = "disk0", .progress = goes_on };
	struct world *w = *state;
	struct err err = ERR_INIT;

	for (unsigned bits = 16; bits <= 21; bits += 5) {
		make_scene(w, ACTIVE, bits, 5 * PIECE + 70000);
		spot.error = EIO;
		assert_int_equal(engine_commit_sync(w->engine, &o, &err), -1);
		fails_at(&err, "write");
		world_verify(w);
		spot.error = 0;
		must(engine_commit_sync(w->engine, &o, &err), &err);
		scene_end(w);
	}
}

/* --- rebases --- */

/* An image that nobody has open, and what lies below it can't be read. */
static void make_closed(struct world *w)
{
	make_scene(w, REBASE, 16, 5 * PIECE + 70000);
	reopen_without(w);
	spot.error = EIO;
}

static void an_offline_rebase_names_its_piece(void **state)
{
	struct rebase_options o = { .image.path = "layer0", .base = "" };
	struct world *w = *state;
	struct err err = ERR_INIT;

	make_closed(w);
	assert_int_equal(engine_rebase(w->engine, &o, &err), -1);
	fails_at(&err, "read");
	spot.error = 0;
	rebased(w, "base");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fault_enter, fault_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stream_obeys),
		TEST(a_commit_obeys),
		TEST(an_active_commit_obeys),
		TEST(a_rebase_obeys),
		TEST(the_host_forbids_a_guessed_base),
		TEST(a_ready_one_obeys),
		TEST(a_lasting_error_is_quiet),
		TEST(a_commit_at_once_names_its_piece),
		TEST(an_offline_rebase_names_its_piece),
	};

	return cmocka_run_group_tests_name("jobs_policy", tests, scratch_enter,
					   scratch_leave);
}
