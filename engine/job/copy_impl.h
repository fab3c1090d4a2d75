/* copy_impl.h - what copy.c (plans a batch) and copy_move.c (moves its bytes)
 * share.
 *
 * A batch is cut three ways: into parts, one write_op each, because they are
 * begun and ended as a whole; into segments, whose bytes are contiguous on
 * both sides; and into groups, neighbouring segments that one worker moves
 * through one buffer.
 */
#ifndef BLKMON_COPY_IMPL_H
#define BLKMON_COPY_IMPL_H

#include <stdatomic.h>

#include "engine/job/copy.h"

#define COPY_CHUNK COPY_PIECE	/* bytes of one group, one request */
#define COPY_CHUNK_GUEST (128u << 10) /* the same beside a guest at work */

struct part {
	struct write_op op;
	uint64_t over;			/* bytes of data that were there */
	_Atomic int rc;			/* 0, or of its lowest segment that
					   failed, as all that follows */
	uint64_t bad;			/* byte of the guest's disk */
	bool reading;
	struct node *culprit;
};

enum segment_way {
	SEGMENT_FILE,			/* as it lies in run.file */
	SEGMENT_COMPRESSED,
	SEGMENT_VIEW,			/* through all layers */
};

struct segment {
	enum segment_way way;
	size_t part;
	struct node *node;		/* layer; VIEW: copy->o.from */
	struct run run;			/* where it lies there */
	uint64_t off, len;		/* of the guest's disk */
	uint64_t host;			/* where it goes */
	uint64_t pos;			/* in the group's buffer */
	bool clone;
};

struct group {
	size_t first, count;		/* of segments */
	uint64_t len;
	bool clone;			/* contiguous as a whole */
};

struct worker {
	struct task task;
	struct copy *copy;
	char *buf;			/* COPY_SPAN_MAX bytes, on first use */
};

/* What a dry run has counted and must not count again. */
struct copy_look {
	uint64_t table;			/* the last that has to be made ... */
	bool growing;
	uint64_t first, last;		/* ... and those of the growth */
	uint64_t grown, grown_end;	/* bytes of the disk that the growth
					   has written as data */
	const struct file *file;
	uint64_t placed;		/* end of the last block in it */
};

struct copy {
	struct copy_options o;
	struct batch batch;
	struct worker worker[COPY_WORKERS];
	struct lock blame;		/* leaf: who of a part failed */
	unsigned workers;		/* how many of them work */
	unsigned processors;		/* of the machine */
	uint64_t chunk;			/* bytes of one group */
	_Atomic size_t next;		/* group to be moved next */

	struct part *part;
	struct segment *segment;
	struct group *group;
	size_t parts, segments, groups;
	size_t part_cap, segment_cap, group_cap;
	uint64_t bad;			/* what the last batch failed at */
	bool in_the_way;		/* of a guest, the last batch */
	struct copy_counts counts;	/* of the last batch */
	struct copy_look look;		/* dry */
};

/* Marks a part as failed, at byte @bad of the guest's disk; of several errors
 * the lowest stays. Any thread. */
void part_fail(struct copy *c, size_t part, uint64_t bad, int rc, bool reading,
	       struct node *culprit);

/* Reads what the layers from `from` down show. *culprit is the image at work
 * when it fails. 0 or -errno. */
int copy_read_view(struct copy *c, uint64_t off, uint64_t len, char *buf,
		   struct node **culprit);

/* --- copy_count.c --- */

/* How much of what a part is written to holds data. */
uint64_t copy_data_under(struct copy *c, const struct write_op *op);
/* Adds all parts that did not fail, and what they take, to the counts. */
void copy_count_parts(struct copy *c);
/* Dry: write_begin(), as if the target had grown already. What has its place
 * by then takes none; of that place the offset in a cluster is known. */
int copy_count_begin(struct copy *c, uint64_t off, uint64_t len,
		     struct write_op *op);
/* Dry: zeroes instead of what the target shows there. 0 or -errno. */
int copy_count_zeroes(struct copy *c, uint64_t off, uint64_t len);

/* Moves all groups; what failed stands in the parts. */
void copy_move(struct copy *c);

#endif
