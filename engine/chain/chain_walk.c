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

static int check_snapshots(struct node *node, const char *what,
			   struct err *err)
{
	struct str names = STR_INIT;
	int n = node->drv->snapshots ?
		node->drv->snapshots(node, &names, err) : 0;

	if (n > 0)
		err_set(err, ERR_GENERIC, "%s would change what the internal "
			"snapshot%s %s of '%s' read%s from below (x-blkmon-"
			"force, -f or --force: do it all the same)", what,
			n > 1 ? "s" : "", str_get(&names), node->file->path,
			n > 1 ? "" : "s");
	str_release(&names);
	return n ? -1 : 0;
}

int chain_check_snapshots(struct node *top, const struct node *stop,
			  const char *what, struct err *err)
{
	for (struct node *n = top; n != stop; n = n->backing)
		if (check_snapshots(n, what, err))
			return -1;
	return 0;
}
