/* counts.h - what becomes of the bytes of a job, by way. */
#ifndef BLKMON_COUNTS_H
#define BLKMON_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/file/file.h"

/* What was done, or with copy_options.dry would be, by way: bytes of the
 * guest's disk. */
struct copy_counts {
	uint64_t copied;	/* to where the target held no data */
	uint64_t overwritten;	/* over data that it held */
	uint64_t cloned, zeroed;
	/* of a pass alone: what a job's progress is counted by (the clusters of
	 * the target in which layers meet are moved whole), */
	uint64_t data;
	/* dry alone: what that leaves as it is, data of the target that shows
	 * afterwards as well (copy_options.there), */
	uint64_t there;
	/* and what it takes of the target's file */
	uint64_t clusters;	/* that the image would allocate, tables too */
	uint64_t shared;	/* bytes of them that clones give a place to,
				   or that are not written (subclusters) */
	struct file_need missing; /* for what is written to a place that the
				   image has already */
};

/* Something of the target is changed. */
static inline bool copy_counts_any(const struct copy_counts *c)
{
	return c->copied || c->overwritten || c->cloned || c->zeroed;
}

void copy_counts_add(struct copy_counts *to, const struct copy_counts *more);

#endif
