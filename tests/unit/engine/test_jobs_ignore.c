/* test_jobs_ignore.c - errors of jobs: what is tried again, what is left out,
 * and which piece of the disk they are about.
 */
#include "tests/unit/guest_thread.h"
#include "tests/unit/jobs_fault.h"
#include "tests/unit/slow.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>

static struct {
	_Atomic int skip, times;	/* of operations: pass, then fail */
	_Atomic bool flush;		/* one of those was a flush */
} fault;

/* Not the layer whose header is changed in the end: that is no work that is
 * done again. */
static int fails_for_a_while(const struct file *f, enum file_op op,
			     uint64_t off, uint64_t len, const void *buf)
{
	(void)off;
	(void)len;
	(void)buf;
	if (op == FILE_OP_DISCARD || op == FILE_OP_CLONE ||
	    op == FILE_OP_OPEN || !strcmp(f->path, "layer3") ||
	    !fault.times || atomic_fetch_sub(&fault.skip, 1) > 0 ||
	    atomic_fetch_sub(&fault.times, 1) <= 0)
		return 0;
	fault.flush |= op == FILE_OP_FLUSH;
	return -EIO;
}

static pthread_t starter;
static sem_t may_go;

/* The job stands at its first operation until it may go: by its speed alone
 * it would be over before, where the disk is one piece. */
static int waits_to_go(const struct file *f, enum file_op op, uint64_t off,
		       uint64_t len, const void *buf)
{
	(void)f;
	(void)op;
	(void)off;
	(void)len;
	(void)buf;
	if (pthread_equal(pthread_self(), starter))
		return 0;
	while (sem_wait(&may_go) && errno == EINTR)
		;
	sem_post(&may_go);
	return 0;
}

static void start_commit(struct world *w, const char *top,
			 enum on_error policy)
{
	struct commit_options o = { .device = "disk0", .base = "layer0",
				    .top = top, .job.on_error = policy,
				    .job.speed = 1 };
	struct err err = ERR_INIT;

	starter = pthread_self();
	sem_init(&may_go, 0, 0);
	file_set_hook(waits_to_go);
	must(engine_commit(w->engine, &o, &err), &err);
}

/* From its second operation on it meets the hook. */
static void go(struct world *w, file_hook *hook)
{
	struct err err = ERR_INIT;

	must(engine_job_set_speed(w->engine, "disk0", 0, &err), &err);
	file_set_hook(hook);
	sem_post(&may_go);
}

/* How it ended, after READY and complete where there is such a thing. */
static struct event run_to_the_end(struct world *w)
{
	struct err err = ERR_INIT;
	struct event ev;

	world_wait(w, EVENT_JOB_READY, EVENT_JOB_COMPLETED, &ev);
	if (ev.type == EVENT_JOB_READY) {
		engine_job_complete(w->engine, "disk0", &err);
		world_wait(w, EVENT_JOB_COMPLETED, EVENT_NONE, &ev);
	}
	return ev;
}

static void assert_error(struct world *w, const char *operation,
			 const char *action)
{
	struct event ev;

	world_wait(w, EVENT_JOB_ERROR, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_ERROR);
	assert_string_equal(ev.operation, operation);
	assert_string_equal(ev.action, action);
}

/* --- a commit tries again --- */

static void assert_tried_again(struct world *w, const char *top)
{
	struct event ev;

	make_chain(w);
	start_commit(w, top, ON_ERROR_IGNORE);
	fault.skip = 0;
	fault.times = 7;
	go(w, fails_for_a_while);
	ev = run_to_the_end(w);
	assert_string_equal(ev.text, "");
	assert_int_equal(ev.offset, ev.len);
	file_set_hook(NULL);
	assert_int_equal(fault.times, 0);
	verify_all(w);
}

static void errors_that_pass_are_no_errors(void **state)
{
	assert_tried_again(*state, "layer2");
	assert_tried_again(*state, NULL);
}

/* Each operation once. After a flush that the host failed there is nothing to
 * be tried again. */
static void assert_each_is_tried_again(struct world *w, const char *top)
{
	struct event ev;

	for (int n = 0; n == 0 || !fault.times; n += slow_step()) {
		make_chain(w);
		start_commit(w, top, ON_ERROR_IGNORE);
		fault.flush = false;
		fault.skip = n;
		fault.times = 1;
		go(w, fails_for_a_while);
		ev = run_to_the_end(w);
		if (!fault.flush)
			assert_string_equal(ev.text, "");
		file_set_hook(NULL);
		verify_all(w);
	}
}

static void each_operation_is_tried_again(void **state)
{
	assert_each_is_tried_again(*state, "layer2");
	assert_each_is_tried_again(*state, NULL);
}

static void a_lasting_error_does_not_spin(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;
	uint64_t began;

	make_chain(w);
	start_commit(w, "layer2", ON_ERROR_IGNORE);
	fault.skip = 0;
	fault.times = INT32_MAX;
	began = clock_ns();
	go(w, fails_for_a_while);
	for (int i = 0; i < 8; i++)
		assert_error(w, "read", "ignore");
	/* 10 ms, and twice as long each time; now it rests for a second */
	assert_true(clock_ns() - began >= 1270 * NS_PER_MS);
	began = clock_ns();
	must(engine_job_set_speed(w->engine, "disk0", 1 << 20, &err), &err);
	must(engine_job_pause(w->engine, "disk0", &err), &err);
	do
		world_wait(w, EVENT_JOB_STATUS, EVENT_JOB_COMPLETED, &ev);
	while (strcmp(ev.status, "paused"));
	must(engine_job_cancel(w->engine, "disk0", true, 0, &err), &err);
	world_wait(w, EVENT_JOB_CANCELLED, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_CANCELLED);
	assert_true(clock_ns() - began < 900 * NS_PER_MS);
	fault.times = 0;
	file_set_hook(NULL);
	verify_all(w);
}

/* --- between READY and the pivot --- */

static struct {
	struct world *world;
	_Atomic bool armed;
	_Atomic int error;		/* of writes to base */
	int errnum;
} late;

static void write_late(void *world)
{
	world_write(world, 65536, 65536);
}

/* While base is made durable for the last time the guest writes, and that
 * does not reach base. */
static int late_write(const struct file *f, enum file_op op, uint64_t off,
		      uint64_t len, const void *buf)
{
	(void)off;
	(void)len;
	(void)buf;
	if (strcmp(f->path, "layer0"))
		return 0;
	if (op == FILE_OP_FLUSH && atomic_exchange(&late.armed, false)) {
		late.error = late.errnum;
		guest_thread(write_late, late.world);
		late.error = 0;
	}
	return op == FILE_OP_WRITE ? -late.error : 0;
}

static void complete_late(struct world *w, enum on_error policy, int errnum)
{
	struct err err = ERR_INIT;

	make_chain(w);
	start_commit(w, NULL, policy);
	go(w, NULL);
	world_ready(w);
	late.world = w;
	late.errnum = errnum;
	late.armed = true;
	file_set_hook(late_write);
	must(engine_job_complete(w->engine, "disk0", &err), &err);
}

static void late_end(struct world *w, unsigned layers)
{
	assert_false(late.armed);
	file_set_hook(NULL);
	verify_all(w);
	assert_int_equal(w->layers, layers);
}

static void a_late_error_is_tried_again(void **state)
{
	complete_late(*state, ON_ERROR_IGNORE, EIO);
	assert_error(*state, "write", "ignore");
	world_completes(*state);
	late_end(*state, 1);
}

static void a_late_error_stops(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	complete_late(w, ON_ERROR_ENOSPC, ENOSPC);
	assert_error(w, "write", "stop");
	do
		world_wait(w, EVENT_JOB_STATUS, EVENT_JOB_COMPLETED, &ev);
	while (strcmp(ev.status, "standby"));
	must(engine_job_resume(w->engine, "disk0", &err), &err);
	world_completes(w);
	late_end(w, 1);
}

static void a_late_error_stops_and_is_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	complete_late(w, ON_ERROR_STOP, EIO);
	assert_error(w, "write", "stop");
	must(engine_job_cancel(w->engine, "disk0", true, 0, &err), &err);
	world_wait(w, EVENT_JOB_CANCELLED, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_CANCELLED);
	late_end(w, 4);
}

static void a_late_error_is_reported(void **state)
{
	struct world *w = *state;
	struct event ev;

	complete_late(w, ON_ERROR_REPORT, EIO);
	assert_error(w, "write", "report");
	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
	assert_string_equal(ev.text, "Input/output error");
	late_end(w, 4);
}

/* --- which piece --- */

#define PIECE (512ull << 10)

static struct {
	enum file_op op;
	uint64_t at[2];			/* bytes of the base that fail */
	_Atomic int times;
} spot;

static int hit_spot(const struct file *f, enum file_op op, uint64_t off,
		    uint64_t len, const void *buf)
{
	(void)buf;
	if (op == FILE_OP_CLONE)
		return -EOPNOTSUPP;
	if (op != spot.op || strcmp(f->path, "base"))
		return 0;
	for (int i = 0; i < 2; i++)
		if (off <= spot.at[i] && off + len > spot.at[i])
			return atomic_fetch_sub(&spot.times, 1) > 0 ? -EIO : 0;
	return 0;
}

static void spot_layer(const char *name, const char *below,
		       const char *format)
{
	struct qcow2_create o = { .size = WORLD_MAX, .cluster_bits = 16,
				  .refcount_order = 4, .backing_name = below,
				  .backing_format = format };

	qcow2_file_new(name, &o);
}

/* A raw base full of data, and layers on it; the lowest of several is full,
 * too. */
static void make_spots(struct world *w, unsigned layers, enum file_op op,
		       int times)
{
	int fd;

	scratch_clear();
	fd = open("base", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	memset(w->model, 0x5a, WORLD_MAX);
	assert_int_equal(pwrite(fd, w->model, WORLD_MAX, 0), WORLD_MAX);
	close(fd);
	spot_layer("layer0", "base", "raw");
	w->size = WORLD_MAX;
	w->layers = 1;
	world_open(w);
	if (layers > 1) {
		world_write(w, 0, WORLD_MAX);
		world_close(w);
		spot_layer("layer1", "layer0", "qcow2");
		w->layers = 2;
		world_open(w);
	}
	spot.op = op;
	spot.at[0] = PIECE + 70000;
	spot.at[1] = 6 * PIECE + 7;
	spot.times = times;
	file_set_hook(hit_spot);
}

static void start_stream(struct world *w, enum on_error policy)
{
	struct stream_options o = { .device = "disk0",
				    .job.on_error = policy };
	struct err err = ERR_INIT;

	must(engine_stream(w->engine, &o, &err), &err);
}

static void spots_end(struct world *w)
{
	file_set_hook(NULL);
	world_verify(w);
	world_close(w);
	world_check(w);
}

static void ends_at(struct world *w, uint64_t offset)
{
	struct event ev;

	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
	assert_string_equal(ev.text, "Input/output error");
	assert_int_equal(ev.offset, offset);
}

static void an_error_names_its_piece(void **state)
{
	struct world *w = *state;
	struct commit_options o = { .device = "disk0", .base = "base",
				    .top = "layer0" };
	struct err err = ERR_INIT;

	for (int times = 1; times < 1000; times += 998) {
		make_spots(w, 1, FILE_OP_READ, times);
		start_stream(w, ON_ERROR_REPORT);
		assert_error(w, "read", "report");
		ends_at(w, PIECE);
		spots_end(w);

		make_spots(w, 2, FILE_OP_WRITE, times);
		must(engine_commit(w->engine, &o, &err), &err);
		assert_error(w, "write", "report");
		ends_at(w, PIECE);
		spots_end(w);
	}
}

/* The second L2 table of a base of small clusters can't be read. */
static void a_map_names_its_piece(void **state)
{
	struct qcow2_create o = { .size = WORLD_MAX, .cluster_bits = 12,
				  .refcount_order = 4 };
	struct world *w = *state;
	uint8_t e[8];
	int fd;

	scratch_clear();
	qcow2_file_new("layer0", &o);
	w->layers = 1;
	w->size = WORLD_MAX;
	world_open(w);
	world_write(w, 0, WORLD_MAX);
	world_close(w);
	assert_int_equal(rename("layer0", "base"), 0);
	spot_layer("layer0", "base", "qcow2");
	fd = open("base", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, e, 8, 40), 8);
	assert_int_equal(pread(fd, e, 8, (off_t)get_be64(e) + 8), 8);
	close(fd);
	spot.op = FILE_OP_READ;
	spot.at[0] = spot.at[1] = get_be64(e) & 0x00fffffffffffe00;
	spot.times = INT32_MAX;
	world_open(w);
	file_set_hook(hit_spot);
	start_stream(w, ON_ERROR_REPORT);
	assert_error(w, "read", "report");
	ends_at(w, 4 * PIECE);
	spots_end(w);
}

static uint64_t bytes_in_top(struct world *w)
{
	struct node *node = drive_find(&w->engine->graph, "disk0")->root.node;
	uint64_t sum = 0;
	struct run run;

	for (uint64_t off = 0; off < w->size; off += run.len) {
		assert_int_equal(node_map(node, off, w->size - off, &run), 0);
		sum += run.kind == RUN_DATA ? run.len : 0;
	}
	return sum;
}

static void a_stream_leaves_out_the_piece(void **state)
{
	struct world *w = *state;

	make_spots(w, 1, FILE_OP_READ, INT32_MAX);
	start_stream(w, ON_ERROR_IGNORE);
	assert_error(w, "read", "ignore");
	assert_error(w, "read", "ignore");
	ends_at(w, WORLD_MAX);
	assert_int_equal(bytes_in_top(w), WORLD_MAX - 2 * PIECE);
	spots_end(w);
}

static void a_stopped_job_shows_the_piece(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	struct event ev;

	make_spots(w, 1, FILE_OP_READ, INT32_MAX);
	start_stream(w, ON_ERROR_STOP);
	for (int i = 0; i < 3; i++) {
		assert_error(w, "read", "stop");
		world_wait(w, EVENT_JOB_STATUS, EVENT_JOB_COMPLETED, &ev);
		assert_string_equal(ev.status, "paused");
		assert_int_equal(ev.offset, PIECE);
		if (i == 2)
			spot.times = 0;
		must(engine_job_resume(w->engine, "disk0", &err), &err);
	}
	world_completes(w);
	assert_int_equal(bytes_in_top(w), WORLD_MAX);
	spots_end(w);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fault_enter, fault_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_that_pass_are_no_errors),
		TEST(each_operation_is_tried_again),
		TEST(a_lasting_error_does_not_spin),
		TEST(a_late_error_is_tried_again),
		TEST(a_late_error_stops),
		TEST(a_late_error_stops_and_is_cancelled),
		TEST(a_late_error_is_reported),
		TEST(an_error_names_its_piece),
		TEST(a_map_names_its_piece),
		TEST(a_stream_leaves_out_the_piece),
		TEST(a_stopped_job_shows_the_piece),
	};

	return cmocka_run_group_tests_name("jobs_ignore", tests,
					   scratch_enter, scratch_leave);
}
