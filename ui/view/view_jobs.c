/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "ui/draw/text.h"
#include "ui/view/view.h"

#define JOBS_KEPT 64
#define RATE_WINDOW (5 * NS_PER_SEC)

void view_jobs_release(struct view_jobs *jobs)
{
	free(jobs->list);
	*jobs = (struct view_jobs) { 0 };
}

#define COPY(to, from) text_copy_safe(to, sizeof(to), from)

/* The newest of that id that is not over. */
static struct view_job *view_jobs_find(const struct view_jobs *jobs,
				       const char *id)
{
	for (size_t i = jobs->n; i--; )
		if (!strcmp(jobs->list[i].id, id) &&
		    jobs->list[i].end == JOB_LIVES)
			return &jobs->list[i];
	return NULL;
}

static void name_from(struct view_job *job, const struct view_image *v)
{
	COPY(job->from_name, v->name);
	job->from_cut = v->cut;
}

static void name_to(struct view_job *job, const struct view_image *v)
{
	COPY(job->to_name, v->name);
	job->to_cut = v->cut;
}

/* What lies between base and top: one by name, more by their number. */
static void name_between(struct view_job *job, const struct shape *shape,
			 int top, int base)
{
	int below = shape->images[top].backing;
	unsigned n = 0;

	for (int at = below; at >= 0 && at != base;
	     at = shape->images[at].backing)
		n++;
	if (n == 1)
		name_from(job, &shape->images[below]);
	else if (n)
		snprintf(job->from_name, sizeof(job->from_name), "%u layers",
			 n);
}

static void name_images(struct view_job *job, const struct shape *shape)
{
	int top = shape_find(shape, job->top);
	int base = shape_find(shape, job->base);

	/* Into what lies below, or elsewhere, while a guest writes on top. */
	if (top >= 0)
		job->races = strcmp(job->type, "stream") &&
			shape->images[top].drive;
	if (top < 0 || job->from_name[0])
		return;
	if (shape->images[top].top >= 0)
		COPY(job->drive, shape->images[shape->images[top].top].drive);
	/* A stream pulls up what lies between base and top. */
	if (!strcmp(job->type, "stream")) {
		name_to(job, &shape->images[top]);
		name_between(job, shape, top, base);
	} else if (base >= 0) {
		name_from(job, &shape->images[top]);
		name_to(job, &shape->images[base]);
	}
}

/* The rate is that of now: what was measured under another speed, or before
 * it stood still, is not counted. */
static void take_sample(struct view_job *job, bool other)
{
	unsigned n = other ? 0 : job->sample_count;

	job->measured_anew |= other && job->sample_count;
	if (n && job->elapsed_ns <= job->samples[n - 1].ns)
		return;
	while (n && (n == JOB_SAMPLES ||
		     (n > 1 && job->elapsed_ns - job->samples[1].ns >=
		      RATE_WINDOW)))
		memmove(job->samples, job->samples + 1,
			--n * sizeof(*job->samples));
	job->samples[n].ns = job->elapsed_ns;
	job->samples[n].done = job->done;
	job->sample_count = n + 1;
}

/* Seconds in which nobody looked have the mean of them. */
static void take_spark(struct view_job *job, uint64_t bytes)
{
	uint64_t second = job->elapsed_ns / NS_PER_SEC;
	uint64_t steps = job->spark_count ? second - job->spark_second : 1;

	if (job->spark_count && second < job->spark_second)
		return;
	if (!steps) {
		job->spark[job->spark_count - 1] += bytes;
		return;
	}
	job->spark_second = second;
	bytes /= steps;
	for (unsigned i = 0; i < JOB_SPARK && steps; i++, steps--) {
		if (job->spark_count == JOB_SPARK)
			memmove(job->spark, job->spark + 1,
				--job->spark_count * sizeof(*job->spark));
		job->spark[job->spark_count++] = bytes;
	}
}

/* Real work where it is known, else what QMP has: a position. */
static void take_numbers(struct view_job *job, const json_t *entry)
{
	bool work = json_object_get(entry, "done") != NULL;
	const struct view_job old = *job;
	double share;

	job->len = field_u64(entry, work ? "total" : "len");
	job->done = field_u64(entry, work ? "done" : "offset");
	if (job->done > job->len)
		job->len = job->done;
	job->speed = field_u64(entry, "speed");
	job->elapsed_ns = field_u64(entry, "elapsed-ns");
	job->began_us = clock_wall_us() - job->elapsed_ns / NS_PER_US;
	job->paused = field_bool(entry, "paused");
	job->ready = field_bool(entry, "ready");
	job->elsewhere = field_bool(entry, "x-blkmon-far");
	job->foreign = field_bool(entry, "x-blkmon-foreign");
	job->positions = field_bool(entry, "x-blkmon-positions");
	/* Nobody knows when that began. */
	job->measured_anew |= job->foreign && !work;
	job->waited |= job->paused || job->ready || (job->foreign && !work);
	job->failed_io = strcmp(field_str(entry, "io-status"), "ok") != 0;
	COPY(job->status, field_str(entry, "status"));
	share = job->ready ? 1 : job->len ?
		(double)job->done / (double)job->len : 0;
	if (share > job->share)
		job->share = share;
	take_spark(job, job->done > old.done ? job->done - old.done : 0);
	take_sample(job, job->speed != old.speed || job->paused != old.paused ||
		    job->ready != old.ready);
}

static void forget_oldest_end(struct view_jobs *jobs)
{
	for (size_t i = 0; i < jobs->n; i++)
		if (jobs->list[i].end != JOB_LIVES) {
			memmove(jobs->list + i, jobs->list + i + 1,
				(--jobs->n - i) * sizeof(*jobs->list));
			return;
		}
}

static struct view_job *view_jobs_add(struct view_jobs *jobs,
				      const json_t *entry)
{
	struct view_job *job;

	if (jobs->n >= JOBS_KEPT)
		forget_oldest_end(jobs);
	jobs->list = mem_grow(jobs->list, jobs->n + 1, sizeof(*jobs->list));
	job = &jobs->list[jobs->n++];
	*job = (struct view_job) { 0 };
	COPY(job->id, field_str(entry, "device"));
	COPY(job->type, field_str(entry, "type"));
	return job;
}

void view_jobs_settle(struct view_jobs *jobs)
{
	for (size_t i = 0; i < jobs->n; i++) {
		struct view_job *job = &jobs->list[i];

		if (!job->listed && job->end == JOB_LIVES)
			job->end = JOB_GONE;
	}
}

/* One that is over but must be dismissed is listed still. */
static bool view_jobs_is_kept(const struct view_jobs *jobs, const json_t *entry)
{
	if (strcmp(field_str(entry, "status"), "concluded"))
		return false;
	for (size_t i = 0; i < jobs->n; i++)
		if (!strcmp(jobs->list[i].id, field_str(entry, "device")))
			return true;
	return false;
}

bool view_jobs_update(struct view_jobs *jobs, const json_t *reply,
		      const struct shape *shape)
{
	bool grown = false;

	for (size_t i = 0; i < jobs->n; i++)
		jobs->list[i].listed = false;
	/* Newest first; the picture has the oldest first. */
	for (size_t i = json_array_size(reply); i--; ) {
		const json_t *entry = json_array_get(reply, i);
		struct view_job *job =
			view_jobs_find(jobs, field_str(entry, "device"));

		if (!job && view_jobs_is_kept(jobs, entry))
			continue;
		if (!job) {
			job = view_jobs_add(jobs, entry);
			grown = true;
		}
		job->listed = true;
		COPY(job->top, field_str(entry, "top-node"));
		COPY(job->base, field_str(entry, "base-node"));
		take_numbers(job, entry);
		name_images(job, shape);
	}
	return grown;
}

static void end_job(struct view_job *job, const json_t *data,
		    enum view_end end)
{
	const char *error = field_str(data, "error");

	if (*error)
		end = JOB_FAILED;
	COPY(job->error, error);
	job->end = end;
	if (end != JOB_DONE)
		return;
	job->share = 1;
	if (job->len)
		job->done = job->len;
}

/* It went on after the last look: the time of the event tells how long. */
static void set_end(struct view_job *job, const json_t *event)
{
	const json_t *stamp = json_object_get(event, "timestamp");
	uint64_t us = field_u64(stamp, "seconds") * 1000000 +
		field_u64(stamp, "microseconds");

	if (job->began_us && us > job->began_us &&
	    (us - job->began_us) * NS_PER_US > job->elapsed_ns)
		job->elapsed_ns = (us - job->began_us) * NS_PER_US;
}

/* As the tree has called it. */
static void name_left(struct view_job *job, const char *path,
		      const struct shape *shape)
{
	const char *slash = strrchr(path, '/');
	struct str safe = STR_INIT;

	for (size_t i = 0; shape && i < shape->n; i++) {
		const struct view_image *v = &shape->images[i];

		if (strcmp(v->file, path) && strcmp(v->full, path))
			continue;
		COPY(job->left_first, v->name);
		job->first_cut = v->cut;
		return;
	}
	str_add_safe(&safe, slash && slash[1] ? slash + 1 : path);
	COPY(job->left_first, str_get(&safe));
	str_release(&safe);
}

/* What it says itself that it has done, and what it leaves behind. */
static void take_told(struct view_job *job, const json_t *end,
		     const struct shape *shape)
{
	const json_t *file;
	size_t i;

	if (!end)
		return;
	job->told = true;
	job->elapsed_ns = field_u64(end, "time-ns");
	job->moved = field_u64(end, "moved");
	job->freed = field_u64(end, "freed");
	job->rate = field_u64(end, "rate");
	json_array_foreach(json_object_get(end, "unused"), i, file) {
		if (!job->left++)
			name_left(job, field_str(file, "file"), shape);
		job->left_bytes += field_u64(file, "bytes");
	}
}

void view_jobs_event(struct view_jobs *jobs, const json_t *event,
		     const struct shape *shape)
{
	const char *name = field_str(event, "event");
	const json_t *data = json_object_get(event, "data");
	bool completed = !strcmp(name, "BLOCK_JOB_COMPLETED");
	struct view_job *job;

	if (!completed && strcmp(name, "BLOCK_JOB_CANCELLED"))
		return;
	job = view_jobs_find(jobs, field_str(data, "device"));
	if (!job) {	/* begun and ended between two looks */
		job = view_jobs_add(jobs, data);
		job->speed = field_u64(data, "speed");
		job->len = field_u64(data, "len");
		job->done = field_u64(data, "offset");
		job->share = job->len ? (double)job->done /
			(double)job->len : 0;
	}
	set_end(job, event);
	end_job(job, data, completed ? JOB_DONE : JOB_CANCELLED);
	take_told(job, json_object_get(data, "x-blkmon-end"), shape);
}

void view_jobs_dismiss(struct view_jobs *jobs)
{
	size_t kept = 0;

	for (size_t i = 0; i < jobs->n; i++)
		if (jobs->list[i].end == JOB_LIVES)
			jobs->list[kept++] = jobs->list[i];
	jobs->n = kept;
}

void view_jobs_copy(struct view_jobs *to, const struct view_jobs *from)
{
	to->list = mem_grow(to->list, from->n + 1, sizeof(*to->list));
	if (from->n)
		memcpy(to->list, from->list, from->n * sizeof(*to->list));
	to->n = from->n;
}

uint64_t view_job_rate(const struct view_job *job)
{
	const unsigned n = job->sample_count;
	uint64_t ns, done;

	if (!n || (n == 1 && job->measured_anew))
		return 0;
	ns = job->samples[n - 1].ns;
	done = job->samples[n - 1].done;
	if (n > 1) {
		ns -= job->samples[0].ns;
		done -= job->samples[0].done;
	}
	if (!ns || (int64_t)done < 0)
		return 0;
	return (uint64_t)((double)done * (double)NS_PER_SEC / (double)ns);
}

uint64_t view_job_mean(const struct view_job *job)
{
	if (job->told)
		return job->rate;
	if (job->waited || !job->elapsed_ns)
		return 0;
	return (uint64_t)((double)job->done * (double)NS_PER_SEC /
			  (double)job->elapsed_ns);
}

bool view_job_eta(const struct view_job *job, uint64_t *seconds)
{
	uint64_t rate = view_job_rate(job);
	struct view_race race;

	if (view_job_race(job, &race) && race.guest) {
		*seconds = race.trend < 0 ?
			race.left / (uint64_t)-race.trend + 1 : 0;
		return race.trend < 0 && !job->ready;
	}
	if (job->speed && (!rate || rate > job->speed))
		rate = job->speed;
	if (!rate || job->end != JOB_LIVES || job->paused || job->ready ||
	    job->done >= job->len)
		return false;
	*seconds = (job->len - job->done + rate - 1) / rate;
	return true;
}

unsigned view_job_percent(const struct view_job *job)
{
	unsigned percent = (unsigned)(job->share * 100);

	if (job->ready || job->end == JOB_DONE)
		return 100;
	return percent > 99 ? 99 : percent;
}

bool view_job_moves(const struct view_job *job)
{
	return job->end == JOB_LIVES && !job->paused;
}
