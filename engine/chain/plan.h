/* plan.h - which layer holds what: the maps of a chain merged into one.
 *
 * A merged map says for each piece of the disk which image holds it, so a job
 * plans with one pass over each layer's tables. It names layers, not host
 * offsets: those are asked of the layer when the data moves.
 */
#ifndef BLKMON_PLAN_H
#define BLKMON_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/image/node.h"

/* Bytes [off, off + len) come from @node; NULL: no layer looked at has them.
 * kind: RUN_DATA (also stands for compressed), RUN_ZERO (also: the image is
 * shorter than its overlay, which reads as zeroes), RUN_HOLE with node NULL. */
struct span {
	uint64_t off, len;
	struct node *node;
	enum run_kind kind;
};

struct plan {
	struct span *span;	/* sorted, without gaps, neighbours differ */
	size_t count, cap;
};

#define PLAN_INIT { 0 }

/* Merges the layers from @top down to, but not including, @stop (NULL: to the
 * end of the chain) for [off, off + len). Beyond the end of top: RUN_ZERO of
 * top. Graph read-held; 0 or -errno, then *err_node is the layer whose table
 * can't be read. The plan is the caller's. */
int plan_build(struct plan *plan, struct node *top, struct node *stop,
	       uint64_t off, uint64_t len, struct node **err_node);
void plan_release(struct plan *plan);

#endif
