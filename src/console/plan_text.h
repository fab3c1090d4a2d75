/* plan_text.h - a plan in words. */
#ifndef BLKMON_CONSOLE_PLAN_TEXT_H
#define BLKMON_CONSOLE_PLAN_TEXT_H

#include <jansson.h>

/* What x-blkmon-plan returned, as lines of text; the caller frees. */
char *plan_text_of(const json_t *plan);

#endif
