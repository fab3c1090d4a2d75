/* vm.c - see vm.h. */
#include "engine/chain/vm.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/chain/drive.h"
#include "engine/event/event.h"
#include "engine/util/mem.h"

void vm_init(struct vm *vm, struct graph *graph)
{
	*vm = (struct vm){ .graph = graph };
	lock_init(&vm->lock);
	graph->vm = vm;
}

void vm_release(struct vm *vm)
{
	vm->graph->vm = NULL;
	lock_release(&vm->lock);
}

bool vm_runs(const struct vm *vm)
{
	return atomic_load(&vm->state) == VM_RUNNING;
}

/* Calls @fn for every drive without the graph: a request past the gate may be
 * waiting for it. Drives stay until the engine ends. */
static void each_drive(struct graph *graph, void (*fn)(struct drive *))
{
	struct drive **drive = NULL;
	size_t n = 0;

	rwlock_read(&graph->lock);
	list_for_each(link, &graph->roots) {
		drive = mem_grow(drive, n + 1, sizeof(*drive));
		drive[n++] = drive_linked(link);
	}
	rwlock_drop(&graph->lock);
	for (size_t i = 0; i < n; i++)
		fn(drive[i]);
	free(drive);
}

static void publish(struct vm *vm, enum event_type type)
{
	struct event ev = { .type = type };

	if (vm->graph->events)
		event_publish(vm->graph->events, &ev);
}

/* Lock held. */
static void stop(struct vm *vm, enum vm_state why)
{
	if (!vm_runs(vm))
		return;
	atomic_store(&vm->state, why);
	each_drive(vm->graph, drive_stop);
	publish(vm, EVENT_STOP);
}

void vm_stop(struct vm *vm)
{
	lock_take(&vm->lock);
	stop(vm, VM_PAUSED);
	lock_drop(&vm->lock);
}

void vm_fail(struct vm *vm, struct drive *drive, unsigned turn, int errnum)
{
	lock_take(&vm->lock);
	if (drive_blame(drive, turn, errnum))
		stop(vm, VM_IO_ERROR);
	lock_drop(&vm->lock);
}

void vm_cont(struct vm *vm)
{
	lock_take(&vm->lock);
	if (!vm_runs(vm)) {
		atomic_store(&vm->state, VM_RUNNING);
		publish(vm, EVENT_RESUME);
		each_drive(vm->graph, drive_cont);
	}
	lock_drop(&vm->lock);
}
