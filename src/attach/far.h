/* far.h - another monitor in the words of this program.
 *
 * Console and screen speak one dialect, blkmon's own QMP, with drive names
 * and x-blkmon-*; a far end speaks its own. Here is what lies between: what
 * the end can do (by its query-commands, never by its version), who is called
 * what over there, and which of its jobs are ours.
 *
 * Ours are those that a channel of this process started. Their ids over there
 * begin with FAR_PREFIX and are shown without it; they stay at their end
 * until the far side of this program has seen how they ended, so that a lost
 * connection loses no error.
 */
#ifndef BLKMON_ATTACH_FAR_H
#define BLKMON_ATTACH_FAR_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/err.h"
#include "src/attach/address.h"
#include "src/attach/wire.h"
#include "src/qmp/channel.h"

#define FAR_PREFIX "blkmon-"

struct far;

/* Begins to connect. Takes what is in @address. NULL and err: none of it is
 * left. */
struct far *far_new(struct address *address, struct err *err);
/* All channels are freed. */
void far_free(struct far *f);

/* As wire_wait_live(). */
int far_wait(struct far *f, uint64_t deadline,
	     const struct interrupt *interrupt, struct err *err);
const struct address *far_address(const struct far *f);

struct far_status {
	struct wire_status wire;
	char guest[128];	/* what the end calls itself; "" nothing */
	char run[32];		/* "running", "paused", ...; "" no guest */
	bool look;		/* nothing may be changed */
	bool managed;		/* its nodes are named by a manager */
};
void far_status(struct far *f, struct far_status *out);

/* Onto a far end (borrowed). NULL if no descriptor is left. */
struct channel *far_channel_new(struct far *f);

#endif
