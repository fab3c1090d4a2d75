/* drive.h - a named device: what the guest holds on to while layers change
 * under it.
 */
#ifndef BLKMON_DRIVE_H
#define BLKMON_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/chain/extent.h"
#include "engine/chain/graph.h"
#include "engine/chain/latency.h"
#include "engine/image/node.h"
#include "engine/chain/on_error.h"

struct tap;

struct drive {
	struct root root;		/* id, active layer; graph lock */
	_Atomic unsigned refs;		/* the graph's, and of who knows it
					   without holding that */
	struct graph *graph;
	bool read_only;			/* as the operator asked */
	bool only_plans;		/* so too, but plans are made as if it
					   were open to be written */
	enum file_cache cache;
	unsigned users;			/* graph lock; exports: not to be
					   removed */
	struct node_stats stats;	/* guest requests only */
	struct latency latency;		/* of those that did it */
	struct tap *tap;		/* on the writes, or NULL */

	enum on_error on_read_error, on_write_error; /* graph lock */
	_Atomic int io_status;		/* errno that stopped the guest, 0 from
					   cont on */

	struct gate gate;		/* its lock guards these: */
	bool stopped;			/* stop / cont */
	unsigned turns;			/* how often cont was called */
};

/* What a guest changes: bytes of its disk. */
struct change {
	uint64_t off, len;		/* len > 0 */
	const void *data;		/* NULL: zeroes */
	bool unmap;			/* zeroes: and the place goes back */
};

/* Somebody who sees everything that the guest writes to a drive, and has to:
 * a job. All are called on the thread of the request, past the gate, the first
 * three around one change with the exclusive range of the active
 * layer, aligned to its clusters. */
struct tap {
	/* Before the change. 0, or -errno: it is not made, and the guest gets
	 * that. NULL: nothing to do. */
	int (*begin)(struct tap *tap, const struct change *c);
	/* It was made. */
	void (*done)(struct tap *tap, const struct change *c);
	/* The image failed; it may have been made in part. */
	void (*failed)(struct tap *tap, const struct change *c);
	/* The guest's flush of the active layer has ended; no range held. */
	void (*flush)(struct tap *tap);
};

/* ids: letter or digit or one of -._ ; "Duplicate ID 'd2' for drive"; NULL:
 * anonymous, never found by id. Graph write-held. Takes over the caller's
 * reference to @node (NULL: an empty drive). */
int drive_add(struct graph *g, const char *id, struct node *node,
	      const struct node_options *o, struct err *err);
/* The test of the id alone. */
int drive_check_id(struct graph *g, const char *id, struct err *err);
/* Takes it from its list and lets go of its node, when no request is under way;
 * later ones get -ENODEV. Graph write-held, no job on it. */
void drive_remove(struct drive *drive);
struct drive *drive_find(struct graph *g, const char *id); /* graph read-held */
/* For who goes on with it when the graph is no longer held. */
struct drive *drive_get(struct drive *drive);
void drive_put(struct drive *drive);		/* NULL is fine */
/* All roots of a graph are drives: the drive of one (NULL: NULL), and of a
 * link of graph->roots. */
static inline struct drive *drive_at(struct root *root)
{
	return root ? container_of(root, struct drive, root) : NULL;
}

static inline struct drive *drive_linked(struct list *link)
{
	return container_of(link, struct drive, root.link);
}

/* The drive whose active layer is @node, or NULL. Graph read-held. */
struct drive *drive_of(const struct node *node);

/* --- guest requests; any thread, nothing held; 0 or -errno ---
 * Wait while the guest is stopped or its chain is being changed (-ECANCELED:
 * see drive_serve()). Checked: beyond the end -EINVAL, read-only -EROFS...
 * Offsets and lengths are bytes, any alignment.
 *
 * When the host is to blame for an error it is told of and becomes what the
 * drive's policies say: the client gets it (report); or reads zeroes, and
 * believes that it wrote (ignore); or the guest is stopped, and the request
 * is tried again when it goes on (stop). That is for clients, see
 * drive_serve(); whoever else asks, an operator by hand, gets the error. */
int drive_read(struct drive *d, uint64_t off, uint64_t len, void *buf);
int drive_write(struct drive *d, uint64_t off, uint64_t len, const void *buf,
		bool fua);
int drive_zero(struct drive *d, uint64_t off, uint64_t len, bool unmap);
/* -EOPNOTSUPP, with nothing changed, if it might have to write data. */
int drive_zero_fast(struct drive *d, uint64_t off, uint64_t len, bool unmap);
int drive_discard(struct drive *d, uint64_t off, uint64_t len);
int drive_flush(struct drive *d);
/* extents_find() on the drive's chain, @len > 0. */
int drive_extents(struct drive *d, uint64_t off, uint64_t len,
		  struct extent *out, size_t max, size_t *count);

/* From now on the calling thread serves a client (NULL: none any more) who is
 * away once *gone is set: its requests then no longer wait for a stopped guest
 * to go on, but end with -ECANCELED. drive_recall() makes those who wait look
 * at it. */
void drive_serve(const _Atomic bool *gone);
void drive_recall(struct drive *d);
bool drive_serves(void);	/* does the calling thread? */

/* Around each request: past the gate. 0, or -ECANCELED and it is not. *turn
 * says since which cont. */
int drive_enter(struct drive *d, unsigned *turn);
void drive_leave(struct drive *d);

/* For vm.h. From the return of stop on no request is under way. */
void drive_stop(struct drive *d);
void drive_cont(struct drive *d);
bool drive_is_stopped(struct drive *d);
/* A request that entered at @turn is to be tried again when the guest goes on:
 * its io-status becomes @errnum. False if it has gone on since. */
bool drive_blame(struct drive *d, unsigned turn, int errnum);

#endif
