/* tool.c - see tool.h. */
#include "engine/tool/tool.h"

#include "engine/chain/chain.h"

void tool_init(struct tool *t)
{
	graph_init(&t->graph);
	t->top = NULL;
}

int tool_open(struct tool *t, const struct node_options *o, struct err *err)
{
	return chain_open(&t->graph, o, &t->top, err);
}

void tool_close(struct tool *t)
{
	if (t->top)
		graph_put(t->top);
	t->top = NULL;
	graph_release(&t->graph);
}
