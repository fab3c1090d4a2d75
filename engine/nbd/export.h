/* export.h - a disk (disk.h) under the name by which clients ask for it.
 *
 * Lives in the server's list (nbd_server.h), which counts its users.
 */
#ifndef BLKMON_EXPORT_H
#define BLKMON_EXPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/disk.h"
#include "engine/nbd/nbd_server.h"
#include "engine/util/err.h"
#include "engine/util/list.h"

/* struct nbd_counts while it is being counted. */
struct nbd_tally {
	_Atomic uint64_t rd_bytes, wr_bytes, rd_ops, wr_ops, requests;
};

struct export {
	/* constant */
	char *id;
	char *name;		/* what clients ask for */
	char *description;	/* or NULL */
	uint64_t serial;	/* never used twice */
	struct disk *disk;

	struct nbd_tally tally;

	/* the server's lock */
	unsigned users;		/* connections, handshakes included */
	struct list conns;	/* those past it: struct nbd_conn.user */
	bool closing;		/* takes no more of them */
	struct list link;
};

/* What clients ask for. */
const char *export_name(const struct export_options *o);
/* 0, or -1 if the id is none. */
int export_check_id(const struct export_options *o, struct err *err);
/* 0, or -1 if its name or its description is too long. */
int export_check_words(const struct export *x, struct err *err);
/* Looks for what @o names and checks neither its words nor the id. NULL and
 * QEMU's words if it can't be. */
struct export *export_new(struct engine *e, const struct export_options *o,
			  struct err *err);
void export_free(struct export *x);	/* nobody uses it */

#endif
