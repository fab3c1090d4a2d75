/* keep.h - a clone of a file, beside it, with which it can be put back. It
 * takes no room until the file is written (FICLONE).
 */
#ifndef BLKMON_KEEP_H
#define BLKMON_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "engine/util/err.h"

/* Behind the name of the file; what is called so is no disk of its own. */
#define KEEP_SUFFIX ".blkmon-undo"

struct keep {
	char *path;		/* of the file, without links; owned */
	char *clone;		/* of its clone; owned */
	dev_t dev;
	ino_t ino, clone_ino;
};

#define KEEP_INIT { 0 }

void keep_release(struct keep *k);	/* the files stay */

/* Clones the regular file @path, which has no other name, to a new one that
 * nobody else reads (its owner, permissions, times and attributes are the
 * file's), and makes that durable. 0, or -1 and why not: "the file system can't
 * clone". Nobody writes to it meanwhile. */
int keep_make(struct keep *k, const char *path, struct err *err);
/* Would that be refused? With the same words, and nothing is made. */
int keep_check(const char *path, struct err *err);
/* Puts the clone in the place of the file, durably and at once: a crash leaves
 * the one or the other. Who has the file open keeps what it was. Fails where
 * one of them is not what it was. */
int keep_restore(const struct keep *k, struct err *err);
/* For another process: notes at the clone, durably, @size bytes that say whose
 * it is; and what the file is now that the job has @ended and nobody may change
 * it any more. 0 or -errno: the host keeps no such notes, or so long ones. */
int keep_note(const struct keep *k, bool ended, const void *more, size_t size);

enum keep_state {
	KEEP_CUT,		/* the end of the job was not noted */
	KEEP_SAME,		/* the file is what it was then */
	KEEP_CHANGED,		/* it was written since, or is another one */
};

struct keep_note {
	enum keep_state state;
	char *text;		/* a NUL behind it; the caller frees it */
	size_t size;
};

/* What was noted of the file @path; -1 where nothing is. The text is anybody's
 * who may write there. */
int keep_load(struct keep *k, const char *path, struct keep_note *note,
	      struct err *err);
/* Removes the clone. */
int keep_drop(const struct keep *k, struct err *err);

#endif
