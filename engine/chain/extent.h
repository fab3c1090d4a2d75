/* extent.h - what a guest may be told of what lies where: allocation and
 * depth through the whole chain.
 */
#ifndef BLKMON_EXTENT_H
#define BLKMON_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/image/node.h"

struct extent {
	uint64_t len;
	unsigned depth;	/* 0: in no image; 1: in the active one; 2: below... */
	bool zero;	/* reads as zeroes and holds no data */
};

/* The first extents of [off, off + len), @len > 0, of the disk whose active
 * layer is @top: at most @max; the last may be cut short. Neighbours differ.
 * Where a map can't be read they end in front of that; -errno if that is at
 * @off. Graph read-held. 0 or -errno. */
int extents_find(struct node *top, uint64_t off, uint64_t len,
		 struct extent *out, size_t max, size_t *count);

#endif
