/* job_images.c - what all kinds of jobs do with their images at the start and
 * at the end; see job_kinds.h.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "engine/chain/graph.h"
#include "engine/job/job_kinds.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/chain/siblings.h"
#include "engine/file/mark.h"

/* A commit that is cancelled has to be gone soon: it looks no longer. */
#define LOOK_BACK_MS 50

int job_images_claim(struct job_images *im, struct node *claim,
		     struct node *bottom, struct err *err)
{
	if (graph_claim(claim, bottom, im->owner, err) < 0)
		return -1;
	graph_get(im->top);
	if (im->base)
		graph_get(im->base);
	im->was_read_only = im->to->read_only;
	im->bytes = atomic_load(&im->to->file->size);
	return 0;
}

/* @rc is how it went to make `to` writable, or to ask whether it could be. */
static int writable_error(int rc, struct err *err)
{
	if (rc < 0 && (err->errnum == EACCES || err->errnum == EPERM ||
		       err->errnum == EROFS))
		err->class = ERR_NOT_SUPPORTED;
	return rc;
}

int job_images_check(struct job_images *im, uint64_t size, struct err *err)
{
	if (writable_error(node_check_writable(im->to, err), err))
		return -1;
	return node_check_grow(im->to, size, err);
}

/* @owner is part of the job. */
static struct job *job_of_images(const struct job_images *im)
{
	return (struct job *)((char *)im->owner - offsetof(struct job, claim));
}

int job_images_prepare(struct job_images *im, uint64_t size, struct err *err)
{
	struct node *to = im->to;

	if (writable_error(node_set_writable(to, true, err), err) < 0)
		return -1;
	if (to->size >= size)
		return 0;
	if (node_grow(to, size, err) < 0)
		return -1;
	job_of_images(im)->grew = true;
	graph_forget_maps(to->graph);
	return 0;
}

void job_images_leave(struct job_images *im, struct node *top,
		      struct node *base, const char *into)
{
	struct job_end *end = job_of_images(im)->end;

	graph_leave_behind(top, base, into);
	for (struct node *n = top; n && n != base && n->left; n = n->backing)
		job_files_add(&end->unused, n->file->path,
			      file_disk_bytes(n->file));
}

void job_images_mark(struct job_images *im)
{
	mark_set(im->base->file, MARK_COMMITTING, im->top->file->path);
}

void job_images_unclaim(struct job_images *im)
{
	graph_unclaim(im->jobs->graph, im->owner);
	graph_put(im->top);
	if (im->base)
		graph_put(im->base);
}

void job_images_look_back(struct job_images *im, bool top_too)
{
	struct siblings s = {
		.ms_max = job_of_images(im)->cancelled ? LOOK_BACK_MS : 0,
		.again = true,
	};
	struct graph *graph = im->jobs->graph;
	struct node *base = im->base;

	rwlock_read(&graph->lock);
	siblings_note(&s, im->top);
	rwlock_drop(&graph->lock);
	siblings_look(&s, graph);
	if (s.lost)
		event_notice(im->jobs->events, "Whether overlays of '%s' were "
			     "made while %s was writing there is not known: %s",
			     base->file->path, im->owner->id,
			     strerror(s.lost));
	if (s.count) {
		graph_begin(graph);
		for (struct node *n = im->top; n; n = n->backing) {
			if (n != im->top || top_too)
				siblings_tell_late(&s, n, im->owner->id);
			if (n == base)
				break;
		}
		graph_end(graph);
	}
	siblings_release(&s);
}

void job_images_release(struct job_images *im)
{
	struct err err = ERR_INIT;

	if (im->to->drv->cut && !im->to->read_only) {
		graph_hold(im->to);
		im->to->drv->cut(im->to, im->bytes);
	}
	if (im->was_read_only && node_set_writable(im->to, false, &err) < 0)
		event_notice(im->jobs->events, "%s", err.text);
	/* Behind the last flush, which would have to write the inode else. */
	if (im->to == im->base && im->done)
		mark_clear(im->base->file);
	graph_forget_maps(im->jobs->graph);
	job_images_unclaim(im);
}

/* Without the graph: the claim and the reference keep the image as it is, and
 * whoever waited for the graph to write would make every guest wait for this
 * flush. */
int job_images_flush(struct job_images *im, struct err *err)
{
	int rc = node_flush(im->to);

	return rc ? err_sys(err, rc, "Could not flush '%s'",
			    im->to->file->path) : 0;
}

/* After a failed fsync the host may have forgotten what it had not written:
 * there is nothing left to try again. */
int job_images_keep(struct job_images *im, struct job *job)
{
	struct err err = ERR_INIT;
	int rc;

	do {
		if (!job_images_flush(im, &err))
			return 0;
		rc = im->to->file->failed ? job_give_up(job, &err, false) :
					    job_error(job, &err, false);
	} while (!rc);
	return rc;
}
