/* event.h - the engine's events as QMP sends them (monitor.md, 2.4). */
#ifndef BLKMON_QMP_EVENT_H
#define BLKMON_QMP_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/event/event.h"

/* {"timestamp", "event"[, "data"][, "x-blkmon-private"]}; the caller's. */
json_t *qmp_event(const struct event *ev);
/* The same with a name and data (taken; may be NULL) of the caller's. */
json_t *qmp_event_new(uint64_t wall_us, const char *name, json_t *data);
/* X_BLKMON_LOST: @count events were dropped before the next one. */
json_t *qmp_event_lost(uint64_t wall_us, uint64_t count);
/* True for what sockets do not pass on: X_BLKMON_NOTICE, and an event with the
 * member "x-blkmon-private". */
bool qmp_event_is_private(const json_t *event);

/* Calls @fn for every event that a client may see, @members as in args.h. */
void qmp_event_each(void (*fn)(const char *name, const char *members,
			       void *arg), void *arg);

#endif
