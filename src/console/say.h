/* say.h - events in words. */
#ifndef BLKMON_CONSOLE_SAY_H
#define BLKMON_CONSOLE_SAY_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/str.h"
#include "src/console/console_kind.h"

/* Adds one line to @text (nothing for events that are no news to a person);
 * returns what kind of line it is. */
enum console_kind say_event_text(const json_t *event, struct str *text);
/* For the operator, and not an event that QMP sends. */
bool say_is_private(const json_t *event);

#endif
