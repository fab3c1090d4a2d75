/* pairs.h - two disks side by side, piece by piece. What their maps say is the
 * same is not read; the rest is, several pieces at a time on the pool.
 */
#ifndef BLKMON_PAIRS_H
#define BLKMON_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/chain/place.h"
#include "engine/util/pool.h"

struct pairs;

struct pairs_options {
	struct pool *pool;
	struct node *top[2];	/* NULL: a disk of zeroes without an end */
	struct node *over;	/* what this image holds is passed over; NULL */
	bool unread;		/* only what the maps say: no data */
	uint64_t size;		/* bytes to go over; beyond its end a disk has
				   zeroes */
};

/* Bytes [off, off + len) of both disks. */
struct pair {
	uint64_t off, len;
	struct place place[2];
	bool same;		/* by their maps; else: */
	const uint8_t *data[2];	/* what was read; NULL: zeroes, unread */
	int rc;			/* -errno of a read that failed ... */
	unsigned failed;	/* ... of this disk */
};

/* NULL without memory. Graph read-held, and the chains stay as they are, from
 * here to pairs_free(); nobody writes the disks meanwhile but into what was
 * passed over or handed out already. */
struct pairs *pairs_new(const struct pairs_options *o);
void pairs_free(struct pairs *p);	/* NULL is fine */

/* The next piece, in order: 1; 0 at the end; -errno where a table of disk
 * number *@failed (2: of `over`) can't be read, at out->off. *out, with its
 * data, is good until the next call. */
int pairs_next(struct pairs *p, struct pair *out, unsigned *failed);
/* The next piece begins at @off: what could not be read is tried again. */
void pairs_again(struct pairs *p, uint64_t off);

#endif
