/* disk.h - a disk that others may use, guests and programs: a drive, whatever
 * its active layer is just now, or read-only an image below one.
 *
 * Any thread, holding nothing, unless it says otherwise. The engine outlives
 * it.
 */
#ifndef BLKMON_DISK_H
#define BLKMON_DISK_H

#include "engine/chain/extent.h"
#include "engine/engine.h"

struct disk;

struct disk_options {
	const char *device, *node_name;	/* one of them; the other NULL */
	bool writable;
	bool or_read_only;		/* writable where that is possible */
	bool force;			/* writable though it is the backing
					   file of an image that is not open */
};
/* NULL and QEMU's words if it can't be: there is none of that name, "Cannot
 * export read-only node as writable". As long as it is open its drive can't be
 * removed. */
struct disk *disk_open(struct engine *e, const struct disk_options *o,
		       struct err *err);
void disk_close(struct disk *d);	/* nobody uses it; NULL is fine */

/* The same drive or node. */
bool disk_is_same(const struct disk *a, const struct disk *b);
bool disk_is_writable(const struct disk *d);
uint64_t disk_size(struct disk *d);	/* bytes */
uint32_t disk_block(struct disk *d);	/* best size of requests, bytes */

/* What it is called just now, of several at one moment: between these two the
 * graph stays as it is, and the caller takes leaf locks at most. */
void disks_hold(struct engine *e);
void disks_let_go(struct engine *e);
struct disk_names {
	char drive[128];		/* "" if it is no drive's */
	char node[NODE_NAME_MAX];	/* the image it is just now */
};
void disk_names(const struct disk *d, struct disk_names *out);

/* From now on the calling thread serves a client, as drive_serve(); and makes
 * those who wait at the gate of @d look whether theirs is away. */
void disk_serve(const _Atomic bool *gone);
void disk_recall(struct disk *d);
/* A request that was refused before it got here, for the statistics. */
void disk_refused(struct disk *d, enum node_request what);

/* --- requests, as in drive.h; 0 or -errno; -EINVAL beyond the end --- */

int disk_read(struct disk *d, uint64_t off, uint64_t len, void *buf);
int disk_write(struct disk *d, uint64_t off, uint64_t len, const void *buf,
	       bool fua);
int disk_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap,
	      bool fast);
int disk_discard(struct disk *d, uint64_t off, uint64_t len);
int disk_flush(struct disk *d);
int disk_extents(struct disk *d, uint64_t off, uint64_t len,
		 struct extent *out, size_t max, size_t *count);

#endif
