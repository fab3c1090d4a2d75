/* node_grow.c - an image gets longer; see node_io.h. */
#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/util/bytes.h"

#define NODE_SECTOR 512

/* The rest of the cluster that the old end is in. Where the image has nothing
 * of it, and nothing can show from below, a place for it would be wasted. */
static int zero_edge(struct node *node, uint64_t off, uint64_t edge)
{
	const struct node *below = node->backing;
	uint64_t shown = below ? atomic_load(&below->size) :
			 node_hides(node) ? edge : 0;
	struct run run;
	int rc = 0;

	for (; off < edge && !rc; off += run.len) {
		rc = node->drv->map(node, off, edge - off, &run);
		if (!rc && (run.kind != RUN_HOLE || off < shown))
			rc = node_zero_held(node, off, run.len, 0);
	}
	return rc;
}

/* Bytes [old, size) have to read as zeroes: what lies in the cluster behind
 * the old end, and where something is below, or may come there. */
static int zero_new_part(struct node *node, uint64_t old, uint64_t size)
{
	uint64_t edge = min_u64(align_up(old, node->cluster), size);
	uint64_t shown = edge;
	int rc;

	if (node->backing)
		shown = min_u64(size, atomic_load(&node->backing->size));
	else if (node_hides(node))
		shown = size;
	rc = zero_edge(node, old, edge);
	if (!rc && shown > edge)
		rc = node_zero_held(node, edge, shown - edge, ZERO_UNMAP);
	return rc;
}

int node_check_grow(struct node *node, uint64_t size, struct err *err)
{
	size = align_up(size, NODE_SECTOR);
	return size <= atomic_load(&node->size) ? 0 :
	       node->drv->check_grow(node, size, err);
}

/* The file is not left longer than it was without a use. */
static int node_grow_fail(struct node *node, uint64_t bytes)
{
	if (node->drv->cut)
		node->drv->cut(node, bytes);
	return -1;
}

int node_grow(struct node *node, uint64_t size, struct err *err)
{
	uint64_t bytes = atomic_load(&node->file->size);
	uint64_t old = atomic_load(&node->size);
	int rc;

	size = align_up(size, NODE_SECTOR);
	if (size <= old)
		return 0;
	if (node_check_grow(node, size, err))
		return -1;
	if (node->graph)
		graph_hold(node);
	if (node->drv->grow_begin(node, size, err) < 0)
		return node_grow_fail(node, bytes);
	atomic_store(&node->size, size);
	rc = zero_new_part(node, old, size);
	if (rc)
		err_sys(err, rc, "Could not grow '%s' to %llu bytes",
			node->file->path, (unsigned long long)size);
	else
		rc = node->drv->grow(node, size, err);
	if (!rc)
		return 0;
	atomic_store(&node->size, old);
	return node_grow_fail(node, bytes);
}
