/* index.h - merged maps (plan.h), kept, so that a read costs the same at depth
 * 1 and at depth 500.
 */
#ifndef BLKMON_INDEX_H
#define BLKMON_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "engine/chain/plan.h"

/* The layer of the chain below and including @top that holds byte @off, from
 * top's cached merged map (built on first use, a slice at a time, bounded in
 * memory). @top and all below must be images that only a job writes, and only
 * with what their overlays hide. Graph read-held. 0 or -errno. */
int index_find(struct node *top, uint64_t off, uint64_t len,
	       struct span *out);
/* What it has cached is good as long as *@shape, the graph's, stays. */
struct index *index_new(const _Atomic uint64_t *shape);
void index_free(struct index *index);	/* NULL is fine */

#endif
