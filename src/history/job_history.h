/* job_history.h - what jobs have done, a line of JSON for each.
 *
 * All programs of a user add to one file, $XDG_STATE_HOME/blkmon/jobs.jsonl. A
 * line comes with one write at the end of the file, so none is torn by
 * another; one that a full disk or a crash cut short is passed over. A file
 * that has reached JOB_HISTORY_BYTES is kept as jobs.jsonl.1, in place of the
 * one before, and a new one begun.
 */
#ifndef BLKMON_JOB_HISTORY_H
#define BLKMON_JOB_HISTORY_H

#include <jansson.h>
#include <stddef.h>

#include "engine/util/err.h"

#define JOB_HISTORY_BYTES ((size_t)4 << 20)

/* Adds @entry (borrowed), an object. 0, also where there is no home to keep it
 * in; or -1 and err, which names the file. Waits for others half a second at
 * most. */
int job_history_add(const json_t *entry, struct err *err);
/* The last @most entries, newest first, the caller's; there may be none. NULL
 * and err. */
json_t *job_history_read(size_t most, struct err *err);

#endif
