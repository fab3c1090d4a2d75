/* place.h - where each byte of a disk lies: in which image of its chain, and
 * where in which file. From tables alone: nothing of the disk is read.
 */
#ifndef BLKMON_PLACE_H
#define BLKMON_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/chain/plan.h"
#include "engine/image/node.h"

/* The same answer for bytes [off, off + len) of the disk. */
struct place {
	uint64_t off, len;
	struct node *node;	/* the image that answers; NULL: of no disk */
	unsigned depth;		/* so many images are above it */
	bool present;		/* it holds something; else no image does, and
				   zeroes are read */
	bool data;		/* as data, which may be holes of a file */
	bool zero;		/* reads as zeroes */
	bool compressed;
	struct file *file;	/* where that lies, or is kept for it; NULL
				   nowhere */
	uint64_t host;		/* compressed: names the cluster, no place */
};

/* A look at one disk, from the beginning on best. */
struct places {
	struct node *top;	/* NULL: nothing but zeroes */
	struct node *culprit;	/* whose table can't be read */
	struct plan plan;	/* of [off, end) */
	uint64_t off, end, window;
	size_t at;
};

/* Graph read-held from here to places_release(), and the chain stays as it
 * is. */
void places_init(struct places *p, struct node *top);
void places_release(struct places *p);

/* The place of byte @off, at most @len > 0 bytes; beyond the end of the disk
 * are zeroes. 0 or -errno, then p->culprit is the image. */
int places_at(struct places *p, uint64_t off, uint64_t len,
	      struct place *out);

/* What lies at both is the same, to the maps' knowledge. */
bool place_is_same(const struct place *a, const struct place *b);

#endif
