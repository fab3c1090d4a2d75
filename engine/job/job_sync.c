/* job_sync.c - commit at once: HMP's commit and the offline one.
 *
 * A job like others, but for its events, which QEMU does not send; whoever it
 * is started for stays until it has ended. The guest may write meanwhile: as
 * in an active commit its writes go to both images. Base is durable before the
 * overlay is emptied, which is the last of it: up to there the overlay has
 * all, and a cancel is of no consequence.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/node_io.h"
#include "engine/chain/siblings.h"
#include "engine/job/job_kinds.h"
#include "engine/job/work.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* How soon a caller who wants it to end is heard. */
#define SYNC_LOOK_NS (20 * NS_PER_MS)

struct sync {
	struct active active;
	bool empty;			/* the overlay, in the end */
};

static int find_base(struct drive *drive, const char *name,
		     struct node **base, struct err *err)
{
	struct node *top = drive->root.node;

	if (!top->backing)
		return err_sys(err, ENOTSUP, "'%s' has no backing file to "
			       "commit to", top->file->path);
	*base = top->backing;
	if (name && chain_find(top, name, base, err) < 0)
		return -1;
	return *base && *base != top ? 0 : chain_refuse_name(name, top, err);
}

static uint64_t node_disk_bytes(const struct node *node)
{
	return file_disk_bytes(node->file) +
	       (node->data ? file_disk_bytes(node->data) : 0);
}

/* Graph begun, its gates held: who reads next finds the data in base. */
static int empty_overlay(struct node *node, struct job_end *end,
			 struct err *err)
{
	uint64_t before = node_disk_bytes(node), after;
	struct range_hold hold;
	int rc;

	range_take(&node->range, &hold, 0, INT64_MAX, true);
	rc = node->drv->empty(node);
	range_drop(&node->range, &hold);
	after = node_disk_bytes(node);
	end->freed = before > after ? before - after : 0;
	return rc ? err_sys(err, rc, "Could not empty '%s'",
			    node->file->path) : 0;
}

static int sync_run(struct job *job)
{
	struct sync *s = job->opaque;

	return active_catch_up(&s->active, job);
}

static int sync_finish(struct job *job, struct err *err)
{
	struct sync *s = job->opaque;
	struct graph *graph = job->jobs->graph;
	int rc = active_hold(&s->active, job);

	if (rc)
		return rc;
	mirror_close(&s->active.mirror);
	/* The claim keeps the images as they are for all but those who look. */
	graph_pause(graph);
	rc = job_images_flush(&s->active.im, err);
	if (!rc && s->empty)
		rc = empty_overlay(s->active.im.top, job->end, err);
	graph_resume(graph);
	graph_forget_maps(graph);
	s->active.im.done = !rc;
	graph_end(graph);
	return rc;
}

/* What is let go of is flushed first: closing it would do so with the graph
 * held, and every guest would wait. */
static void sync_release(struct job *job)
{
	struct sync *s = job->opaque;
	struct graph *graph = job->jobs->graph;

	node_flush(s->active.im.base);
	job_images_look_back(&s->active.im, false);
	graph_begin(graph);
	active_close(&s->active);
	graph_end(graph);
	free(s);
}

static const struct job_kind kind_sync = {
	.type = "commit", .private = true, .run = sync_run,
	.finish = sync_finish, .release = sync_release,
};

/* --- the start; graph write-held --- */

/* Whether the overlay is emptied in the end. */
static bool sync_empties(const struct sync_options *o, const struct node *top,
			 const struct node *base)
{
	return base == top->backing && top->drv->empty && !o->keep;
}

static int sync_check_images(const struct work *w,
			     const struct sync_options *o,
			     const struct siblings *found, struct err *err)
{
	if (w->empties && w->top->read_only && !w->drive->only_plans)
		return err_sys(err, EACCES, "'%s' is read-only",
			       w->top->file->path);
	if (graph_check_exclusive(w->top, w->base, err) < 0)
		return -1;
	if (o->force)
		return 0;
	return chain_check_snapshots(w->top, w->base, "A commit", err) ||
	       siblings_check_range(found, w->top, w->base, "a commit", err) ||
	       siblings_check_headers(found, w->top, w->base, NULL, "a commit",
				      err) ? -1 : 0;
}

int sync_resolve(struct jobs *jobs, const struct sync_options *o,
		 const struct siblings *found, struct work *w,
		 struct err *err)
{
	struct drive *drive = drive_find(jobs->graph, o->device);
	struct node *base;

	if (!drive)
		return err_set(err, ERR_DEVICE_NOT_FOUND,
			       "Device '%s' not found", o->device);
	if (!drive->root.node)
		return err_set(err, ERR_DEVICE_NOT_FOUND,
			       "Device '%s' has no medium", o->device);
	if (o->speed < 0)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameter 'speed' "
			       "expects a non-negative value");
	if (find_base(drive, o->base, &base, err) < 0)
		return -1;
	*w = (struct work){
		.kind = WORK_ACTIVE, .drive = drive, .top = drive->root.node,
		.base = base, .job.id = drive->root.id,
		.job.speed = (uint64_t)o->speed,
		.empties = sync_empties(o, drive->root.node, base),
	};
	return sync_check_images(w, o, found, err);
}

int sync_check(struct jobs *jobs, const struct work *w, struct err *err)
{
	const struct claim owner = { .id = w->job.id, .type = kind_sync.type };

	return active_check(jobs, w->drive, w->base, &owner, err);
}

static int sync_open(struct sync *s, struct job *job, const struct work *w,
		     struct err *err)
{
	s->empty = w->empties;
	return active_open(&s->active, job->jobs, w->drive, w->base,
			   &job->claim, err);
}

static bool job_id_is_free(struct jobs *jobs, const char *id)
{
	struct job *job = job_find(jobs, id);

	if (job)
		job_put(job);
	return !job;
}

/* The one whom it serves has not given it a name. */
static void sync_choose_id(struct jobs *jobs, const struct drive *drive,
			   char *id, size_t size)
{
	const char *name = drive->root.id;

	snprintf(id, size, "%.100s", name);
	if (!job_id_is_free(jobs, id))
		snprintf(id, size, "commit-%.100s", name);
	for (unsigned n = 2; !job_id_is_free(jobs, id); n++)
		snprintf(id, size, "commit%u-%.100s", n, name);
}

struct job *sync_start(struct jobs *jobs, const struct work *w,
		       struct err *err)
{
	char id[128];
	struct job_options options = {
		.id = id, .speed = w->job.speed, .need = w->job.need,
	};
	struct sync *s = mem_alloc(sizeof(*s));
	struct job *job;

	sync_choose_id(jobs, w->drive, id, sizeof(id));
	job = job_new(jobs, &kind_sync, &options, s, err);
	if (job && !sync_open(s, job, w, err)) {
		const struct job_images *im = &s->active.im;

		job_set_len(job, im->top->size, 0);
		job_set_images(job, im->top, im->base);
		job_get(job);
		job_start(job);
		return job;
	}
	if (job)
		job_discard(job);
	free(s);
	return NULL;
}

/* --- for whom it is started --- */

static bool sync_is_wanted(struct job *job, const struct sync_options *o)
{
	struct job_info info;

	if (!o->progress)
		return true;
	job_describe(job, &info);
	return o->progress(info.done, info.total, o->arg);
}

static void sync_cancelled(struct err *err)
{
	err_set(err, ERR_GENERIC, "Cancelled; the active layer is as it was");
}

/* A paused one ends as well. */
int sync_await(struct job *job, const struct sync_options *o, struct err *err)
{
	struct err none = ERR_INIT;
	int rc;

	if (!job) {
		if (err->errnum == ECANCELED && o->progress &&
		    !o->progress(0, 0, o->arg))
			sync_cancelled(err);
		return -1;
	}
	if (o->aside) {
		job_put(job);
		return 0;
	}
	while (!job_wait_over(job, clock_ns() + SYNC_LOOK_NS))
		if (!sync_is_wanted(job, o))
			job_cancel(job, true, &none);
	rc = job_result(job, err);
	if (!rc)
		sync_is_wanted(job, o);
	else if (err->errnum == ECANCELED)
		sync_cancelled(err);
	job_put(job);
	return rc;
}

int sync_error(const char *as, struct err *err)
{
	if (err->class == ERR_DEVICE_NOT_FOUND)
		return -1;
	if (err->class == ERR_DEVICE_IN_USE)
		err_set(err, ERR_DEVICE_IN_USE, "%s", strerror(EBUSY));
	else if (err->errnum == ENOTSUP)
		err_set(err, ERR_GENERIC, "%s", strerror(ENOTSUP));
	err_prefix(err, "'commit' error for '%s': ", as);
	return -1;
}
