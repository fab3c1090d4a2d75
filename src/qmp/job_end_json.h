/* job_end_json.h - what a job has done, in JSON. */
#ifndef BLKMON_QMP_JOB_END_JSON_H
#define BLKMON_QMP_JOB_END_JSON_H

#include <jansson.h>

#include "engine/event/job_end.h"

/* {"moved", "freed": bytes, "time-ns", "work-ns" (without the time that it was
 * paused, ready or pending)[, "rate": bytes/s of that], "from": [paths, highest
 * first][, "to": path], "unused": [{"file", "bytes" on its disk}], "pivoted"[,
 * "more": files that are not named]}. The caller's. */
json_t *job_end_json(const struct job_end *end);

#endif
