/* vm.c - see vm.h. */
#include "engine/chain/vm.h"

#include <stdatomic.h>

#include "engine/chain/drive.h"
#include "engine/event/event.h"

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

/* A drive that is not as @stopped says, counted, or NULL. */
static struct drive *next_drive(struct graph *graph, bool stopped)
{
	struct drive *found = NULL;

	rwlock_read(&graph->lock);
	list_for_each(link, &graph->roots) {
		struct drive *drive = drive_linked(link);

		if (drive_is_stopped(drive) == stopped)
			continue;
		found = drive_get(drive);
		break;
	}
	rwlock_drop(&graph->lock);
	return found;
}

static void for_all_drives(struct graph *graph, bool stopped,
			   void (*fn)(struct drive *drive))
{
	struct drive *drive;

	while ((drive = next_drive(graph, stopped))) {
		fn(drive);
		drive_put(drive);
	}
}

static void publish(struct vm *vm, enum event_type type)
{
	struct event ev = { .type = type };

	if (vm->graph->events)
		event_publish(vm->graph->events, &ev);
}

/* Lock held. */
static void vm_stop_held(struct vm *vm, enum vm_state why)
{
	if (!vm_runs(vm))
		return;
	atomic_store(&vm->state, why);
	/* without the graph: a request past the gate may be waiting for it */
	for_all_drives(vm->graph, true, drive_stop);
	publish(vm, EVENT_STOP);
}

void vm_stop(struct vm *vm)
{
	lock_take(&vm->lock);
	vm_stop_held(vm, VM_PAUSED);
	lock_drop(&vm->lock);
}

void vm_fail(struct vm *vm, struct drive *drive, unsigned turn, int errnum)
{
	lock_take(&vm->lock);
	if (drive_blame(drive, turn, errnum))
		vm_stop_held(vm, VM_IO_ERROR);
	lock_drop(&vm->lock);
}

void vm_cont(struct vm *vm)
{
	lock_take(&vm->lock);
	if (!vm_runs(vm)) {
		atomic_store(&vm->state, VM_RUNNING);
		publish(vm, EVENT_RESUME);
		for_all_drives(vm->graph, false, drive_cont);
	}
	lock_drop(&vm->lock);
}
