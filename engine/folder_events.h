/* folder_events.h - tells that a folder has changed to those who asked for it
 * lately; private to the facade.
 */
#ifndef BLKMON_FOLDER_EVENTS_H
#define BLKMON_FOLDER_EVENTS_H

#include "engine/event/event.h"
#include "engine/file/folder_watch.h"
#include "engine/util/thread.h"

/* Who has not asked again for so long is gone. */
#define FOLDER_EVENTS_NS (60 * NS_PER_SEC)

struct folder_events {
	struct event_ring *events;	/* constant */
	struct lock lock;		/* guards all below; not a leaf: paths
					   are looked up under it */
	struct folder_watch watch;	/* the thread waits without the lock */
	pthread_t thread;
	bool started;			/* to be joined */
	bool over;			/* it is at its end */
	bool ending;			/* it is to end */
	bool always;			/* nobody who has asked is ever gone */
	uint64_t until;			/* clock_ns() */
};

void folder_events_init(struct folder_events *f, struct event_ring *events);
void folder_events_release(struct folder_events *f);
/* From now on, for FOLDER_EVENTS_NS, EVENT_FOLDER tells when @path changes,
 * once for all that happens within a fifth of a second. False: it can't be
 * watched. */
bool folder_events_want(struct folder_events *f, const char *path);
/* Who asks from now on is told to the end. */
void folder_events_keep(struct folder_events *f);

#endif
