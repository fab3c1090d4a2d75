/* channel.h - QMP as a function call: a request in, a reply out, events.
 *
 * Everything above the engine speaks through a channel, so the same console
 * and the same screen serve the engine of this process (channel_local_new)
 * and what it is attached to (src/attach/places.h).
 *
 * One channel is used by one thread at a time (a front end opens its own).
 */
#ifndef BLKMON_QMP_CHANNEL_H
#define BLKMON_QMP_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/util/interrupt.h"

struct channel;
struct machine;

struct channel_ops {
	json_t *(*execute)(struct channel *c, json_t *request);
	json_t *(*next_event)(struct channel *c, uint64_t deadline);
	int (*event_fd)(struct channel *c);
	void (*free)(struct channel *c);
};

struct channel {		/* embedded by its kinds */
	const struct channel_ops *ops;
	/* Borrowed, or NULL: when it is set, a request that lasts is given up.
	 * The local one does so with x-blkmon-commit. */
	const struct interrupt *interrupt;
	/* NULL, or called by that command while it lasts, in the thread that
	 * waits for it: bytes; a total of 0 is not known yet. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
	/* What is asked for are the operator's own words, and not those of a
	 * command made of them: whoever else they reach gets them as they are.
	 * Nothing to the local one. */
	bool verbatim;
	/* Who asks only to show it has no use for an answer that takes longer
	 * than a second, and gets an error. Nothing to the local one. */
	bool impatient;
};

/* Onto the engine of this process (borrowed). Events from now on. NULL if no
 * descriptor is left. */
struct channel *channel_local_new(struct machine *machine);
void channel_free(struct channel *c);

/* Sends {"execute": name, "arguments": args} (takes @args; NULL for none) and
 * waits for the reply, which the caller owns: {"return": ...} or {"error":
 * {"class", "desc"}} (with "id" where the request had one). Never NULL. */
json_t *channel_call(struct channel *c, const char *name, json_t *args);
/* The same with a whole request object (takes it), checked as the wire would
 * check it: any JSON value may be given. */
json_t *channel_request(struct channel *c, json_t *request);

/* The "desc" of a reply that is an error, else NULL. Borrowed. */
const char *channel_error(const json_t *reply);

/* The next event as on the wire ({"timestamp", "event", "data"}), the
 * caller's; NULL if none came until clock_ns() reaches @deadline (0: don't
 * wait). Besides QMP's events there are X_BLKMON_NOTICE {"text"}, a line for
 * the operator, which sockets do not pass on (nor an event with the member
 * "x-blkmon-private"), and X_BLKMON_LOST {"count"}: who asks too seldom has
 * lost so many. Errors that say the same are joined
 * for it before: "x-blkmon-more" in their data counts them. */
json_t *channel_next_event(struct channel *c, uint64_t deadline);
/* Readable while events wait; for poll(). */
int channel_event_fd(struct channel *c);

#endif
