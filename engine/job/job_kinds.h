/* job_kinds.h - the kinds of jobs, for engine_jobs.c, which has found the
 * images and checked how they lie to each other.
 *
 * Each start is called with the graph write-held. It claims the images, looks
 * whether somebody else would see a change, opens for writing what is to be
 * written, and sets the job going. 0, or -1 and err: then nothing has changed
 * but that a base may have grown.
 */
#ifndef BLKMON_JOB_KINDS_H
#define BLKMON_JOB_KINDS_H

#include "engine/job/job.h"
#include "engine/job/mirror.h"
#include "engine/job/pass.h"

/* What they have in common. */
struct job_images {
	struct jobs *jobs;
	const struct claim *owner;
	struct node *top, *base;	/* counted; base NULL: none */
	struct node *to;		/* which of them is written */
	uint64_t bytes;			/* of its file, before */
	bool was_read_only;		/* to; put back in the end */
	bool done;			/* to has all that it was to take in */
};

/* Graph write-held: claims from @claim down to @bottom; on failure there is
 * nothing to release. */
int job_images_claim(struct job_images *im, struct node *claim,
		     struct node *bottom, struct err *err);
/* Graph write-held: makes `to` writable (ERR_NOT_SUPPORTED where the host
 * won't have it) and at least @size bytes long. */
int job_images_prepare(struct job_images *im, uint64_t size, struct err *err);
/* Graph write-held: graph_leave_behind(), and the job tells which files no
 * drive uses any more. */
void job_images_leave(struct job_images *im, struct node *top,
		      struct node *base, const char *into);
/* Of a commit: from now until it is done base has a mark (mark.h). */
void job_images_mark(struct job_images *im);
/* Graph write-held: would that be refused, as far as it is known? */
int job_images_check(struct job_images *im, uint64_t size, struct err *err);
/* Graph write-held: undoes job_images_claim() alone. */
void job_images_unclaim(struct job_images *im);
/* Of a commit, when all is written; graph not held: were overlays of what has
 * changed for who reads from it made meanwhile? They could not be refused, so
 * they are told. @top_too: from now on top's changes as well. */
void job_images_look_back(struct job_images *im, bool top_too);
/* Graph write-held: undoes both, gives back what the file of `to` has grown by
 * and holds nothing, lets go of the images. */
void job_images_release(struct job_images *im);
/* Graph not held: makes `to` durable. */
int job_images_flush(struct job_images *im, struct err *err);
/* The same in the job's thread, under its policy for errors. 0; 1: it is not,
 * and the job ends with the error; -errno for run() to return. */
int job_images_keep(struct job_images *im, struct job *job);

/* The work of an active commit, of the one that gets ready and of the one at
 * once. */
struct active {
	struct job_images im;		/* to == base */
	struct drive *drive;
	struct mirror mirror;
	bool in_sync;			/* was, at least once */
	bool pivot, pivoted;		/* to be done; was. Else the drive
					   stays */
};

/* Graph write-held, and whoever else sees the images was looked for
 * (graph_check_exclusive()): from here on the guest's writes go to both images
 * behind the cursor. On failure there is nothing to close. */
int active_open(struct active *a, struct jobs *jobs, struct drive *drive,
		struct node *base, const struct claim *owner,
		struct err *err);
/* Would active_open() refuse it? The same words; nothing has changed. Graph
 * write-held. */
int active_check(struct jobs *jobs, struct drive *drive, struct node *base,
		 const struct claim *owner, struct err *err);
/* Graph write-held. */
void active_close(struct active *a);
/* Brings base in sync, the first time or again, and makes it durable; graph not
 * held. 0, or what run() of a job returns. */
int active_catch_up(struct active *a, struct job *job);
/* For the end: all flushing is done before the guest has to wait; from then on
 * its flushes are of both images. What it could not write to both until the
 * gate was held is caught up with, under the policy for errors. 0: the graph
 * is begun, the gate of the drive held, no request is under way, and the
 * images are equal. Else what run() of a job returns, with nothing held. */
int active_hold(struct active *a, struct job *job);

/* What each kind goes over, without what a guest or a job add to it: run it,
 * or run it dry. Graph held. */
struct pass stream_pass(struct jobs *jobs, struct node *top,
			struct node *base);
struct pass commit_pass(struct jobs *jobs, struct node *top,
			struct node *base);
struct pass active_pass_over(struct jobs *jobs, struct node *top,
			     struct node *base);

/* The _check of each kind is what its _start refuses before anything is
 * written, in the same words; *_start begins with it. Graph write-held;
 * nothing has changed when it returns. */

/* Everything between @top and @base (NULL: all below) into @top. @backing:
 * words for the header, NULL: ours. */
int stream_check(struct jobs *jobs, struct node *top, struct node *base,
		 const char *backing, const struct job_options *o,
		 struct err *err);
int stream_start(struct jobs *jobs, struct node *top, struct node *base,
		 const char *backing, const struct job_options *o,
		 struct err *err);
/* Everything from @top down to @base into @base; then @overlay, whose backing
 * file @top is, gets @base. Whoever else sees them was looked for, as for
 * active_open(). */
int commit_check(struct jobs *jobs, struct node *overlay, struct node *top,
		 struct node *base, const char *backing,
		 const struct job_options *o, struct err *err);
int commit_start(struct jobs *jobs, struct node *overlay, struct node *top,
		 struct node *base, const char *backing,
		 const struct job_options *o, struct err *err);
/* The drive's active layer into @base, kept in sync until told to pivot. */
int mirror_check(struct jobs *jobs, struct drive *drive, struct node *base,
		 const struct job_options *o, struct err *err);
int mirror_start(struct jobs *jobs, struct drive *drive, struct node *base,
		 const struct job_options *o, struct err *err);

/* A commit at once: the active layer is emptied where base is its own backing
 * file, and the drive stays on it. Cancelled it leaves the active layer as it
 * was. First what it goes over, and whether that may be; then what else its
 * start would refuse; both with the graph begun, and nothing has changed. */
struct siblings;
struct work;
int sync_resolve(struct jobs *jobs, const struct sync_options *o,
		 const struct siblings *found, struct work *w,
		 struct err *err);
int sync_check(struct jobs *jobs, const struct work *w, struct err *err);
/* Graph begun. The job is called after the drive, or commit-DRIVE
 * (commit2-DRIVE ...) where that is taken. A reference, or NULL and err. */
struct job *sync_start(struct jobs *jobs, const struct work *w,
		       struct err *err);
/* Stays with the job (takes the reference) to its end, unless o->aside; NULL:
 * it did not start, and err says why. Nothing held. 0, or -1 and why. */
int sync_await(struct job *job, const struct sync_options *o,
	       struct err *err);
/* An error of a commit at once in HMP's words, with what the operator called
 * the drive. Returns -1. */
int sync_error(const char *as, struct err *err);
#endif
