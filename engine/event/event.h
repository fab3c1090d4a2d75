/* event.h - happenings, pushed to whoever listens.
 *
 * A bounded ring; publishing never waits. Each listener has a cursor of its
 * own and an eventfd to poll; one who falls behind by more than the ring is
 * told how many he lost. Thread-safe; leaf lock.
 */
#ifndef BLKMON_EVENT_H
#define BLKMON_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/util/list.h"
#include "engine/util/thread.h"

enum event_type {
	EVENT_NONE,
	EVENT_JOB_STATUS,	/* id, status */
	EVENT_JOB_COMPLETED,	/* id, kind, len, offset, speed, text = error */
	EVENT_JOB_CANCELLED,	/* id, kind, len, offset, speed */
	EVENT_JOB_READY,	/* id, kind, len, offset, speed */
	EVENT_JOB_PENDING,	/* id, kind */
	EVENT_JOB_ERROR,	/* id, operation, action */
	EVENT_IO_ERROR,		/* id (device), node, operation, action,
				   nospace, text = reason */
	EVENT_THRESHOLD,	/* node, offset = exceeded by,
				   len = threshold */
	EVENT_CORRUPTED,	/* id (device), node, text = msg, offset, len,
				   fatal; has_offset */
	EVENT_EXPORT_DELETED,	/* id */
	EVENT_STOP, EVENT_RESUME,
	EVENT_SHUTDOWN,		/* text = reason */
	EVENT_NOTICE,		/* text: a sentence for the log, no QMP event */
};

struct event {
	enum event_type type;
	uint64_t seq;		/* counts from 1 */
	uint64_t wall_us;
	char id[128];
	char node[32];
	const char *kind;	/* constant strings: "stream", "commit" */
	const char *status;	/* constant: state of the job */
	const char *operation;	/* "read" | "write" */
	const char *action;	/* "report" | "ignore" | "stop" */
	uint64_t len, offset, speed;
	bool nospace, fatal, has_offset;
	char text[512];
};

#define EVENT_RING 4096

struct event_ring {
	struct lock lock;	/* leaf */
	struct cond more;
	struct event *ring;
	uint64_t next;		/* seq of the next event */
	struct list listeners;
};

struct event_listener {
	struct event_ring *ring;
	uint64_t next;
	int fd;			/* readable while events wait */
	struct list link;
};

void event_ring_init(struct event_ring *ring);
void event_ring_release(struct event_ring *ring);
/* Stamps and copies @ev. */
void event_publish(struct event_ring *ring, const struct event *ev);
/* EVENT_NOTICE with that text. */
void event_notice(struct event_ring *ring, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Listens from now on. 0 or -errno (no descriptor). */
int event_listen(struct event_ring *ring, struct event_listener *l);
void event_unlisten(struct event_listener *l);
/* The next event, waiting until clock_ns() reaches @deadline (0: don't).
 * True if there was one. *lost counts what fell out of the ring before it. */
bool event_next(struct event_listener *l, struct event *ev, uint64_t deadline,
		uint64_t *lost);

#endif
