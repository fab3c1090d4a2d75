/* work.c - see work.h: leads to the kind of job that does it. */
#include "engine/job/work.h"

#include <errno.h>

#include "engine/chain/siblings.h"
#include "engine/job/copy.h"
#include "engine/job/job_kinds.h"
#include "engine/util/bug.h"
#include "engine/util/bytes.h"

int work_check(struct jobs *jobs, const struct work *w, struct err *err)
{
	switch (w->kind) {
	case WORK_STREAM:
		return stream_check(jobs, w->top, w->base, w->backing,
				    &w->job, err);
	case WORK_COMMIT:
		return commit_check(jobs, w->overlay, w->top, w->base,
				    w->backing, &w->job, err);
	case WORK_ACTIVE:
		return mirror_check(jobs, w->drive, w->base, &w->job, err);
	}
	BUG("work of kind %d", w->kind);
}

static struct pass work_pass(struct jobs *jobs, const struct work *w)
{
	switch (w->kind) {
	case WORK_STREAM:
		return stream_pass(jobs, w->top, w->base);
	case WORK_COMMIT:
		return commit_pass(jobs, w->top, w->base);
	case WORK_ACTIVE:
		return active_pass_over(jobs, w->top, w->base);
	}
	BUG("work of kind %d", w->kind);
}

/* The images that are read and the one that is written can share extents, or
 * can't. Graph held. */
static void probe_clones(const struct work *w)
{
	for (struct node *n = w->top; n; n = n->backing) {
		file_probe_clone(node_data_file(n));
		if (n == w->base)
			break;
	}
}

/* Graph read-held. */
static bool has_changed(const struct jobs *jobs, uint64_t shape)
{
	return atomic_load(&jobs->graph->shape) != shape;
}

int work_count(struct jobs *jobs, const struct work *w, uint64_t shape,
	       bool there, struct copy_counts *out, struct err *err)
{
	struct pass p = { 0 };
	bool work = false;
	int rc = 0;

	*out = (struct copy_counts){ 0 };
	rwlock_read(&jobs->graph->lock);
	if (has_changed(jobs, shape)) {
		rc = -ESTALE;
		err_sys(err, rc, "The chain has changed");
	} else {
		work = w->kind != WORK_STREAM || w->top->backing != w->base;
		probe_clones(w);
		p = work_pass(jobs, w);
	}
	rwlock_drop(&jobs->graph->lock);
	if (rc || !work)
		return rc;
	p.copy.dry = true;
	p.copy.there = there;
	p.shape = shape;
	rc = pass_run(&p, err);
	*out = p.counts;
	return rc;
}

/* Tables take the most with clusters of 512 bytes and counts of 64 bits: a
 * 32nd. */
uint64_t work_need_most(const struct work *w)
{
	uint64_t size = max_u64(work_target(w)->size, w->top->size);

	return size + size / 16 + (64u << 20);
}

/* @own: what the image itself takes, with data where they are not in a file
 * of their own. */
static uint64_t need_of(const struct node *to, const struct copy_counts *counts,
			const struct file_need *own)
{
	struct file *file = to->file, *data = node_data_file(to);
	struct file_need all = counts->missing;
	uint64_t bytes = 0;

	if (data != file) {
		bytes = data->dev == file->dev ? file_need(file, own) : 0;
		return bytes + file_need(data, &all);
	}
	all.bytes += own->bytes - min_u64(own->bytes, counts->shared);
	all.holes = min_u64(all.bytes, all.holes + own->holes);
	return file_need(file, &all);
}

int work_need(struct jobs *jobs, const struct work *w, uint64_t shape,
	      const struct copy_counts *counts, uint64_t *bytes)
{
	struct node *to = work_target(w);
	uint64_t size = max_u64(to->size, w->top->size);
	struct file_need own = { 0 };
	int rc = 0;

	rwlock_read(&jobs->graph->lock);
	if (has_changed(jobs, shape))
		rc = -ESTALE;
	else if (to->drv->growth)
		rc = to->drv->growth(to, size, counts->clusters, &own);
	*bytes = rc ? 0 : need_of(to, counts, &own);
	rwlock_drop(&jobs->graph->lock);
	return rc;
}

int work_need_resize(struct node *node, uint64_t size, uint64_t *bytes)
{
	struct copy *c = copy_new(&(struct copy_options){
		.from = node, .to = node, .dry = true,
	});
	int rc = copy_count_growth(c, size);
	struct copy_counts counts = *copy_counted(c);
	struct file_need own = { 0 };

	copy_free(c);
	if (!rc && node->drv->growth)
		rc = node->drv->growth(node, size, counts.clusters, &own);
	*bytes = rc ? 0 : need_of(node, &counts, &own);
	return rc;
}

static bool stream_shows_otherwise(const struct work *w,
				   const struct node *node)
{
	return (w->backing || w->top->backing != w->base) &&
	       siblings_read_otherwise(node, w->top, w->base, w->backing);
}

bool work_shows_otherwise(const struct work *w, const struct node *node)
{
	struct node *over;

	if (w->kind == WORK_STREAM)
		return stream_shows_otherwise(w, node);
	if (siblings_read_otherwise(node, w->top, w->base, NULL))
		return true;
	for (unsigned n = 0; w->kind == WORK_COMMIT &&
	     (over = graph_overlay(w->top, n)); n++)
		if (siblings_read_otherwise(node, over, w->base,
					    over == w->overlay ? w->backing :
					    NULL))
			return true;
	return false;
}

int work_start(struct jobs *jobs, const struct work *w, struct err *err)
{
	switch (w->kind) {
	case WORK_STREAM:
		return stream_start(jobs, w->top, w->base, w->backing,
				    &w->job, err);
	case WORK_COMMIT:
		return commit_start(jobs, w->overlay, w->top, w->base,
				    w->backing, &w->job, err);
	case WORK_ACTIVE:
		return mirror_start(jobs, w->drive, w->base, &w->job, err);
	}
	BUG("work of kind %d", w->kind);
}
