/* compose.h - keys that change something.
 *
 * They write the line that does it into the prompt, filled in from what is
 * selected, and say what it would do; Enter runs it.
 */
#ifndef BLKMON_UI_COMPOSE_H
#define BLKMON_UI_COMPOSE_H

#include "ui/pane/sheet.h"

/* False if @action changes nothing: then nothing was written. */
bool compose_line(struct sheet *s, enum action action);

/* A line that starts such a job as @job is; where its images have gone, its
 * name. The caller's. */
char *compose_again(const struct sheet *s, const struct view_job *job);

#endif
