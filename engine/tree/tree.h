/* tree.h - the images of a tree, and which parts of its disk have data.
 *
 * A tree is an image that lies on none, and all that lie on it.
 */
#ifndef BLKMON_TREE_H
#define BLKMON_TREE_H

#include "engine/chain/graph.h"
#include "engine/util/err.h"

struct gap {
	uint64_t off, end;
};

struct gaps {
	struct gap *gap;
	size_t n, cap;
};

/* An image of the tree. */
struct layer {
	struct node *node;
	struct layer *below;		/* NULL: the root */
	bool read;			/* by others than the images on it */
	struct gaps seen;		/* from above, of the piece at hand */
};

/* Its images, each before all that lie on it. The graph's lock is held for
 * reading, and let go of now and then; what changes it meanwhile ends the
 * look. */
struct tree {
	struct graph *graph;
	struct layer *layer;
	size_t n;
	uint64_t shape;			/* the graph's, at the beginning */
	unsigned looks;			/* since the lock was taken */
};

/* The tree that @node belongs to; graph read-held. 0 or -ENOMEM. */
int tree_init(struct tree *t, struct node *node);
void tree_release(struct tree *t);
/* node_map(); -EAGAIN: the graph has changed, and nothing may be looked at any
 * more. */
int tree_look(struct tree *t, struct node *node, uint64_t off, uint64_t len,
	      struct run *run);
uint64_t tree_size(const struct tree *t);	/* of the largest image */

/* The parts in which some image has data, in order and apart from each other,
 * not many, and rounded to what is worth seeing; all of the disk if that is
 * most of it, or nothing. 0 or -errno. */
int tree_parts(struct tree *t, struct gaps *parts);

/* One more at the end. 0 or -ENOMEM. */
int gaps_add(struct gaps *gaps, uint64_t off, uint64_t end);

#endif
