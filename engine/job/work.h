/* work.h - what a request for a job comes to, once its images are found and
 * were looked at how they lie to each other: what is started, and what a plan
 * is made of.
 */
#ifndef BLKMON_WORK_H
#define BLKMON_WORK_H

#include "engine/chain/drive.h"
#include "engine/job/job.h"

enum work_kind {
	WORK_STREAM,		/* what lies between top and base into top */
	WORK_COMMIT,		/* top down to above base into base */
	WORK_ACTIVE,		/* the same of a drive's active layer */
};

struct work {
	enum work_kind kind;
	struct drive *drive;	/* STREAM of a node alone: NULL */
	struct node *overlay;	/* COMMIT: whose backing file top is */
	struct node *top, *base; /* STREAM: base NULL, all below */
	const char *backing;	/* words for the header; NULL: ours */
	const char *filter;	/* name of QEMU's node in front of top, or
				   NULL; the start is not concerned */
	bool empties;		/* at once: top, in the end */
	struct job_options job;
};

/* Would it be refused to start it? The words are those of work_start(), which
 * begins with the same look. Graph write-held; nothing has changed. */
int work_check(struct jobs *jobs, const struct work *w, struct err *err);
/* The same as work, run dry: what it would do to each byte, and what that
 * takes, by the code that does it. Nothing is held but references to top and
 * base, taken while the graph had this @shape; reads tables and no data. 0;
 * -ESTALE and err: the graph has changed and all is to be asked again; -errno
 * and err. @there: copy_options.there. */
int work_count(struct jobs *jobs, const struct work *w, uint64_t shape,
	       bool there, struct copy_counts *out, struct err *err);
/* What that takes of the file system of work_file(), in bytes; graph not held.
 * -ESTALE as above. */
int work_need(struct jobs *jobs, const struct work *w, uint64_t shape,
	      const struct copy_counts *counts, uint64_t *bytes);
/* What it takes of the file systems to make an image @size bytes long, on that
 * of the file that its data go into, with all that hides what lies below. Graph
 * held. 0 or -errno. */
int work_need_resize(struct node *node, uint64_t size, uint64_t *bytes);
/* Is @node read by headers alone, from outside of the graph or by snapshots
 * inside of it, and shows something else there when the work is done?
 * siblings_check_headers(); graph begun. */
bool work_shows_otherwise(const struct work *w, const struct node *node);
/* The image that is written. */
static inline struct node *work_target(const struct work *w)
{
	return w->kind == WORK_STREAM ? w->top : w->base;
}
/* The one that its data go into. */
static inline struct file *work_file(const struct work *w)
{
	return node_data_file(work_target(w));
}
/* No more than that is ever taken. Graph held. */
uint64_t work_need_most(const struct work *w);
/* Graph write-held. 0, or -1 and err: then nothing has changed but that a base
 * may have grown. */
int work_start(struct jobs *jobs, const struct work *w, struct err *err);

#endif
