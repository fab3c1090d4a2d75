/* rebase.h - what an image needs of the images below it before it can lie on
 * others.
 */
#ifndef BLKMON_REBASE_H
#define BLKMON_REBASE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/image/node.h"
#include "engine/job/copy.h"
#include "engine/util/pool.h"

typedef int rebase_failed(const struct copy_error *e, const struct err *why,
			  void *arg);

struct rebase_copy {
	struct pool *pool;
	struct node *image;	/* writable; to_hide is set if it is going to
				   have a backing file */
	struct node *base;	/* what will lie below; NULL: nothing */
	/* Bytes; may be NULL. False gives up. */
	bool (*progress)(uint64_t done, uint64_t total, void *arg);
	void *arg;			/* of both */
	uint64_t *read;		/* grows by the bytes of the disks that had to
				   be read; NULL */
	uint64_t *copied;	/* grows by the bytes of data that were copied;
				   NULL */
	/* What fails, and @why: 0, it is tried again; or a negative number to
	 * give up with. NULL gives up. */
	rebase_failed *failed;
	bool dry;		/* nothing is copied, and nothing of the disks
				   read: what their maps do not say is the same
				   counts as copied */
};

/* Copies into the image what shows through its holes and would not show above
 * the base: pieces (node.h) of which a byte differs, and no others. Before,
 * while and after it the image reads the same above what lies below it now;
 * when it has been flushed, also above the base. The caller holds the graphs of
 * both chains, and nobody else uses the image. 0; -ECANCELED; or -errno and
 * err. */
int rebase_copy(const struct rebase_copy *r, struct err *err);

#endif
