/* undo.h - commits that can be taken back, because base was kept. Part of the
 * facade.
 *
 * Before a commit with keep writes to base the file of base is cloned (keep.h).
 * To undo it the images that were committed lie between base and its overlay
 * again, and the clone takes the place of base: each step leaves disks that
 * read the same, for what base has got all lies above it, too. That works as
 * long as nobody has written to base after the job: not once a drive has gone
 * over to it (block-job-complete of an active layer). What was kept of it then
 * can only be thrown away.
 *
 * What is known of it is noted at the clone (undo_impl.h), and stays when the
 * process ends: whoever opens the disk again finds it, under the same id or, if
 * that is taken by another, ID-2 ... Of a job that its program did not see
 * through it is not known who wrote to base since: then only a commit in the
 * middle can be undone, by force.
 */
#ifndef BLKMON_UNDO_H
#define BLKMON_UNDO_H

#include <stdbool.h>

#include "engine/engine.h"

struct undo_info {
	char *id;		/* of the job */
	char *file;		/* base */
	char *kept;		/* its clone */
	uint64_t bytes;		/* that the clone alone holds on the disk, as
				   far as that can be told */
	char *why_not;		/* it can't be undone now; NULL: it can */
};

int engine_query_undo(struct engine *e, struct undo_info **out, size_t *n);
void undo_info_free(struct undo_info *info, size_t n);

/* Base is as it was before the job, byte for byte, and so is the chain. Refused
 * while the job runs, and as above; and (unless @force) where base has overlays
 * that are not open, and where its program ended before the job. "There is
 * nothing kept of job 'x'". */
int engine_undo(struct engine *e, const char *id, bool force, struct err *err);
/* Base and the images that come between again; the clone takes its place, so
 * what base alone holds now is given back. */
int engine_plan_undo(struct engine *e, const char *id, bool force,
		     struct forecast *f, struct err *err);
/* Throws the clone away. */
int engine_drop_undo(struct engine *e, const char *id, struct err *err);

/* The same without a disk that is open: of the file that was base of a commit
 * of another process, by a job or at once (sync_options.keep). Nobody has it
 * open, nor the image that lies on it; nobody has written to it since; no image
 * lies on it but the one that did so then (unless @force). @drop: only throw
 * the clone away. */
int engine_undo_file(struct engine *e, const char *path, bool force, bool drop,
		     struct err *err);

#endif
