/* mirror.h - what a guest writes into a drive goes to a second image too, while
 * an active commit is at work.
 *
 * Guarded by the range of the active layer: whoever holds a range sees a
 * cursor that does not move over it. What lies behind the cursor goes to both
 * images before the range is let go; what lies before it the job copies later.
 *
 * What a guest flushes is durable in the active layer and not in the target:
 * until the pivot that layer hides all that the target has got, so it alone
 * has to survive a crash. Shortly before the pivot the job sets `durable`, and
 * flushes the target itself when that is seen: from then on all that any guest
 * was told is durable is so in both, and at the pivot nobody has to wait for a
 * disk.
 */
#ifndef BLKMON_MIRROR_H
#define BLKMON_MIRROR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/chain/drive.h"

struct mirror {
	struct tap tap;			/* drive->tap points here */
	struct drive *drive;
	struct node *node, *target;	/* both are written */
	_Atomic uint64_t cursor;	/* all below was copied */
	/* A write to the target failed: the guest goes on, and the job has to
	 * copy from here on again, if its policy lets it. */
	_Atomic uint64_t lost;		/* the lowest; MIRROR_WHOLE: none */
	_Atomic int failed;		/* -errno, set after it; 0: none */
	_Atomic bool durable;		/* a flush is of both images */
};

#define MIRROR_WHOLE UINT64_MAX

/* From here on, with nothing behind the cursor yet. Graph write-held. */
void mirror_open(struct mirror *m, struct drive *drive, struct node *target);
/* The guest's writes go to the drive alone again. No-op if so already. Graph
 * write-held. */
void mirror_close(struct mirror *m);

#endif
