/* hook_call.h - one event for one program. */
#ifndef BLKMON_HOOK_CALL_H
#define BLKMON_HOOK_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/event/event.h"
#include "engine/util/list.h"
#include "engine/util/str.h"

#define HOOK_VARIABLES 16

struct hook_call {
	struct list link;
	const char *program;		/* borrowed */
	const char *name;		/* its last part */
	const char *event;		/* "READY" ...; constant */
	char job[128];
	const char *action;		/* of an ERROR; constant, or NULL */
	uint64_t more;			/* ERRORs joined with it */
	char *input;			/* JSON, with a newline */
	char *variable[HOOK_VARIABLES];	/* "BLKMON_JOB=..." */
	unsigned variables;
};

/* "READY", "COMPLETED", "CANCELLED", "ERROR"; NULL for what programs do not
 * hear. */
const char *hook_event_name(const struct event *ev);
/* NULL: no memory. */
struct hook_call *hook_call_new(const char *program, const struct event *ev,
				const json_t *json);
void hook_call_free(struct hook_call *call);
/* @ev is an error like that of @call, which waits: it counts it, and is all
 * that is heard of it. */
bool hook_call_joins(struct hook_call *call, const struct event *ev);
/* All variables of the program to be run, once; free() the array. */
char **hook_call_environment(struct hook_call *call);

static inline struct hook_call *hook_call_linked(struct list *link)
{
	return container_of(link, struct hook_call, link);
}

#endif
