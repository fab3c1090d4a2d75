/* export.h - a disk that clients may use: a drive, whatever its active layer
 * is just now, or read-only an image below one.
 *
 * Lives in the server's list (nbd_server.h), which counts its users.
 */
#ifndef BLKMON_EXPORT_H
#define BLKMON_EXPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/chain/drive.h"
#include "engine/engine.h"
#include "engine/util/err.h"
#include "engine/util/list.h"

/* struct nbd_counts while it is being counted. */
struct nbd_tally {
	_Atomic uint64_t rd_bytes, wr_bytes, rd_ops, wr_ops, requests;
};

struct export {
	/* constant */
	char id[128];
	char *name;		/* what clients ask for */
	char *description;	/* or NULL */
	uint64_t serial;	/* never used twice */
	bool writable;
	struct graph *graph;
	struct drive *drive;	/* or NULL, then: */
	struct node *node;	/* counted */

	struct nbd_tally tally;

	/* the server's lock */
	unsigned users;		/* connections, handshakes included */
	struct list conns;	/* those past it: struct nbd_conn.user */
	bool closing;		/* takes no more of them */
	struct list link;
};

/* Looks for what @o names and checks id and name, but not for another export
 * of that id. NULL and QEMU's words if it can't be. */
struct export *export_new(struct engine *e, const struct export_options *o,
			  struct err *err);
void export_free(struct export *x);	/* nobody uses it */

uint64_t export_size(struct export *x);
uint32_t export_block(struct export *x); /* best size of requests, bytes */
/* Clients who are away need not wait at the gate any longer; drive.h. */
void export_recall(struct export *x);

/* A request that was refused before it got here, for the drive's statistics. */
void export_refused(struct export *x, enum node_request what);

/* --- requests, as in drive.h; 0 or -errno; -EINVAL beyond the end --- */

int export_read(struct export *x, uint64_t off, uint64_t len, void *buf);
int export_write(struct export *x, uint64_t off, uint64_t len,
		 const void *buf, bool fua);
int export_zero(struct export *x, uint64_t off, uint64_t len, bool unmap,
		bool fast);
int export_discard(struct export *x, uint64_t off, uint64_t len);
int export_flush(struct export *x);
int export_extents(struct export *x, uint64_t off, uint64_t len,
		   struct extent *out, size_t max, size_t *count);

#endif
