/* chain_walk.c - up and down a chain; see chain_walk.h. */
#include "engine/chain/chain_walk.h"

unsigned chain_depth(const struct node *top)
{
	unsigned depth = 0;

	for (const struct node *n = top->backing; n; n = n->backing)
		depth++;
	return depth;
}

bool chain_has(const struct node *top, const struct node *node)
{
	for (const struct node *n = top; n; n = n->backing)
		if (n == node)
			return true;
	return false;
}

struct node *chain_above(struct node *top, const struct node *node)
{
	for (struct node *n = top; n; n = n->backing)
		if (n->backing == node)
			return n;
	return NULL;
}
