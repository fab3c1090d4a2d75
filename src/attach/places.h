/* places.h - the machines that this program is attached to, and the channel
 * onto all of them.
 *
 * A place is another monitor with a name; the engine of this process is one
 * as well, called PLACES_HERE, as long as it has images or there is no other.
 * Where there is one place, its names are plain; where there are more, drives,
 * nodes and jobs are called PLACE/NAME in all that goes through a channel made
 * here, and a request goes to the place that its names are of, or to the one
 * in use.
 *
 * The channel answers these itself: x-blkmon-connect {"address"},
 * x-blkmon-disconnect {"place"}, x-blkmon-use {"place"},
 * x-blkmon-attend {"places"}, and
 * x-blkmon-query-places. "quit" is this program's own, whatever it is
 * attached to.
 */
#ifndef BLKMON_ATTACH_PLACES_H
#define BLKMON_ATTACH_PLACES_H

#include <stdbool.h>

#include "engine/util/err.h"
#include "engine/util/interrupt.h"
#include "src/qmp/channel.h"

#define PLACES_HERE "here"

struct machine;
struct places;

struct places_rules {		/* for all places */
	bool look;		/* nothing may be changed there */
	bool force;		/* even what a manager holds */
	bool any_host;		/* tcp may leave this machine */
};

/* @machine is borrowed. */
struct places *places_new(struct machine *machine,
			  const struct places_rules *rules);
/* All channels are freed. */
void places_free(struct places *p);

/* 0, or -1 and err: what is wrong with the words of an address. */
int places_check(const char *text, const struct places_rules *rules,
		 struct err *err);
/* Connects to "[NAME=]ADDRESS[,look=on]" and waits until it is there, at most
 * 10 s, or @interrupt (may be NULL) comes. 0; or -1 and err, and then it is
 * among the places only if @keep. Any thread. */
int places_connect(struct places *p, const char *text, bool keep,
		   const struct interrupt *interrupt, struct err *err);

/* NULL if no descriptor is left. */
struct channel *places_channel_new(struct places *p);

#endif
