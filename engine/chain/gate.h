/* gate.h - where requests come into a chain from above.
 *
 * A guest's request holds no lock of the graph, only its place behind the gate
 * that it came through. So a change of the graph waits for, and holds up,
 * those alone whose chain it is about (graph_hold()), and whatever else is
 * done to the graph, however long it takes, no guest notices.
 */
#ifndef BLKMON_GATE_H
#define BLKMON_GATE_H

#include <stdbool.h>

#include "engine/util/list.h"
#include "engine/util/thread.h"

struct node;

struct gate {
	struct lock lock;		/* leaf */
	struct cond opened;
	bool held;			/* by who changes the graph */
	unsigned in_flight;		/* requests past it */
	struct node *const *node;	/* whose chain they see; constant, what
					   it points to changes while no
					   request is past the gate */
	struct list link;		/* graph->gates */
};

void gate_init(struct gate *gate, struct node *const *node);
void gate_release(struct gate *gate);	/* nobody is at it */

/* Around each request; what *gate->node is, and all below, stays as it is
 * between them. */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/* From the return of hold until open no request is under way. */
void gate_hold(struct gate *gate);
void gate_open(struct gate *gate);

#endif
