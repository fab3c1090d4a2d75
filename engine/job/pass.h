/* pass.h - one pass over a disk: the work that all kinds of jobs share.
 *
 * Plans the disk slice by slice, leaves out what need not be touched, and
 * feeds the copier in batches: asks the job before each one (speed, pause,
 * cancel), applies its policy to errors, counts the progress. Holds the graph
 * (read) for the time of one plan or one batch.
 */
#ifndef BLKMON_PASS_H
#define BLKMON_PASS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/job/copy.h"
#include "engine/chain/graph.h"
#include "engine/job/job.h"
#include "engine/job/mirror.h"

struct pass {
	/* set by the caller */
	struct graph *graph;
	struct job *job;		/* NULL: nobody to ask */
	struct copy_options copy;	/* from, to, stop ... */
	uint64_t size;			/* bytes to go over; beyond the end of
					   `from` its zeroes are meant */
	/* Active commit: everything below the cursor is written to both by
	 * the guest. Moved on to the end of a slice when that is planned,
	 * because from then on the pass does not look for changes. Moved back
	 * to what a guest could not write to both. */
	struct mirror *mirror;
	bool again;			/* it was done once: only what guests
					   could not write to both since */
	/* Without a job, or NULL: bytes. False: give up, -ECANCELED. */
	bool (*progress)(uint64_t done, uint64_t total, void *arg);
	void *arg;
	/* copy.dry: nothing is changed and nobody asked. -ESTALE where the
	 * graph no longer has this shape: then some of the images may have
	 * gone. */
	uint64_t shape;

	/* What was done by way; dry: would be. */
	struct copy_counts counts;

	/* the pass's own */
	struct copy *copier;
	uint64_t longest;		/* bytes of a slice */
	struct plan plan;
	size_t at;			/* span of `plan` that holds pos */
	uint64_t pos, end;		/* next byte of the slice, its end */
	uint64_t total, done;		/* bytes of data */
	uint64_t batch;			/* bytes of data in one batch */
	bool careful;			/* a guest has had to wait for one */
	bool guest;			/* one was at work during the last */
	uint64_t guest_ops;		/* requests of the guest, last seen */
};

/* 0; -ECANCELED; or -errno, and then *err (without a job) or job->err says
 * why. Called by the job's thread, nothing held. The job's len must have been
 * set; its total and its progress are set here. */
int pass_run(struct pass *p, struct err *err);

#endif
