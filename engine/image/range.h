/* range.h - requests that overlap wait for each other.
 *
 * One struct range per node. A holder is shared (reads; a stream that fills
 * holes with what shows through them) or exclusive (writes, whatever changes
 * what is mapped). Two shared holders may overlap; an exclusive
 * one overlaps nobody. First come, first served among those that overlap, so
 * a writer is not starved by readers.
 *
 * Lock order 2 (after graph, before node.meta). May be held across disk I/O.
 * One thread holds at most one range of one node at a time, and takes ranges
 * of several nodes from the overlay to its backing file.
 */
#ifndef BLKMON_RANGE_H
#define BLKMON_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/util/list.h"
#include "engine/util/thread.h"

struct range {
	struct lock lock;	/* leaf */
	struct list held;	/* struct range_hold, in order of arrival */
};

/* Lives on the holder's stack from range_take() to range_drop(). */
struct range_hold {
	uint64_t off, len;	/* bytes; len 0 holds nothing */
	bool exclusive;
	unsigned waits_for;	/* earlier overlapping holders still there */
	struct cond go;		/* used only when it has to wait */
	struct list link;
};

void range_init(struct range *range);
void range_release(struct range *range);	/* nothing may be held */

/* Blocks until the range is the caller's. off + len must not overflow. */
void range_take(struct range *range, struct range_hold *hold, uint64_t off,
		uint64_t len, bool exclusive);
/* The same without waiting: true if taken. */
bool range_try(struct range *range, struct range_hold *hold, uint64_t off,
	       uint64_t len, bool exclusive);
/* True if somebody has had to wait for it. */
bool range_drop(struct range *range, struct range_hold *hold);

#endif
