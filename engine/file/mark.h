/* mark.h - what a job was doing to a file, noted at the file.
 *
 * An image that a commit has half filled reads the same through its overlays,
 * but not alone; and one that was merged into the image below, and left, is a
 * disk of yesterday. Whoever opens them later is to be told. The note is an
 * extended attribute, user.blkmon: the image itself stays as QEMU's tools
 * would have left it. A copy of the file does not have it, for it names the
 * inode. Nothing depends on it: where the host keeps none there is none.
 */
#ifndef BLKMON_MARK_H
#define BLKMON_MARK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/file/file.h"

enum mark_kind {
	MARK_NONE,
	MARK_COMMITTING,	/* it takes in what @other holds, until the
				   mark is taken away; gone when another file
				   is made in its place */
	MARK_MERGED,		/* @other took in all of it; gone with the
				   first write */
};

struct mark {
	enum mark_kind kind;
	int64_t since;		/* seconds since 1970 */
	char other[PATH_MAX];	/* an absolute path; any bytes */
};

/* Replaces what was noted. @other may be named from the working directory. Best
 * effort: not made durable. */
void mark_set(const struct file *f, enum mark_kind kind, const char *other);
void mark_clear(const struct file *f);
/* MARK_NONE where there is no mark, or none of this file as it is. */
void mark_get(const struct file *f, struct mark *m);

#endif
