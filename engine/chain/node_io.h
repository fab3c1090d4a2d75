/* node_io.h - the front door to an image.
 *
 * Every request on an image enters here: it is checked once, takes its range,
 * is counted, and is cut into runs. Callers hold the graph for reading
 * (graph.h) or are past a gate (gate.h), as guests' requests are.
 *
 * A request beyond the end of an image reads zeroes and must not write.
 */
#ifndef BLKMON_NODE_IO_H
#define BLKMON_NODE_IO_H

#include "engine/image/node.h"

/* How zeroes are written. */
enum {
	ZERO_UNMAP = 1 << 0,	/* what lay there may be given back */
	/* A guest's, which sees the chain: where zeroes show, an image that
	 * knows zeroes only as data may keep its holes. Not for a job, which
	 * may be about to put something else below. */
	ZERO_AS_SHOWN = 1 << 1,
};

/* --- requests; graph held or past a gate; 0 or -errno --- */

/* What a guest sees of the disk whose active layer is @node. */
int node_read(struct node *node, uint64_t off, uint64_t len, void *buf);
int node_write(struct node *node, uint64_t off, uint64_t len,
	       const void *buf);
int node_zero(struct node *node, uint64_t off, uint64_t len, unsigned how);
int node_discard(struct node *node, uint64_t off, uint64_t len);
int node_flush(struct node *node);
/* Grows the disk to @size bytes (rounded up to a sector); the new part reads
 * as zeroes, whatever lies below; durable. Graph begun; holds the gates
 * above. 0, or -1 and err, with the disk as long as it was. */
int node_grow(struct node *node, uint64_t size, struct err *err);
/* Would it be refused, as far as that is known? The same words; nothing has
 * changed. Graph held. */
int node_check_grow(struct node *node, uint64_t size, struct err *err);

/* A write of whatever kind reached up to byte @end of the guest's disk: tells
 * of it, once, if that is beyond the threshold. */
void node_wrote(struct node *node, uint64_t end);

/* The same for a caller who holds the node's range already (shared is enough
 * to read, exclusive and aligned to node->cluster to write). Ranges of the
 * images below are taken as needed. */
int node_read_held(struct node *node, uint64_t off, uint64_t len, void *buf);
int node_write_held(struct node *node, uint64_t off, uint64_t len,
		    const void *buf);
int node_zero_held(struct node *node, uint64_t off, uint64_t len, unsigned how);
/* Zeroes over a part of one cluster of a disk of @size bytes: if the rest of it
 * shows zeroes, too, an entry that says so does for all of it, where data would
 * need a place. 1: so it is; 0 or -errno. Reads that rest; held as to read. */
int node_zeroes_whole(struct node *node, uint64_t off, uint64_t len,
		      uint64_t size);
/* Reads bytes that map() put into this layer (any kind but RUN_HOLE). */
int node_read_run(struct node *node, const struct run *run, uint64_t off,
		  uint64_t len, void *buf);
/* Fills head and tail of a write_op with the old content. */
int node_fill_edges(struct node *node, const struct write_op *op);

#endif
