/* node_writable.c - an open image between read-only and read-write; see
 * node_open.h.
 */
#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"

static int make_writable(struct node *node, struct err *err)
{
	struct err back = ERR_INIT;

	if (file_set_writable(node->file, true, LOCKS_WRITE, err))
		return -1;
	if (node->drv->make_writable(node, err)) {
		file_set_writable(node->file, false, LOCKS_READ, &back);
		return -1;
	}
	return 0;
}

static int make_read_only(struct node *node, struct err *err)
{
	int rc = node->drv->settle(node);

	if (rc)
		return err_sys(err, rc, "Could not flush '%s'",
			       node->file->path);
	return file_set_writable(node->file, false, LOCKS_READ, err);
}

int node_check_writable(struct node *node, struct err *err)
{
	if (!node->read_only)
		return 0;
	if (node->file_read_only)
		return err_set(err, ERR_GENERIC, "Block node is read-only");
	if (node->file->role == LOCKS_NONE)
		return err_set(err, ERR_GENERIC, "force-share=on can only be "
			       "used with read-only images");
	if (graph_check_whole(node, err) ||
	    file_check_writable(node->file, err))
		return -1;
	return node->drv->check_writable ?
	       node->drv->check_writable(node, err) : 0;
}

int node_set_writable(struct node *node, bool writable, struct err *err)
{
	int rc;

	if (node->read_only != writable)
		return 0;
	if (writable && node_check_writable(node, err))
		return -1;
	if (node->graph)
		graph_hold(node);
	rc = writable ? make_writable(node, err) : make_read_only(node, err);
	if (!rc)
		node->read_only = !writable;
	node->writable_count += writable && !rc;
	return rc;
}
