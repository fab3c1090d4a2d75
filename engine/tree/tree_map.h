/* tree_map.h - which parts of a tree's disk its images hold, for those who look
 * on.
 */
#ifndef BLKMON_TREE_MAP_H
#define BLKMON_TREE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/image/node.h"
#include "engine/util/err.h"

/* What each image of a tree (one that lies on none, and all that lie on it)
 * holds of the disk, without those below it. The disk is cut into equal cells;
 * what no image of the tree has data in can be left out before, where that is
 * most of it. A look that is cheap enough to be taken often: of very many runs
 * some are looked at and the rest estimated (*exact false, what is dead never
 * too high). Others may change what is seen between cells. */
struct map_cell {
	uint64_t data, zero, compressed; /* bytes of the guest's disk */
	uint64_t dead;		/* of data and compressed: what no disk sees,
				   for all that is open above the image hides
				   it. It could go, or be written over by a
				   commit, and nobody would read else. Open
				   disks are meant, not internal snapshots */
};

struct tree_image {
	char node[NODE_NAME_MAX];
	struct map_cell sum;	/* of all cells */
	struct map_cell *cell;	/* NULL: not asked for */
};

struct tree_map {
	uint64_t size;		/* bytes of the disk; of the largest image */
	uint64_t shown;		/* of them in the cells */
	bool exact;
	size_t cells;
	struct tree_image *image;	/* root first */
	size_t n;
};

struct tree_map_options {
	const char *node_name;	/* any of the tree */
	size_t cells;		/* 1 to 1024 */
	bool whole;		/* nothing is left out */
	/* Which images' cells are wanted; NULL: those of all. */
	bool (*wants)(const void *arg, const char *node_name);
	const void *arg;
};

/* The tree of @node; graph read-held, let go of now and then. 0; -EAGAIN: what
 * is open has changed meanwhile; or -errno. *map is to be freed also after an
 * error. */
int tree_map_of(struct tree_map *map, struct node *node,
		const struct tree_map_options *o);
void tree_map_release(struct tree_map *map);

/* The same of images that somebody else has open, and that he goes on writing
 * to: they are opened read-only, without locks, and closed again. A picture:
 * what he keeps in memory is not in it, and what he changes meanwhile may be
 * half in it, so that nothing may be decided by it. */
struct tree_file {
	const char *node;		/* what he calls it */
	const char *path;
	const char *format;		/* never probed */
	size_t backing;			/* of the files before this one, or its
					   own number: it lies on none */
	bool used;			/* read by others than those on it */
};
/* One that cannot be read is left out, and what lies on it lies on none then;
 * *out has those that are of the tree of o->node_name. "Cannot find ..." where
 * that is left out itself. */
int tree_map_files(const struct tree_file *files, size_t n,
		   const struct tree_map_options *o, struct tree_map *out,
		   struct err *err);

#endif
