/* drive.h - a named device: what the guest holds on to while layers change
 * under it.
 */
#ifndef BLKMON_DRIVE_H
#define BLKMON_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/extent.h"
#include "engine/graph.h"
#include "engine/node.h"

struct mirror;

struct drive {
	char *id;			/* "": anonymous, of a node that was
					   opened by itself */
	struct graph *graph;
	struct node *node;		/* graph lock; counted; active layer;
					   NULL: empty, or removed */
	bool read_only;			/* as the operator asked */
	enum file_cache cache;
	struct list link;		/* graph->drives, or graph->gone */
	unsigned users;			/* graph lock; exports: not to be
					   removed */
	struct node_stats stats;	/* guest requests only */
	/* An active commit that is at work: writes go to both images where
	 * it has been already. Set under the graph's write lock. */
	struct mirror *mirror;

	struct lock gate;		/* leaf; stop / cont */
	struct cond opened;
	bool stopped;
	unsigned in_flight;		/* guest requests past the gate */
};

/* Guest writes while an active commit runs. Guarded by the range of the
 * active layer: whoever holds a range sees a cursor that does not move over
 * it. What a guest flushes is durable in the active layer and not in the
 * target: until the pivot that layer hides all that the target has got, so it
 * alone has to survive a crash, and the job flushes the target before it
 * pivots. */
struct mirror {
	struct node *target;
	_Atomic uint64_t cursor;	/* all below was copied */
	_Atomic int failed;		/* -errno of a write to target: the job
					   ends with it, the guest goes on */
};

/* ids: letter or digit or one of -._ ; "Duplicate ID 'd2' for drive"; NULL:
 * anonymous, never found by id. Graph write-held. Takes over the caller's
 * reference to @node (NULL: an empty drive). */
int drive_add(struct graph *g, const char *id, struct node *node,
	      const struct node_options *o, struct err *err);
/* The test of the id alone. */
int drive_check_id(struct graph *g, const char *id, struct err *err);
/* Takes it from its list and lets go of its node; later requests get -ENODEV.
 * The struct stays until drive_free(), for those who know it without holding
 * the graph. Graph write-held, no job on it. */
void drive_remove(struct drive *drive);
void drive_free(struct drive *drive);
struct drive *drive_find(struct graph *g, const char *id); /* graph read-held */
/* The drive whose active layer is @node, or NULL. Graph read-held. */
struct drive *drive_of(const struct node *node);

/* --- guest requests; any thread, nothing held; 0 or -errno ---
 * Wait while the guest is stopped, before they take the graph (-ECANCELED:
 * see drive_serve()). Checked: beyond the end -EINVAL, read-only -EROFS...
 * Offsets and lengths are bytes, any alignment. */
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

/* From now on the calling thread serves a client who is away once *gone is
 * set: its requests then no longer wait for a stopped guest to go on, but end
 * with -ECANCELED. drive_recall() makes those who wait look at it. */
void drive_serve(const _Atomic bool *gone);
void drive_recall(struct drive *d);

/* stop: from its return on no guest request is under way. */
void drive_stop(struct drive *d);
void drive_cont(struct drive *d);

#endif
