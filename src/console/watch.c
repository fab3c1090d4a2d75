/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"

static void job_release(struct watch_job *job)
{
	free(job->id);
	free(job->error);
}

void watch_release(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		job_release(&w->jobs[i]);
	free(w->jobs);
	*w = (struct watch) { 0 };
}

static struct watch_job *watch_find_entry(const struct watch *w, const char *id)
{
	for (size_t i = 0; id && i < w->n; i++)
		if (!strcmp(w->jobs[i].id, id))
			return &w->jobs[i];
	return NULL;
}

const struct watch_job *watch_find(const struct watch *w, const char *id)
{
	return watch_find_entry(w, id);
}

/* A new job, which takes the place of an old one of its name. */
static struct watch_job *watch_begin(struct watch *w, const char *id)
{
	struct watch_job *job = watch_find_entry(w, id);

	if (job) {
		job_release(job);
	} else {
		w->jobs = mem_grow(w->jobs, w->n + 1, sizeof(*w->jobs));
		job = &w->jobs[w->n++];
	}
	*job = (struct watch_job) { .id = mem_dup(id), .heard = w->heard };
	return job;
}

static void take_status(struct watch_job *job, const char *status)
{
	static const struct {
		const char *status;
		enum watch_state state;
	} states[] = {
		{ "running", WATCH_RUNNING },
		{ "paused", WATCH_PAUSED },
		{ "standby", WATCH_PAUSED },
		{ "ready", WATCH_READY },
		{ "waiting", WATCH_RUNNING },
		/* Only BLOCK_JOB_PENDING says that it stands there. */
		{ "pending", WATCH_RUNNING },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (!strcmp(states[i].status, status) &&
		    (job->state != WATCH_PENDING || strcmp(status, "pending")))
			job->state = states[i].state;
	job->was_ready |= job->state == WATCH_READY;
	job->concluded |= !strcmp(status, "concluded");
	job->gone |= !strcmp(status, "null");
	if (*status)
		job->settling = !strcmp(status, "pending");
}

static void watch_count_failed(struct watch *w, struct watch_job *job)
{
	w->failed += !job->foreign;
	job->told |= job->foreign;
}

static void watch_fail(struct watch *w, struct watch_job *job,
		       const char *error)
{
	job->state = WATCH_FAILED;
	job->error = mem_dup(error);
	watch_count_failed(w, job);
}

void watch_event(struct watch *w, const json_t *event)
{
	const char *name = field_str(event, "event");
	const json_t *data = json_object_get(event, "data");
	const char *id = field_str(data, "device");
	const char *status = field_str(data, "status");
	const char *error = field_str(data, "error");
	struct watch_job *job;

	w->heard++;
	if (!*id)
		id = field_str(data, "id");
	job = !strcmp(status, "created") ? watch_begin(w, id)
					 : watch_find_entry(w, id);
	if (!job)
		return;
	job->heard = w->heard;
	job->foreign = field_bool(data, "x-blkmon-foreign");
	job->far = field_bool(data, "x-blkmon-far");
	take_status(job, status);
	if (!strcmp(name, "BLOCK_JOB_PENDING"))
		job->state = WATCH_PENDING;
	else if (!strcmp(name, "BLOCK_JOB_CANCELLED"))
		job->state = WATCH_CANCELLED;
	else if (!strcmp(name, "BLOCK_JOB_COMPLETED") && !*error)
		job->state = WATCH_DONE;
	else if (!strcmp(name, "BLOCK_JOB_COMPLETED"))
		watch_fail(w, job, error);
}

const struct watch_job *watch_next_failed(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct watch_job *job = &w->jobs[i];

		if (job->state >= WATCH_FAILED && !job->told) {
			job->told = true;
			return job;
		}
	}
	return NULL;
}

static bool watch_is_listed(const json_t *jobs, const char *id)
{
	json_t *entry;
	size_t i;

	json_array_foreach(jobs, i, entry)
		if (!strcmp(field_str(entry, "id"), id))
			return true;
	return false;
}

/* One that stays in the list until it is dismissed says how it ended. */
static void take_end(struct watch *w, struct watch_job *job,
		     const json_t *entry)
{
	const char *error = field_str(entry, "error");

	job->kept = true;
	if (watch_is_over(job))
		return;
	if (!*error)
		job->state = WATCH_DONE;
	else if (!strcmp(error, strerror(ECANCELED)))
		job->state = WATCH_CANCELLED;
	else
		watch_fail(w, job, error);
}

static void watch_take_entry(struct watch *w, const json_t *entry,
			     uint64_t heard)
{
	const char *id = field_str(entry, "id");
	const char *status = field_str(entry, "status");
	struct watch_job *job = watch_find_entry(w, id);
	bool concluded = !strcmp(status, "concluded");

	if (job && job->heard > heard)
		return;
	if (job && field_bool(entry, "x-blkmon-lost")) {
		job->lost = true;
		return;
	}
	if (!job || job->gone || (watch_is_over(job) && !concluded))
		job = watch_begin(w, id);
	job->foreign = field_bool(entry, "x-blkmon-foreign");
	job->far = field_bool(entry, "x-blkmon-far");
	job->lost = field_bool(entry, "x-blkmon-lost");
	take_status(job, status);
	if (concluded)
		take_end(w, job, entry);
}

/* Nothing more is heard of it; one that is gone may have ended unheard. */
static bool watch_is_closed(const struct watch_job *job)
{
	return job->gone && watch_is_over(job);
}

static void take_absence(struct watch *w, struct watch_job *job)
{
	job->gone = true;
	if (watch_is_over(job))
		return;
	job->state = WATCH_UNSEEN;
	watch_count_failed(w, job);
}

/* It is at a place that did not answer. */
static bool watch_is_lost(const json_t *reply, const struct watch_job *job)
{
	json_t *place;
	size_t i;

	json_array_foreach(json_object_get(reply, "x-blkmon-lost"), i, place) {
		size_t n = json_string_length(place);

		if (!strncmp(job->id, json_string_value(place), n) &&
		    job->id[n] == '/')
			return true;
	}
	return false;
}

void watch_sync(struct watch *w, const json_t *reply, uint64_t heard)
{
	const json_t *jobs = json_object_get(reply, "return");
	json_t *entry;
	size_t i;

	for (i = 0; i < w->n; i++) {
		struct watch_job *job = &w->jobs[i];

		if (watch_is_closed(job) || job->heard > heard ||
		    watch_is_listed(jobs, job->id))
			continue;
		job->lost = watch_is_lost(reply, job);
		if (!job->lost)
			take_absence(w, job);
	}
	json_array_foreach(jobs, i, entry)
		watch_take_entry(w, entry, heard);
}

bool watch_is_settling(const struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->jobs[i].settling && w->jobs[i].state == WATCH_RUNNING)
			return true;
	return false;
}

void watch_sync_pending(struct watch *w, const json_t *jobs)
{
	json_t *entry;
	size_t i;

	json_array_foreach(jobs, i, entry) {
		struct watch_job *job = watch_find_entry(w, field_str(entry,
							 "device"));

		if (job && job->settling && job->state == WATCH_RUNNING &&
		    !strcmp(field_str(entry, "status"), "pending") &&
		    json_is_false(json_object_get(entry, "auto-finalize")))
			job->state = WATCH_PENDING;
	}
}

void watch_asked(struct watch *w, const char *id)
{
	struct watch_job *job = watch_find_entry(w, id);

	if (job)
		job->asked = true;
}

bool watch_is_over(const struct watch_job *job)
{
	return job->state >= WATCH_DONE;
}

bool watch_is_finished(const struct watch_job *job)
{
	return watch_is_over(job) && (job->gone || job->kept);
}

bool watch_is_stuck(const struct watch_job *job)
{
	return (job->state == WATCH_READY && !job->asked) ||
		job->state == WATCH_PAUSED ||
		(job->state == WATCH_PENDING && !job->asked);
}
