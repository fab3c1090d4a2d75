/* job_control.c - what is asked of a job from outside, see job.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/job/job.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"

#define BIT(n) (1u << (n))

#define AT_WORK (BIT(JOB_CREATED) | BIT(JOB_RUNNING) | BIT(JOB_PAUSED) | \
		 BIT(JOB_READY) | BIT(JOB_STANDBY))

/* In which states which verb is understood. */
static const struct {
	const char *name;
	unsigned in;
} verbs[JOB_VERB_COUNT] = {
	[JOB_CANCEL] = { "cancel", AT_WORK | BIT(JOB_WAITING) |
				   BIT(JOB_PENDING) },
	[JOB_PAUSE] = { "pause", AT_WORK },
	[JOB_RESUME] = { "resume", AT_WORK },
	[JOB_SET_SPEED] = { "set-speed", AT_WORK },
	[JOB_COMPLETE] = { "complete", BIT(JOB_READY) | BIT(JOB_STANDBY) },
	[JOB_FINALIZE] = { "finalize", BIT(JOB_PENDING) },
	[JOB_DISMISS] = { "dismiss", BIT(JOB_CONCLUDED) },
};

const char *job_verb_name(enum job_verb verb)
{
	return verbs[verb].name;
}

bool job_verb_allowed(enum job_status status, enum job_verb verb)
{
	return verbs[verb].in & BIT(status);
}

/* Takes job->lock if the verb is fine. */
static int job_verb(struct job *job, enum job_verb verb, struct err *err)
{
	lock_take(&job->lock);
	if (job_verb_allowed(job->status, verb))
		return 0;
	err_set(err, ERR_GENERIC,
		"Job '%s' in state '%s' cannot accept command verb '%s'",
		job->id, job_status_name(job->status), job_verb_name(verb));
	lock_drop(&job->lock);
	return -1;
}

static void job_wake(struct job *job)
{
	cond_wake_all(&job->wake);
	lock_drop(&job->lock);
}

/* Takes job->lock if it is fine. */
static int may_cancel(struct job *job, bool force, struct err *err)
{
	if (job_verb(job, JOB_CANCEL, err) < 0)
		return -1;
	if (!job->paused || force)
		return 0;
	err_set(err, ERR_GENERIC, "The block job for device '%s' is "
		"currently paused", job->id);
	lock_drop(&job->lock);
	return -1;
}

int job_check_cancel(struct job *job, bool force, struct err *err)
{
	if (may_cancel(job, force, err))
		return -1;
	lock_drop(&job->lock);
	return 0;
}

int job_cancel(struct job *job, bool force, struct err *err)
{
	if (may_cancel(job, force, err))
		return -1;
	job->want.cancel = true;
	job->want.force |= force;
	job_wake(job);
	return 0;
}

int job_pause(struct job *job, struct err *err)
{
	if (job_verb(job, JOB_PAUSE, err) < 0)
		return -1;
	if (job->paused) {
		err_set(err, ERR_GENERIC, "Job is already paused");
		lock_drop(&job->lock);
		return -1;
	}
	job->paused = true;
	job_wake(job);
	return 0;
}

int job_resume(struct job *job, struct err *err)
{
	lock_take(&job->lock);
	if (!job->paused) {
		err_set(err, ERR_GENERIC,
			"Can't resume a job that was not paused");
		lock_drop(&job->lock);
		return -1;
	}
	job->paused = false;
	job->io_status = 0;
	job_wake(job);
	return 0;
}

int job_set_speed(struct job *job, uint64_t speed, struct err *err)
{
	if (job_verb(job, JOB_SET_SPEED, err) < 0)
		return -1;
	throttle_set_speed(&job->throttle, speed, clock_ns());
	job_wake(job);
	return 0;
}

/* Takes job->lock if it is fine. */
static int may_complete(struct job *job, struct err *err)
{
	if (job_verb(job, JOB_COMPLETE, err) < 0)
		return -1;
	if (!job->want.cancel)
		return 0;
	err_set(err, ERR_GENERIC, "The active block job '%s' cannot be "
		"completed", job->id);
	lock_drop(&job->lock);
	return -1;
}

int job_check_complete(struct job *job, struct err *err)
{
	if (may_complete(job, err))
		return -1;
	lock_drop(&job->lock);
	return 0;
}

int job_complete(struct job *job, struct err *err)
{
	if (may_complete(job, err))
		return -1;
	job->want.complete = true;
	job_wake(job);
	return 0;
}

int job_finalize(struct job *job, struct err *err)
{
	if (job_verb(job, JOB_FINALIZE, err) < 0)
		return -1;
	job->want.finalize = true;
	job_wake(job);
	return 0;
}

static bool job_has_left(struct job *job)
{
	bool left;

	lock_take(&job->lock);
	left = job->status == JOB_NULL;
	lock_drop(&job->lock);
	return left;
}

int job_dismiss(struct job *job, struct err *err)
{
	struct jobs *jobs = job->jobs;

	if (job_verb(job, JOB_DISMISS, err) < 0)
		return -1;
	job->want.dismiss = true;
	job_wake(job);
	lock_take(&jobs->lock);
	while (!job_has_left(job))
		cond_wait(&jobs->changed, &jobs->lock);
	lock_drop(&jobs->lock);
	return 0;
}

/* job->lock held. */
static void job_describe_end(const struct job *job, struct job_info *info)
{
	if (job->status != JOB_CONCLUDED)
		return;
	info->elapsed_ns = job->end->elapsed_ns;
	info->work_ns = job->end->work_ns;
	info->unused = job->end->unused.n;
	info->unused_bytes = job_files_bytes(&job->end->unused);
	job_short_error(job, info->error, sizeof(info->error));
}

void job_describe(struct job *job, struct job_info *info)
{
	lock_take(&job->lock);
	*info = (struct job_info){
		.type = job->kind->type,
		.status = job_status_name(job->status),
		.io_status = io_status_name(job->io_status),
		.len = job->len, .offset = job->offset,
		.total = job->total, .done = job->done,
		.counts = job->counts,
		.speed = job->throttle.speed,
		.elapsed_ns = clock_ns() - job->started_ns,
		.busy = job->busy, .paused = job->paused,
		.ready = job->status == JOB_READY ||
			 job->status == JOB_STANDBY,
		.auto_finalize = !job->options.manual_finalize,
		.auto_dismiss = !job->options.manual_dismiss,
		.changed = job->grew || job->done ||
			   copy_counts_any(&job->counts),
	};
	snprintf(info->id, sizeof(info->id), "%s", job->id);
	memcpy(info->top, job->top, sizeof(info->top));
	memcpy(info->base, job->base, sizeof(info->base));
	info->work_ns = info->elapsed_ns - job->still_ns;
	job_describe_end(job, info);
	lock_drop(&job->lock);
}

static bool job_is_over(struct job *job)
{
	bool over;

	lock_take(&job->lock);
	over = job->status == JOB_NULL || (job->status == JOB_CONCLUDED &&
					   job->options.manual_dismiss);
	lock_drop(&job->lock);
	return over;
}

bool job_wait_over(struct job *job, uint64_t deadline)
{
	struct jobs *jobs = job->jobs;
	bool over;

	lock_take(&jobs->lock);
	while (!(over = job_is_over(job)) &&
	       cond_wait_until(&jobs->changed, &jobs->lock, deadline))
		;
	lock_drop(&jobs->lock);
	return over;
}

int job_result(struct job *job, struct err *err)
{
	int rc = 0;

	lock_take(&job->lock);
	if (job->cancelled)
		rc = err_sys(err, ECANCELED, "Job '%s'", job->id);
	else if (job->err.class) {
		*err = job->err;
		rc = -1;
	}
	lock_drop(&job->lock);
	return rc;
}

/* Bytes of data; job->lock held. */
static uint64_t work_left(const struct job *job)
{
	return job->total - min_u64(job->done, job->total);
}

static bool needs_of(const struct job *job, dev_t dev)
{
	return job->options.need.dev == dev && (AT_WORK & BIT(job->status));
}

static uint64_t job_reserved(struct job *job, dev_t dev)
{
	const struct job_need *need = &job->options.need;
	uint64_t bytes = 0, all;

	lock_take(&job->lock);
	if (needs_of(job, dev))
		bytes = need->bytes;
	all = need->left ? need->left : job->total;
	if (all)
		bytes = (uint64_t)((double)bytes *
				   (double)min_u64(work_left(job), all) /
				   (double)all);
	lock_drop(&job->lock);
	return bytes;
}

uint64_t jobs_reserved(struct jobs *jobs, dev_t dev,
		       void (*each)(const char *id, void *arg), void *arg)
{
	uint64_t sum = 0;

	lock_take(&jobs->lock);
	list_for_each(link, &jobs->list) {
		struct job *job = container_of(link, struct job, link);
		uint64_t left = job_reserved(job, dev);

		sum += left;
		if (left && each)
			each(job->id, arg);
	}
	lock_drop(&jobs->lock);
	return sum;
}

struct job *job_uncounted(struct jobs *jobs, dev_t dev)
{
	struct job *found = NULL;

	lock_take(&jobs->lock);
	list_for_each(link, &jobs->list) {
		struct job *job = container_of(link, struct job, link);

		lock_take(&job->lock);
		if (!found && needs_of(job, dev) && job->options.need.most)
			found = job;
		lock_drop(&job->lock);
	}
	if (found)
		job_get(found);
	lock_drop(&jobs->lock);
	return found;
}

void job_set_need(struct job *job, const uint64_t *bytes)
{
	struct job_need *need = &job->options.need;

	lock_take(&job->lock);
	need->most = false;
	if (bytes) {
		need->bytes = *bytes;
		need->left = work_left(job);
	}
	lock_drop(&job->lock);
}

void job_cancel_all(struct jobs *jobs)
{
	lock_take(&jobs->lock);
	jobs->ending = true;
	while (!list_is_empty(&jobs->list)) {
		list_for_each(link, &jobs->list) {
			struct job *job = container_of(link, struct job, link);

			lock_take(&job->lock);
			job->want.cancel = job->want.force = true;
			job->want.dismiss = true;
			job_wake(job);
		}
		cond_wait(&jobs->changed, &jobs->lock);
	}
	lock_drop(&jobs->lock);
}
