/* job_commit.c - merges images in the middle of a chain into one below.
 *
 * The base receives only what the images above hide, so it may be half
 * written at any time. In the end it is made durable before the header of the
 * overlay points at it.
 *
 * Where base is larger than top, the overlay saw zeroes beyond the end of top
 * and would see old data of base: as much of it as the overlay can see is
 * zeroed.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/chain/chain.h"
#include "engine/chain/graph.h"
#include "engine/job/job_kinds.h"
#include "engine/chain/node_open.h"
#include "engine/job/pass.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

struct commit {
	struct job_images im;		/* to == base */
	struct overlay {		/* of top */
		struct node *node;
		char *backing;		/* words for its header */
		char *old, *old_format;	/* those that it has */
	} *overlay;
	size_t overlays, overlay_cap;
};

/* As much of base as somebody can see through top. The disk may have been
 * larger when an overlay's internal snapshots were taken. Graph held. */
static uint64_t visible_size(struct node *top, const struct node *base)
{
	uint64_t size = 0;
	struct node *node;

	for (unsigned i = 0; (node = graph_overlay(top, i)); i++) {
		if (node->drv->snapshots &&
		    node->drv->snapshots(node, NULL, NULL))
			return base->size;
		size = max_u64(size, node->size);
	}
	return min_u64(size, base->size);
}

struct pass commit_pass(struct jobs *jobs, struct node *top, struct node *base)
{
	return (struct pass){
		.graph = jobs->graph,
		.copy = { .pool = jobs->pool, .from = top, .to = base,
			  .stop = base },
		.size = max_u64(top->size, visible_size(top, base)),
	};
}

static int commit_run(struct job *job)
{
	struct commit *c = job->opaque;
	struct pass p;
	int rc;

	job_images_mark(&c->im);
	rwlock_read(&c->im.jobs->graph->lock);
	p = commit_pass(c->im.jobs, c->im.top, c->im.base);
	rwlock_drop(&c->im.jobs->graph->lock);
	p.job = job;
	rc = pass_run(&p, NULL);
	return rc ? rc : job_images_keep(&c->im, job);
}

/* Writes the header of an overlay, which may be read-only itself. */
static int overlay_relink(struct commit *c, struct node *overlay,
			  struct node *to, const char *name,
			  const char *format, struct err *err)
{
	bool was_read_only = overlay->read_only;
	struct err back = ERR_INIT;
	int rc;

	if (node_set_writable(overlay, true, err) < 0)
		return -1;
	graph_hold(overlay);
	rc = overlay->drv->set_backing(overlay, name, format, err);
	if (!rc)
		graph_link(overlay, to);
	if (was_read_only && node_set_writable(overlay, false, &back) < 0)
		event_notice(c->im.jobs->events, "%s", back.text);
	return rc;
}

static int link_to_base(struct commit *c, const struct overlay *o,
			struct err *err)
{
	struct node *base = c->im.base;

	return overlay_relink(c, o->node, base, o->backing, base->drv->name,
			      err);
}

static void link_back(struct commit *c, const struct overlay *o)
{
	struct err err = ERR_INIT;

	if (overlay_relink(c, o->node, c->im.top, o->old, o->old_format,
			   &err) < 0)
		event_notice(c->im.jobs->events, "%s; it stays on '%s'",
			     err.text, c->im.base->file->path);
}

/* All of them, or none. */
static int commit_relink(struct commit *c, struct err *err)
{
	unsigned n = 0;
	int rc = 0;

	while (n < c->overlays && !rc) {
		rc = link_to_base(c, &c->overlay[n], err);
		n += !rc;
	}
	while (rc && n)
		link_back(c, &c->overlay[--n]);
	if (!rc)
		job_images_leave(&c->im, c->im.top, c->im.base,
				 c->im.base->file->path);
	return rc;
}

static int commit_finish(struct job *job, struct err *err)
{
	struct commit *c = job->opaque;
	int rc;

	graph_begin(c->im.jobs->graph);
	rc = commit_relink(c, err);
	c->im.done = !rc;
	graph_end(c->im.jobs->graph);
	return rc;
}

static void commit_free_words(struct commit *c)
{
	for (unsigned i = 0; i < c->overlays; i++) {
		free(c->overlay[i].backing);
		free(c->overlay[i].old);
		free(c->overlay[i].old_format);
	}
	free(c->overlay);
}

static void commit_close(struct commit *c)
{
	job_images_release(&c->im);
	commit_free_words(c);
}

static void commit_release(struct job *job)
{
	struct commit *c = job->opaque;
	struct graph *graph = c->im.jobs->graph;
	struct err err = ERR_INIT;

	job_images_flush(&c->im, &err);
	job_images_look_back(&c->im, false);
	graph_begin(graph);
	commit_close(c);
	graph_end(graph);
	free(c);
}

static const struct job_kind kind_commit = {
	.type = "commit", .tries_again = true, .run = commit_run,
	.finish = commit_finish, .release = commit_release,
};

/* NULL: no memory. */
static struct overlay *add_overlay(struct commit *c)
{
	void *p = mem_try_more(c->overlay, &c->overlay_cap, c->overlays + 1,
			       sizeof(*c->overlay));

	if (!p)
		return NULL;
	c->overlay = p;
	c->overlay[c->overlays] = (struct overlay){ 0 };
	return &c->overlay[c->overlays++];
}

/* The overlay in the job's own chain comes first; @backing is for it. */
static int commit_overlays(struct commit *c, struct node *first,
			   const char *backing, struct err *err)
{
	struct node *node = first;
	unsigned n = 0;

	for (; node; node = graph_overlay(c->im.top, n++)) {
		struct overlay *o;

		if (n && node == first)
			continue;
		if (node != first &&
		    graph_claim(node, node, c->im.owner, err) < 0)
			return -1;
		o = add_overlay(c);
		if (!o)
			return err_sys(err, ENOMEM, "Could not commit '%s'",
				       node->file->path);
		o->node = node;
		o->old = mem_dup(node->backing_name);
		o->old_format = mem_dup(node->backing_format);
		o->backing = backing && node == first ?
			     chain_name_given(node, c->im.base, backing) :
			     chain_name_for(node, c->im.base, err);
		if (!o->backing ||
		    node->drv->check_backing(node, o->backing,
					     c->im.base->drv->name, err) < 0)
			return -1;
	}
	return 0;
}

static void commit_leave(struct commit *c)
{
	job_images_unclaim(&c->im);
	commit_free_words(c);
}

/* All that can be refused before something is changed. */
static int commit_enter(struct commit *c, struct node *overlay,
			const char *backing, struct err *err)
{
	if (job_images_claim(&c->im, overlay, c->im.base, err) < 0)
		return -1;
	if (!commit_overlays(c, overlay, backing, err) &&
	    !job_images_check(&c->im, c->im.top->size, err))
		return 0;
	commit_leave(c);
	return -1;
}

static int commit_open(struct commit *c, struct node *overlay,
		       const char *backing, struct err *err)
{
	if (commit_enter(c, overlay, backing, err))
		return -1;
	if (!job_images_prepare(&c->im, c->im.top->size, err))
		return 0;
	commit_close(c);
	return -1;
}

static void commit_init(struct commit *c, struct jobs *jobs, struct node *top,
			struct node *base, const struct claim *owner)
{
	*c = (struct commit){ .im = {
		.jobs = jobs, .owner = owner, .top = top, .base = base,
		.to = base,
	} };
}

int commit_check(struct jobs *jobs, struct node *overlay, struct node *top,
		 struct node *base, const char *backing,
		 const struct job_options *o, struct err *err)
{
	const struct claim owner = { .id = o->id, .type = kind_commit.type };
	struct commit c;

	commit_init(&c, jobs, top, base, &owner);
	if (job_check_id(jobs, o->id, err) ||
	    commit_enter(&c, overlay, backing, err))
		return -1;
	commit_leave(&c);
	return 0;
}

int commit_start(struct jobs *jobs, struct node *overlay, struct node *top,
		 struct node *base, const char *backing,
		 const struct job_options *o, struct err *err)
{
	struct commit *c = mem_alloc(sizeof(*c));
	struct job *job = job_new(jobs, &kind_commit, o, c, err);

	commit_init(c, jobs, top, base, job ? &job->claim : NULL);
	if (job && !commit_open(c, overlay, backing, err)) {
		job_set_len(job, top->size, 0);
		job_set_images(job, top, base);
		job_start(job);
		return 0;
	}
	if (job)
		job_discard(job);
	free(c);
	return -1;
}
