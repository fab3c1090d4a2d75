/* gate.c - see gate.h. */
#include "engine/chain/gate.h"

void gate_init(struct gate *gate, struct node *const *node)
{
	*gate = (struct gate){ .node = node };
	lock_init(&gate->lock);
	cond_init(&gate->opened);
	list_init(&gate->link);
}

void gate_release(struct gate *gate)
{
	cond_release(&gate->opened);
	lock_release(&gate->lock);
}

void gate_enter(struct gate *gate)
{
	lock_take(&gate->lock);
	while (gate->held)
		cond_wait(&gate->opened, &gate->lock);
	gate->in_flight++;
	lock_drop(&gate->lock);
}

void gate_leave(struct gate *gate)
{
	lock_take(&gate->lock);
	if (!--gate->in_flight)
		cond_wake_all(&gate->opened);
	lock_drop(&gate->lock);
}

void gate_hold(struct gate *gate)
{
	lock_take(&gate->lock);
	gate->held = true;
	while (gate->in_flight)
		cond_wait(&gate->opened, &gate->lock);
	lock_drop(&gate->lock);
}

void gate_open(struct gate *gate)
{
	lock_take(&gate->lock);
	if (gate->held) {
		gate->held = false;
		cond_wake_all(&gate->opened);
	}
	lock_drop(&gate->lock);
}
