/* job.c - see job.h.
 *
 * What a client sees of a job's birth and of its end comes in one piece: the
 * events and the change of the list happen under jobs->lock. So a
 * client that starts the next job when it hears COMPLETED finds the id free
 * and reads its `created` after our `null`.
 */
#include "engine/job/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/bug.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

#define BIT(n) (1u << (n))
/* Progress is a staircase of this while that is more than 10 ms. */
#define LIMITED_PIECE (512u << 10)
#define READY_POLL_NS (100 * NS_PER_MS)
#define REST_NS_MIN (10 * NS_PER_MS)
#define REST_NS_MAX NS_PER_SEC
#define RATE_NS (8 * NS_PER_SEC)

static const char *const status_names[JOB_STATUS_COUNT] = {
	[JOB_UNDEFINED] = "undefined", [JOB_CREATED] = "created",
	[JOB_RUNNING] = "running", [JOB_PAUSED] = "paused",
	[JOB_READY] = "ready", [JOB_STANDBY] = "standby",
	[JOB_WAITING] = "waiting", [JOB_PENDING] = "pending",
	[JOB_ABORTING] = "aborting", [JOB_CONCLUDED] = "concluded",
	[JOB_NULL] = "null",
};

/* Which states may follow which. */
static const unsigned follows[JOB_STATUS_COUNT] = {
	[JOB_CREATED] = BIT(JOB_RUNNING),
	[JOB_RUNNING] = BIT(JOB_PAUSED) | BIT(JOB_READY) | BIT(JOB_WAITING) |
			BIT(JOB_ABORTING),
	[JOB_PAUSED] = BIT(JOB_RUNNING),
	[JOB_READY] = BIT(JOB_STANDBY) | BIT(JOB_WAITING) | BIT(JOB_ABORTING),
	[JOB_STANDBY] = BIT(JOB_READY) | BIT(JOB_PENDING),
	[JOB_WAITING] = BIT(JOB_PENDING),
	/* an error may stop what finish() does, too */
	[JOB_PENDING] = BIT(JOB_STANDBY) | BIT(JOB_ABORTING) |
			BIT(JOB_CONCLUDED),
	[JOB_ABORTING] = BIT(JOB_CONCLUDED),
	[JOB_CONCLUDED] = BIT(JOB_NULL),
};

const char *job_status_name(enum job_status status)
{
	return status_names[status];
}

/* --- telling; job->lock held --- */

static void job_publish(struct job *job, struct event *ev)
{
	snprintf(ev->id, sizeof(ev->id), "%s", job->id);
	ev->kind = job->kind->type;
	ev->private = job->kind->private;
	ev->status = job_status_name(job->status);
	ev->len = job->len;
	ev->offset = job->offset;
	ev->speed = job->throttle.speed;
	event_publish(job->jobs->events, ev);
}

static void job_become(struct job *job, enum job_status status)
{
	struct event ev = { .type = EVENT_JOB_STATUS };

	BUG_ON(!(follows[job->status] & BIT(status)));
	job->status = status;
	job_publish(job, &ev);
}

static void job_notice(struct job *job, const char *text)
{
	struct event ev = { .type = EVENT_NOTICE };

	snprintf(ev.text, sizeof(ev.text), "Job '%s': %s", job->id, text);
	job_publish(job, &ev);
}

void job_short_error(const struct job *job, char *buf, size_t size)
{
	int errnum = job->cancelled ? ECANCELED : job->err.errnum;
	char text[128];

	snprintf(buf, size, "%s", !errnum ? job->err.text :
		 strerror_r(errnum, text, sizeof(text)));
}

/* --- sleeping; job->lock held --- */

static void job_sleep(struct job *job, uint64_t deadline)
{
	job->busy = false;
	cond_wait_until(&job->wake, &job->lock, deadline);
	job->busy = true;
}

/* The same for one that has nothing to do until it is told to. */
static void job_stand(struct job *job, uint64_t deadline)
{
	uint64_t since = clock_ns();

	job_sleep(job, deadline);
	job->still_ns += clock_ns() - since;
}

static void job_stand_still(struct job *job, enum job_status still)
{
	enum job_status moving = job->status;

	job_become(job, still);
	while (job->paused && !job->want.cancel)
		job_stand(job, UINT64_MAX);
	job_become(job, moving);
}

/* Before the next try of what failed. What is asked of the job meanwhile it
 * does at once. */
static void job_rest(struct job *job)
{
	uint64_t until;

	job->rest_ns = min_u64(max_u64(2 * job->rest_ns, REST_NS_MIN),
			       REST_NS_MAX);
	until = clock_ns() + job->rest_ns;
	while (!job->want.cancel && !job->paused && clock_ns() < until)
		job_sleep(job, until);
}

/* --- its life --- */

/* WAITING, PENDING, and the change that makes the work count. */
static int job_settle(struct job *job)
{
	struct event pending = { .type = EVENT_JOB_PENDING };
	struct err err = ERR_INIT;
	bool cancelled;
	int rc = 0;

	lock_take(&job->lock);
	job_become(job, JOB_WAITING);
	job_become(job, JOB_PENDING);
	if (job->options.manual_finalize) {
		job_publish(job, &pending);
		while (!job->want.finalize && !job->want.cancel)
			job_stand(job, UINT64_MAX);
	}
	cancelled = job->want.cancel;
	lock_drop(&job->lock);

	if (cancelled)
		return -ECANCELED;
	if (job->kind->finish)
		rc = job->kind->finish(job, &err);
	return err.class ? job_fail(job, &err) : rc;
}

/* What it has done; job->lock held. */
static void job_sum_up(struct job *job)
{
	struct job_end *end = job->end;

	end->elapsed_ns = clock_ns() - job->started_ns;
	end->work_ns = end->elapsed_ns - min_u64(job->still_ns,
						 end->elapsed_ns);
	if (!job->kind->looks)
		end->moved = job->done;
}

static void job_conclude(struct job *job)
{
	struct jobs *jobs = job->jobs;
	struct event ev = { .type = job->cancelled ? EVENT_JOB_CANCELLED :
						     EVENT_JOB_COMPLETED,
			    .end = job->end };

	lock_take(&jobs->lock);
	lock_take(&job->lock);
	job_sum_up(job);
	if (!job->cancelled)
		job_short_error(job, ev.text, sizeof(ev.text));
	job_publish(job, &ev);
	job_become(job, JOB_CONCLUDED);
	if (job->options.manual_dismiss) {
		cond_wake_all(&jobs->changed);
		lock_drop(&jobs->lock);
		while (!job->want.dismiss)
			job_sleep(job, UINT64_MAX);
		lock_drop(&job->lock);
		lock_take(&jobs->lock);
		lock_take(&job->lock);
	}
	job_become(job, JOB_NULL);
	lock_drop(&job->lock);
	list_del(&job->link);
	job_put(job);
	cond_wake_all(&jobs->changed);
	lock_drop(&jobs->lock);
}

static bool job_await_start(struct job *job)
{
	bool started;

	lock_take(&job->lock);
	while (job->status == JOB_CREATED)
		cond_wait(&job->wake, &job->lock);
	started = job->status != JOB_NULL;
	lock_drop(&job->lock);
	return started;
}

static void job_main(void *arg)
{
	struct job *job = arg;
	int rc;

	if (!job_await_start(job))
		return;
	pthread_detach(pthread_self());
	rc = job->kind->run(job);
	if (!rc && !job->err.class)
		rc = job_settle(job);
	if (rc || job->err.class) {
		lock_take(&job->lock);
		job->cancelled = rc == -ECANCELED;
		job_become(job, JOB_ABORTING);
		lock_drop(&job->lock);
	}
	job->kind->release(job);
	if (job->jobs->let_go)
		job->jobs->let_go(job->jobs, job->id);
	job_conclude(job);
}

static bool job_id_is_valid(const char *id)
{
	return str_is_id(id) &&
	       strlen(id) < sizeof(((struct job_info *)0)->id);
}

void jobs_init(struct jobs *jobs, struct graph *graph,
	       struct event_ring *events, struct pool *pool)
{
	*jobs = (struct jobs){ .graph = graph, .events = events,
			       .pool = pool };
	lock_init(&jobs->lock);
	cond_init(&jobs->changed);
	list_init(&jobs->list);
}

void jobs_release(struct jobs *jobs)
{
	BUG_ON(!list_is_empty(&jobs->list));
	cond_release(&jobs->changed);
	lock_release(&jobs->lock);
}

static void job_free(struct job *job)
{
	cond_release(&job->wake);
	lock_release(&job->lock);
	job_end_put(job->end);
	free(job->id);
	free(job);
}

struct job *job_find(struct jobs *jobs, const char *id)
{
	struct job *found = NULL;

	lock_take(&jobs->lock);
	list_for_each(link, &jobs->list) {
		struct job *job = container_of(link, struct job, link);

		if (!strcmp(job->id, id)) {
			found = job_get(job);
			break;
		}
	}
	lock_drop(&jobs->lock);
	return found;
}

struct job *job_get(struct job *job)
{
	lock_take(&job->lock);
	job->refs++;
	lock_drop(&job->lock);
	return job;
}

void job_put(struct job *job)
{
	unsigned left;

	lock_take(&job->lock);
	left = --job->refs;
	lock_drop(&job->lock);
	if (!left)
		job_free(job);
}

int job_check_id(struct jobs *jobs, const char *id, struct err *err)
{
	struct job *same;
	bool ending;

	if (!job_id_is_valid(id))
		return err_set(err, ERR_GENERIC, "Invalid job ID '%s'", id);
	same = job_find(jobs, id);
	if (same) {
		job_put(same);
		return err_set(err, ERR_GENERIC, "Job ID '%s' already in use",
			       id);
	}
	lock_take(&jobs->lock);
	ending = jobs->ending;
	lock_drop(&jobs->lock);
	if (!ending)
		return 0;
	err_set(err, ERR_GENERIC, "Job '%s' is not started: the program ends",
		id);
	err->errnum = ECANCELED;
	return -1;
}

struct job *job_new(struct jobs *jobs, const struct job_kind *kind,
		    const struct job_options *o, void *opaque,
		    struct err *err)
{
	struct job *job;
	char name[32];
	int rc;

	if (job_check_id(jobs, o->id, err) < 0)
		return NULL;
	job = mem_alloc(sizeof(*job));
	*job = (struct job){
		.kind = kind, .jobs = jobs, .id = mem_dup(o->id),
		.opaque = opaque, .options = *o, .status = JOB_CREATED,
		.busy = true, .refs = 1, .end = job_end_new(),
	};
	job->options.id = job->id;
	job->claim = (struct claim){ .id = job->id, .type = kind->type };
	lock_init(&job->lock);
	cond_init(&job->wake);
	snprintf(name, sizeof(name), "job-%.12s", job->id);
	rc = thread_start(&job->thread, name, job_main, job);
	if (rc < 0) {
		err_sys(err, rc, "Could not start job '%s'", o->id);
		job_free(job);
		return NULL;
	}
	return job;
}

void job_discard(struct job *job)
{
	lock_take(&job->lock);
	job->status = JOB_NULL;
	cond_wake_all(&job->wake);
	lock_drop(&job->lock);
	thread_join(job->thread);
	job_free(job);
}

void job_set_images(struct job *job, const struct node *top,
		    const struct node *base)
{
	bool upward = job->kind->upward;

	memcpy(job->top, top->name, sizeof(job->top));
	if (base)
		memcpy(job->base, base->name, sizeof(job->base));
	job->end->to = job_file_path((upward ? top : base)->file->path);
	for (const struct node *n = upward ? top->backing : top;
	     n && n != base; n = n->backing)
		job_files_add(&job->end->from, n->file->path, 0);
}

void job_start(struct job *job)
{
	struct jobs *jobs = job->jobs;
	struct event created = { .type = EVENT_JOB_STATUS };

	lock_take(&jobs->lock);
	lock_take(&job->lock);
	list_add(&jobs->list, &job->link);
	job->want.cancel = job->want.force = job->want.dismiss = jobs->ending;
	job->started_ns = clock_ns();
	job->end->began_us = clock_wall_us();
	throttle_init(&job->throttle, job->options.speed, job->started_ns);
	job_publish(job, &created);
	job_become(job, JOB_RUNNING);
	cond_wake_all(&job->wake);
	lock_drop(&job->lock);
	lock_drop(&jobs->lock);
}

/* --- for the kind's code --- */

int job_point(struct job *job)
{
	uint64_t now, delay;
	int rc = 0;

	lock_take(&job->lock);
	for (;;) {
		if (job->want.cancel) {
			rc = -ECANCELED;
			break;
		}
		if (job->paused) {
			job_stand_still(job, job->ready ? JOB_STANDBY :
							  JOB_PAUSED);
			continue;
		}
		now = clock_ns();
		delay = throttle_delay(&job->throttle, now);
		if (!delay)
			break;
		job_sleep(job, now + delay);
	}
	lock_drop(&job->lock);
	return rc;
}

/* A piece that was begun at a higher speed is paid for at that speed: without
 * a limit it was free, and a crawl need not stand still for it. */
void job_charge(struct job *job, uint64_t bytes)
{
	uint64_t speed;

	lock_take(&job->lock);
	if (bytes)
		job->rest_ns = 0;
	speed = job->throttle.speed;
	if (!job->piece_speed)
		bytes = 0;
	else if (speed < job->piece_speed)
		bytes = (uint64_t)((double)bytes * (double)speed /
				   (double)job->piece_speed);
	throttle_charge(&job->throttle, bytes, clock_ns());
	lock_drop(&job->lock);
}

uint64_t job_piece(struct job *job, uint64_t min, uint64_t max)
{
	uint64_t speed, piece;

	lock_take(&job->lock);
	speed = job->throttle.speed;
	if (speed)
		max = min_u64(max, max_u64(LIMITED_PIECE, speed / 100));
	piece = throttle_piece(&job->throttle, min, max);
	job->piece_speed = speed;
	lock_drop(&job->lock);
	return piece;
}

void job_progress(struct job *job, uint64_t offset, uint64_t done)
{
	lock_take(&job->lock);
	job->offset = offset;
	job->done = done;
	lock_drop(&job->lock);
}

/* What was measured long ago counts less and less. */
static void jobs_measure(struct jobs *jobs, uint64_t bytes, uint64_t ns)
{
	lock_take(&jobs->lock);
	if (jobs->moved_ns > RATE_NS) {
		jobs->moved /= 2;
		jobs->moved_ns /= 2;
	}
	jobs->moved += bytes;
	jobs->moved_ns += ns;
	lock_drop(&jobs->lock);
}

void job_count(struct job *job, const struct copy_counts *counts,
	       uint64_t took_ns)
{
	uint64_t moved = counts->copied + counts->overwritten;

	lock_take(&job->lock);
	copy_counts_add(&job->counts, counts);
	lock_drop(&job->lock);
	if (moved)
		jobs_measure(job->jobs, moved, took_ns);
}

void job_set_len(struct job *job, uint64_t len, uint64_t total)
{
	lock_take(&job->lock);
	job->len = len;
	job->total = total;
	lock_drop(&job->lock);
}

static int job_obey_policy(struct job *job, enum on_error policy,
			   const struct err *why, bool reading)
{
	enum on_error action = on_error_action(policy, why->errnum);
	bool stop = action == ON_ERROR_STOP;
	bool again = action == ON_ERROR_IGNORE && job->kind->tries_again;
	struct event ev = {
		.type = EVENT_JOB_ERROR,
		.operation = reading ? "read" : "write",
		.action = on_error_name(action),
	};

	lock_take(&job->lock);
	job_notice(job, why->text);
	job_publish(job, &ev);
	if (stop) {
		job->io_status = on_error_is_nospace(why->errnum) ? ENOSPC :
								    EIO;
		job->paused = true;
	} else if (again) {
		job_rest(job);
	} else if (!job->err.class) {
		job->err = *why;
	}
	lock_drop(&job->lock);
	if (stop || again)
		return job_point(job);
	return action == ON_ERROR_IGNORE ? 1 : -why->errnum;
}

int job_error(struct job *job, const struct err *why, bool reading)
{
	return job_obey_policy(job, job->options.on_error, why, reading);
}

int job_give_up(struct job *job, const struct err *why, bool reading)
{
	return job_obey_policy(job, ON_ERROR_REPORT, why, reading);
}

int job_fail(struct job *job, const struct err *why)
{
	lock_take(&job->lock);
	job_notice(job, why->text);
	if (!job->err.class)
		job->err = *why;
	lock_drop(&job->lock);
	return why->errnum ? -why->errnum : -EINVAL;
}

int job_wait_ready(struct job *job, const _Atomic int *failed)
{
	struct event ready = { .type = EVENT_JOB_READY };
	int rc;

	lock_take(&job->lock);
	if (!job->ready) {
		job_become(job, JOB_READY);
		job->ready = true;
		job_publish(job, &ready);
	}
	for (;;) {
		rc = atomic_load(failed) ? -EAGAIN : 0;
		if (rc || job->want.cancel ||
		    (job->want.complete && !job->paused))
			break;
		if (job->paused)
			job_stand_still(job, JOB_STANDBY);
		else
			job_stand(job, clock_ns() + READY_POLL_NS);
	}
	if (job->want.cancel && (job->want.force || !rc)) {
		rc = job->want.force ? -ECANCELED : 1;
		job->want.cancel = false;
	}
	lock_drop(&job->lock);
	return rc;
}
