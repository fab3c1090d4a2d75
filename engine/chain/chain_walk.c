/* chain_walk.c - up and down a chain; see chain_walk.h. */
#include "engine/chain/chain_walk.h"

#include <string.h>

#include "engine/chain/drive.h"
#include "engine/chain/graph.h"

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

void chain_tell_place(struct node *node, struct err *err)
{
	const struct drive *drive;
	struct node *top = node;

	while (graph_overlay(top, 0))
		top = graph_overlay(top, 0);
	drive = drive_of(top);
	if (drive && *drive->root.id)
		err_tip(err, "'%s' is %s of '%s'", node->file->path,
			top == node ? "the active layer" : "in the chain",
			drive->root.id);
	else
		err_tip(err, "'%s' is open here, as node '%s'",
			node->file->path, node->name);
}

void chain_tell_images(const struct node *top, struct err *err)
{
	struct str names = STR_INIT;
	unsigned left = chain_depth(top) + 1;

	for (const struct node *n = top; n; n = n->backing, left--) {
		if (names.len + strlen(n->file->path) > ERR_TIP_MAX / 2) {
			str_addf(&names, " and %u more below", left);
			break;
		}
		str_addf(&names, "%s%s", n == top ? "" : ", ", n->file->path);
	}
	err_tip(err, "its images are, from the active layer down: %s",
		str_get(&names));
	str_release(&names);
}

int chain_refuse_name(const char *name, const struct node *top,
		      struct err *err)
{
	err_set(err, ERR_GENERIC, "Can't find '%s' in the backing chain", name);
	chain_tell_images(top, err);
	return -1;
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
