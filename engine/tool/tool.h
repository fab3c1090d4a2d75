/* tool.h - a chain that a tool opens for itself; its graph and its images. */
#ifndef BLKMON_TOOL_H
#define BLKMON_TOOL_H

#include "engine/chain/graph.h"

/* A graph of its own, which one thread alone knows: it shares no image with
 * anybody. */
struct tool {
	struct graph graph;
	struct node *top;	/* NULL: not open */
};

void tool_init(struct tool *t);
/* 0, or -1 and err; to be closed in both cases. */
int tool_open(struct tool *t, const struct node_options *o, struct err *err);
void tool_close(struct tool *t);

#endif
