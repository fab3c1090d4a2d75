/* vm.h - whether the guest runs: stop, cont, and the stop that an error of
 * a disk asks for. One guest has all drives of a graph.
 *
 * While it stands still no request of it is under way: they wait at the gates
 * of the drives (drive.h). Jobs go on.
 */
#ifndef BLKMON_VM_H
#define BLKMON_VM_H

#include <stdbool.h>

#include "engine/chain/graph.h"
#include "engine/util/thread.h"

struct drive;

enum vm_state { VM_RUNNING, VM_PAUSED, VM_IO_ERROR };

struct vm {
	struct graph *graph;
	struct lock lock;	/* order 0: one stop or cont at once */
	_Atomic enum vm_state state; /* the lock, to change it */
};

/* From now on graph->vm. */
void vm_init(struct vm *vm, struct graph *graph);
void vm_release(struct vm *vm);

/* Any thread, nothing held, and not in the midst of a request: they wait for
 * those. No-op if so already; else EVENT_STOP, EVENT_RESUME. */
void vm_stop(struct vm *vm);
void vm_cont(struct vm *vm);
/* A request on @drive, entered at @turn, failed with @errnum (> 0) and is to
 * be tried again when the guest goes on: stops it, and the drive's io-status
 * says why; unless it has gone on since. */
void vm_fail(struct vm *vm, struct drive *drive, unsigned turn, int errnum);

bool vm_runs(const struct vm *vm);

#endif
