/* job_mirror.c - active commit: merges the layer that the guest writes to.
 *
 * From the start what the guest writes behind the cursor goes to both images
 * (mirror.h), so one pass brings them in sync whatever the guest does, and
 * they stay so; what could not be written to base is copied again, if the
 * job's policy for errors says so. To pivot: base durable, all requests
 * drained, and the drive moves over. The overlay is left as it is; up to that
 * moment it alone would do after a crash, afterwards base counts.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/chain/graph.h"
#include "engine/job/job_kinds.h"
#include "engine/chain/node_io.h"
#include "engine/job/pass.h"
#include "engine/util/mem.h"

/* All that can be refused before something is changed. */
static int active_enter(struct active *a, struct jobs *jobs,
			struct drive *drive, struct node *base,
			const struct claim *owner, struct err *err)
{
	*a = (struct active){
		.im = { .jobs = jobs, .owner = owner, .top = drive->root.node,
			.base = base, .to = base },
		.drive = drive,
	};
	if (job_images_claim(&a->im, drive->root.node, base, err) < 0)
		return -1;
	if (!job_images_check(&a->im, a->im.top->size, err))
		return 0;
	job_images_unclaim(&a->im);
	return -1;
}

int active_check(struct jobs *jobs, struct drive *drive, struct node *base,
		 const struct claim *owner, struct err *err)
{
	struct active a;

	if (active_enter(&a, jobs, drive, base, owner, err))
		return -1;
	job_images_unclaim(&a.im);
	return 0;
}

int active_open(struct active *a, struct jobs *jobs, struct drive *drive,
		struct node *base, const struct claim *owner,
		struct err *err)
{
	if (active_enter(a, jobs, drive, base, owner, err))
		return -1;
	if (job_images_prepare(&a->im, a->im.top->size, err) < 0) {
		job_images_release(&a->im);
		return -1;
	}
	mirror_open(&a->mirror, drive, base);
	return 0;
}

void active_close(struct active *a)
{
	mirror_close(&a->mirror);
	job_images_release(&a->im);
}

struct pass active_pass_over(struct jobs *jobs, struct node *top,
			     struct node *base)
{
	return (struct pass){
		.graph = jobs->graph,
		.copy = { .pool = jobs->pool, .from = top, .to = base,
			  .stop = base },
		.size = top->size,
	};
}

static int active_pass(struct active *a, struct job *job)
{
	struct pass p = active_pass_over(a->im.jobs, a->im.top, a->im.base);
	int rc;

	p.job = job;
	p.copy.live = true;
	p.mirror = &a->mirror;
	p.again = a->in_sync;
	rc = pass_run(&p, NULL);
	a->in_sync |= !rc;
	return rc;
}

int active_catch_up(struct active *a, struct job *job)
{
	int rc;

	if (!a->in_sync)
		job_images_mark(&a->im);
	rc = active_pass(a, job);
	return rc ? rc : job_images_keep(&a->im, job);
}

int active_hold(struct active *a, struct job *job)
{
	struct graph *graph = a->im.jobs->graph;
	int rc;

	atomic_store(&a->mirror.durable, true);
	for (rc = job_images_keep(&a->im, job); !rc;
	     rc = active_catch_up(a, job)) {
		graph_begin(graph);
		graph_hold_gate(graph, &a->drive->gate);
		if (!atomic_load(&a->mirror.failed))
			return 0;
		graph_end(graph);
	}
	return rc;
}

/* --- the job --- */

static int active_run(struct job *job)
{
	struct active *a = job->opaque;
	int rc;

	do {
		rc = active_catch_up(a, job);
		if (rc)
			return rc;
		rc = job_wait_ready(job, &a->mirror.failed);
	} while (rc == -EAGAIN);
	a->pivot = !rc;
	return rc < 0 ? rc : 0;
}

/* No request is under way. */
static void pivot(struct active *a)
{
	struct drive *drive = a->drive;
	struct node *old = drive->root.node;

	drive->root.node = graph_get(a->im.base);
	job_images_leave(&a->im, old, a->im.base, a->im.base->file->path);
	a->im.was_read_only = drive->read_only;
	graph_put(old);
}

/* Where it stays on the overlay what the guest has not flushed is made durable
 * in base when it no longer writes there. */
static int active_finish(struct job *job, struct err *err)
{
	struct active *a = job->opaque;
	int rc = active_hold(a, job);

	if (rc)
		return rc;
	mirror_close(&a->mirror);
	a->im.done = true;
	job->end->pivoted = a->pivoted = a->pivot;
	if (a->pivoted)
		pivot(a);
	graph_end(a->im.jobs->graph);
	return a->pivoted ? 0 : job_images_flush(&a->im, err);
}

/* What is let go of is flushed first, while the guest works. */
static void active_release(struct job *job)
{
	struct active *a = job->opaque;
	struct graph *graph = a->im.jobs->graph;

	node_flush(a->pivoted ? a->im.top : a->im.base);
	job_images_look_back(&a->im, a->pivoted);
	graph_begin(graph);
	active_close(a);
	graph_end(graph);
	free(a);
}

static const struct job_kind kind_active = {
	.type = "commit", .tries_again = true, .run = active_run,
	.finish = active_finish, .release = active_release,
};

int mirror_check(struct jobs *jobs, struct drive *drive, struct node *base,
		 const struct job_options *o, struct err *err)
{
	const struct claim owner = { .id = o->id, .type = kind_active.type };

	return job_check_id(jobs, o->id, err) ? -1 :
	       active_check(jobs, drive, base, &owner, err);
}

int mirror_start(struct jobs *jobs, struct drive *drive, struct node *base,
		 const struct job_options *o, struct err *err)
{
	struct active *a = mem_alloc(sizeof(*a));
	struct job *job = job_new(jobs, &kind_active, o, a, err);

	if (job && !active_open(a, jobs, drive, base, &job->claim, err)) {
		job_set_len(job, a->im.top->size, 0);
		job_set_images(job, a->im.top, base);
		job_start(job);
		return 0;
	}
	if (job)
		job_discard(job);
	free(a);
	return -1;
}
