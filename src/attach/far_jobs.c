/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose a job is, and what it is called. Events, replies and starts meet in
 * one list; what is in it is known by the id that the end has for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/far_impl.h"
#include "src/qmp/event.h"
#include "src/qmp/json/args.h"

/* What an end can make us remember. */
#define FAR_JOBS_MOST 4096

const char *far_job_shown(const char *id)
{
	size_t n = sizeof(FAR_PREFIX) - 1;

	return !strncmp(id, FAR_PREFIX, n) && id[n] ? id + n : id;
}

static bool far_job_is_marked(const char *id)
{
	return far_job_shown(id) != id;
}

/* --- the list; lock held --- */

static struct far_job *far_jobs_entry(struct far *f, const char *id)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->jobs[i].id, id))
			return &f->jobs[i];
	return NULL;
}

static struct far_job *far_jobs_note(struct far *f, const char *id)
{
	struct far_job *job = far_jobs_entry(f, id);

	if (job || f->n == FAR_JOBS_MOST)
		return job;
	f->jobs = mem_grow(f->jobs, f->n + 1, sizeof(*f->jobs));
	job = &f->jobs[f->n++];
	*job = (struct far_job) { .id = mem_dup(id), .began_ns = clock_ns() };
	return job;
}

static void far_jobs_drop(struct far *f, struct far_job *job)
{
	if (!job)
		return;
	free(job->id);
	free(job->top);
	free(job->base);
	*job = f->jobs[--f->n];
}

void far_jobs_release(struct far *f)
{
	while (f->n)
		far_jobs_drop(f, f->jobs);
	free(f->jobs);
	free(f->heard);
}

/* --- starts --- */

void far_jobs_own(struct far *f, const char *id, const char *top,
		  const char *base, bool active)
{
	struct far_job *job;

	lock_take(&f->lock);
	far_jobs_drop(f, far_jobs_entry(f, id));
	job = far_jobs_note(f, id);
	if (job) {
		job->own = true;
		job->active = active;
		job->top = mem_dup(top);
		job->base = mem_dup(base);
	}
	lock_drop(&f->lock);
}

void far_jobs_forget(struct far *f, const char *id)
{
	lock_take(&f->lock);
	far_jobs_drop(f, far_jobs_entry(f, id));
	lock_drop(&f->lock);
}

bool far_jobs_is_own(struct far *f, const char *id)
{
	const struct far_job *job;
	bool own;

	lock_take(&f->lock);
	job = far_jobs_entry(f, id);
	own = job && job->own;
	lock_drop(&f->lock);
	return own;
}

/* --- by the name that is shown --- */

/* A job that is ours and one of somebody else may look alike. */
static char *far_jobs_choose(const struct far_call *call, const json_t *list,
			     const char *shown, struct err *err)
{
	const char *ours = NULL, *theirs = NULL, *marked = NULL;
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *id = far_arg(entry, "id");

		if (!strcmp(id, shown))
			theirs = id;
		else if (strcmp(far_job_shown(id), shown))
			continue;
		else if (far_jobs_is_own(call->far, id))
			ours = id;
		else
			marked = id;
	}
	if (theirs && (ours || marked)) {
		err_set(err, ERR_GENERIC, "two jobs are called '%s': '%s' is "
			"one of them, and '%s' the other; the first can be "
			"named in full", shown, ours ? ours : marked, theirs);
		return NULL;
	}
	if (ours || theirs || marked)
		return mem_dup(ours ? ours : theirs ? theirs : marked);
	err_set(err, ERR_DEVICE_NOT_ACTIVE, "Block job '%s' not found", shown);
	return NULL;
}

char *far_job_find(const struct far_call *call, const char *shown,
		   struct err *err)
{
	json_t *list = far_ask(call, "query-jobs", NULL, err);
	char *id = list ? far_jobs_choose(call, list, shown, err) : NULL;

	json_decref(list);
	return id;
}

/* --- what is said of them --- */

/* Lock held. */
static bool far_jobs_need_look(struct far *f, const json_t *list)
{
	const struct far_job *job;
	bool need = false;
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		job = far_jobs_note(f, far_arg(entry, "device"));
		need |= job && !job->looked;
	}
	return need;
}

static void far_jobs_set(char **to, const char *text)
{
	if (!*text)
		return;
	free(*to);
	*to = mem_dup(text);
}

/* Lock held. One that the graph does not have is over. */
static void far_jobs_take_works(struct far *f, const json_t *list,
				const json_t *works)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *id = far_arg(entry, "device");
		struct far_job *job = far_jobs_entry(f, id);
		const json_t *work = json_object_get(works, id);

		if (!job || job->looked)
			continue;
		job->looked = true;
		job->active |= json_is_true(json_object_get(work, "active"));
		far_jobs_set(&job->top, far_arg(work, "top"));
		far_jobs_set(&job->base, far_arg(work, "base-node"));
	}
}

void far_jobs_learn(const struct far_call *call, const json_t *list)
{
	struct far *f = call->far;
	struct err err = ERR_INIT;
	json_t *works;
	bool need;

	if (far_speaks_dialect(f))
		return;
	lock_take(&f->lock);
	need = far_jobs_need_look(f, list);
	lock_drop(&f->lock);
	works = need ? far_works(call, &err) : NULL;
	if (!works)
		return;
	lock_take(&f->lock);
	far_jobs_take_works(f, list, works);
	lock_drop(&f->lock);
	json_decref(works);
}

/* Does it count where it is on the disk, and not what it has done? A commit of
 * which nobody knows more counts so until it is READY. */
static bool far_job_has_positions(const struct far_job *job,
				  const json_t *entry)
{
	const char *type = far_arg(entry, "type");

	if (json_object_get(entry, "done"))
		return false;
	if (!strcmp(type, "commit"))
		return !job->active && !json_is_true(json_object_get(entry,
								"ready"));
	return !strcmp(type, "stream");
}

void far_jobs_dress(struct far *f, json_t *entry, const char *key)
{
	char *id = mem_dup(far_arg(entry, key));
	bool work = !strcmp(key, "device") &&
		!json_object_get(entry, "elapsed-ns");
	const struct far_job *job;

	lock_take(&f->lock);
	job = far_jobs_note(f, id);
	if (job && work) {
		json_object_set_new(entry, "elapsed-ns", json_integer(
				    (json_int_t)(clock_ns() - job->began_ns)));
		if (job->top && *job->top)
			json_object_set_new(entry, "top-node",
					    json_string(job->top));
		if (job->base && *job->base)
			json_object_set_new(entry, "base-node",
					    json_string(job->base));
		if (far_job_has_positions(job, entry))
			json_object_set_new(entry, "x-blkmon-positions",
					    json_true());
	}
	if (!job || !job->own)
		json_object_set_new(entry, "x-blkmon-foreign", json_true());
	lock_drop(&f->lock);
	json_object_set_new(entry, "x-blkmon-far", json_true());
	json_object_set_new(entry, key, json_string(far_job_shown(id)));
	free(id);
}

/* Once for each job: an end that was looked at may tell the same in an event
 * that comes behind its reply, or in front. Lock held. */
static bool far_job_tell(struct far_job *job, const char *name)
{
	bool *told = !strcmp(name, "BLOCK_JOB_READY") ? &job->ready :
		!strcmp(name, "BLOCK_JOB_COMPLETED") ||
		!strcmp(name, "BLOCK_JOB_CANCELLED") ? &job->ended : NULL;

	if (told && *told)
		return false;
	if (told)
		*told = true;
	return true;
}

bool far_jobs_event(struct far *f, const char *name, json_t *data)
{
	const char *key = json_object_get(data, "device") ? "device" : "id";
	char *id = mem_dup(far_arg(data, key));
	const char *status = strcmp(name, "JOB_STATUS_CHANGE") ? "" :
		far_arg(data, "status");
	struct far_job *job;
	bool news = true;

	lock_take(&f->lock);
	job = far_jobs_entry(f, id);
	if (!job || !job->own)
		json_object_set_new(data, "x-blkmon-foreign", json_true());
	json_object_set_new(data, "x-blkmon-far", json_true());
	if (job)
		job->seen = true;
	if (job && !strcmp(status, "created"))
		job->ready = job->ended = false;
	if (job)
		news = far_job_tell(job, name);
	if (!strcmp(status, "concluded") && far_job_is_marked(id)) {
		job = far_jobs_note(f, id);
		if (job)
			job->concluded = true;
	}
	if (job && !strcmp(status, "null"))
		far_jobs_drop(f, job);
	lock_drop(&f->lock);
	if (json_is_object(data))
		json_object_set_new(data, key, json_string(far_job_shown(id)));
	free(id);
	return news;
}

/* --- their end --- */

void far_jobs_dismiss(const struct far_call *call, const char *id)
{
	struct err err = ERR_INIT;

	json_decref(far_order(call, "job-dismiss", json_pack("{s:s}", "id",
							     id),
			      FAR_LIMIT_NS, &err));
}

/* The id of one that is to be dismissed, the caller's; or NULL. */
static char *far_jobs_next_concluded(struct far *f)
{
	char *id = NULL;

	lock_take(&f->lock);
	for (size_t i = 0; !id && i < f->n; i++)
		if (f->jobs[i].concluded) {
			f->jobs[i].concluded = false;
			id = mem_dup(f->jobs[i].id);
		}
	lock_drop(&f->lock);
	return id;
}

void far_jobs_tend(const struct far_call *call)
{
	struct err err = ERR_INIT;
	char *id;

	while ((id = far_jobs_next_concluded(call->far))) {
		if (!far_guard(call, "job-dismiss", &err))
			far_jobs_dismiss(call, id);
		free(id);
	}
}

/* An event that nobody heard. @error: "" none. */
static void far_jobs_tell(struct far *f, const json_t *entry,
			  const char *name, const char *error)
{
	json_t *data = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "device",
		far_job_shown(far_arg(entry, "id")), "type",
		far_arg(entry, "type"), "len",
		(json_int_t)args_int(entry, "total-progress", 0), "offset",
		(json_int_t)args_int(entry, "current-progress", 0), "speed",
		(json_int_t)0, "x-blkmon-far", 1);

	if (*error)
		json_object_set_new(data, "error", json_string(error));
	far_publish(f, qmp_event_new(clock_wall_us(), name, data));
}

/* Of one that is ours. */
static void far_jobs_tell_own(struct far *f, const json_t *entry,
			      const char *name, const char *error)
{
	struct far_job *job;
	bool news;

	lock_take(&f->lock);
	job = far_jobs_entry(f, far_arg(entry, "id"));
	news = job && job->own && far_job_tell(job, name);
	lock_drop(&f->lock);
	if (news)
		far_jobs_tell(f, entry, name, error);
}

static void far_jobs_tell_end(struct far *f, const json_t *entry)
{
	const char *error = far_arg(entry, "error");
	bool cancelled = !strcmp(error, strerror(ECANCELED));

	far_jobs_tell_own(f, entry, cancelled ? "BLOCK_JOB_CANCELLED" :
			  "BLOCK_JOB_COMPLETED", cancelled ? "" : error);
}

/* Another of its name, begun while nobody listened, may get READY again. */
static void far_jobs_tell_ready(struct far *f, const json_t *entry)
{
	const char *status = far_arg(entry, "status");
	struct far_job *job;

	if (!strcmp(status, "ready")) {
		far_jobs_tell_own(f, entry, "BLOCK_JOB_READY", "");
		return;
	}
	lock_take(&f->lock);
	job = far_jobs_entry(f, far_arg(entry, "id"));
	if (job && !job->own)
		job->ready = job->ended = false;
	lock_drop(&f->lock);
}

/* Of jobs of others there are no events where nobody listens: those who follow
 * them ask. */
static void far_jobs_compare(struct far *f, const json_t *list)
{
	struct str now = STR_INIT;
	json_t *entry;
	bool news;
	size_t i;

	json_array_foreach(list, i, entry)
		str_addf(&now, "%s %s\n", far_arg(entry, "id"),
			 far_arg(entry, "status"));
	news = f->heard && strcmp(f->heard, str_get(&now));
	free(f->heard);
	f->heard = mem_dup(str_get(&now));
	str_release(&now);
	if (news)
		far_tell_state(f);
}

/* Jobs of others stay as they are, concluded or not. */
static void far_jobs_look_at(const struct far_call *call, const json_t *entry)
{
	const char *id = far_arg(entry, "id");
	const char *error = far_arg(entry, "error");
	bool own = far_jobs_is_own(call->far, id);
	struct err err = ERR_INIT;

	if (strcmp(far_arg(entry, "status"), "concluded") ||
	    !far_job_is_marked(id) || far_guard(call, "job-dismiss", &err))
		return;
	if (own)
		far_jobs_tell_end(call->far, entry);
	else
		far_notice(call->far, "job '%s' of an earlier console %s%s",
			   far_job_shown(id), *error ? "failed: " :
			   "has ended well", error);
	far_jobs_dismiss(call, id);
}

void far_jobs_again(const struct far_call *call)
{
	struct err err = ERR_INIT;
	json_t *list = far_ask(call, "query-jobs", NULL, &err), *entry;
	struct far *f = call->far;
	size_t i;

	json_array_foreach(list, i, entry) {
		far_jobs_tell_ready(f, entry);
		far_jobs_look_at(call, entry);
	}
	if (list && !f->address.hold)
		far_jobs_compare(f, list);
	lock_take(&f->lock);
	/* One that is about to be started is not there yet. */
	for (i = f->n; list && i--; )
		if (args_entry(list, "id", f->jobs[i].id))
			f->jobs[i].seen = true;
		else if (f->jobs[i].seen || !f->jobs[i].own)
			far_jobs_drop(f, &f->jobs[i]);
	lock_drop(&f->lock);
	json_decref(list);
}
