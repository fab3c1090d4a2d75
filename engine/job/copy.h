/* copy.h - the copier: moves the data of jobs.
 *
 * What an image shows is copied into another image of its chain (commit), or
 * what lies below it into itself (stream). A call takes a batch of spans. The
 * way is chosen per run and falls back per run: both files on one file system
 * with reflink -> clone, nothing moves; compressed -> inflate and write; else
 * read and write through a buffer, neighbours on the host in one call. Zeroes
 * are recorded, not written.
 *
 * The caller holds the graph for reading and has a claim on all images from
 * `from` down to `to` (commit) or to, not including, `stop` (stream). The
 * copier takes the ranges: the shared one of `from`, so that no guest writes
 * meanwhile, and the exclusive one of `to`. A stream takes the shared one
 * alone: whoever reads a hole sees the same before and after it was filled,
 * and nothing that may be read is freed. Chunks move side by side on the
 * pool. One thread uses a copier at a time.
 */
#ifndef BLKMON_COPY_H
#define BLKMON_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/chain/plan.h"
#include "engine/image/node.h"
#include "engine/job/counts.h"
#include "engine/util/pool.h"

#define COPY_SPAN_MAX (2u << 20)	/* bytes of data in one span */
#define COPY_PIECE (512u << 10)	/* that an error is about, as in QEMU */
#define COPY_WORKERS 8			/* side by side at most */

struct copy;

struct copy_options {
	struct pool *pool;
	struct node *from;	/* what this image shows ... */
	struct node *to;	/* ... goes into this one */
	struct node *stop;	/* what is from here on down is not copied;
				   commit: `to`; NULL: nothing is below */
	bool only_holes;	/* stream, from == to: leave what it holds */
	bool live;		/* a guest writes into `from`: a span may be
				   older than what is there now */
	bool dry;		/* count, and change nothing: no claim and no
				   range is needed, `to` may be read-only and
				   shorter than `from` */
	bool there;		/* dry: and what is left as it is; that asks
				   for all tables of `to` */
};

struct copy *copy_new(const struct copy_options *o);
void copy_free(struct copy *c);

/* Where and why a batch failed. */
struct copy_error {
	int rc;			/* -errno; 0: it did not */
	uint64_t off, len;	/* the piece that failed, COPY_PIECE long at
				   most; before the cluster of `to` that it
				   begins in all is done */
	bool reading;		/* else writing */
	struct node *node;	/* the image that failed */
};

/* Copies spans: sorted, apart from each other, of kind RUN_DATA (at most
 * COPY_SPAN_MAX bytes each) or RUN_ZERO, aligned to to->cluster (a stream's: to
 * to->piece) but for the end of the disk. span.node is the layer that holds
 * it; where that layer turns out not to hold all of it, the bytes are read
 * through all layers. 0 or -errno (= error->rc). */
int copy_spans(struct copy *c, const struct span *span, size_t count,
	       struct copy_error *error);
/* How many bytes of data an image itself holds in [off, off + len); what can't
 * be read is tripped over elsewhere. Graph held. */
uint64_t copy_data_held(struct node *node, uint64_t off, uint64_t len);
/* What the last batch did. */
const struct copy_counts *copy_counted(const struct copy *c);
/* Dry: counts what the target takes to be @size bytes long before anything is
 * copied. 0 or -errno. */
int copy_count_growth(struct copy *c, uint64_t size);
/* Dry: [*off, *end) of the target holds data by then, zeroes, because it has
 * grown; empty where the format has another way to say so. */
void copy_counted_growth(const struct copy *c, uint64_t *off, uint64_t *end);
/* From now on with or without a guest at work beside it: then less goes in one
 * request, for the host lets one write at a time into a file, and no more of
 * them side by side than there are processors. */
void copy_beside_guest(struct copy *c, bool at_work);
/* Whether a guest has had to wait for the last batch. */
bool copy_was_in_the_way(const struct copy *c);

#endif
