/* entry.h - the end of a job, as the history keeps it. */
#ifndef BLKMON_ENTRY_H
#define BLKMON_ENTRY_H

#include <jansson.h>

#include "engine/event/event.h"

/* "done", "pivoted", "cancelled" or "failed". */
const char *entry_result(const struct event *ev);
/* What @ev (JOB_COMPLETED or JOB_CANCELLED) says: what job_end_json.h has, and
 * "when" (the end, UTC), "job", "kind", "result", "pid"[, "error"]. The
 * caller's; NULL: no memory. */
json_t *entry_new(const struct event *ev);

#endif
