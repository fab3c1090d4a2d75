/* event.h - happenings, pushed to whoever listens.
 *
 * Publishing never waits. What is published waits for each listener who was
 * there, until it is taken; each has an eventfd to poll. For one who is far
 * behind, an error of a job or of a guest, and a line about it, that says no
 * more than one that is not taken yet is joined with that: it counts in
 * @more. Beyond EVENT_MOST the oldest is dropped, and it is told how many
 * were. Thread-safe; leaf lock.
 */
#ifndef BLKMON_EVENT_H
#define BLKMON_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/event/job_end.h"
#include "engine/util/list.h"
#include "engine/util/thread.h"

enum event_type {
	EVENT_NONE,
	EVENT_JOB_STATUS,	/* id, status */
	EVENT_JOB_COMPLETED,	/* id, kind, len, offset, speed, end,
				   text = error */
	EVENT_JOB_CANCELLED,	/* id, kind, len, offset, speed, end */
	EVENT_JOB_READY,	/* id, kind, len, offset, speed */
	EVENT_JOB_PENDING,	/* id, kind */
	EVENT_JOB_ERROR,	/* id, operation, action */
	EVENT_IO_ERROR,		/* id (device), node, operation, action,
				   nospace, text = reason */
	EVENT_THRESHOLD,	/* node, offset = exceeded by,
				   len = threshold */
	EVENT_CORRUPTED,	/* id (device), node, text = msg, offset, len,
				   fatal; has_offset */
	EVENT_EXPORT_DELETED,	/* text = id */
	EVENT_STOP, EVENT_RESUME,
	EVENT_SHUTDOWN,		/* text = reason */
	EVENT_FOLDER,		/* text = path: files there have changed */
	EVENT_NOTICE,		/* text: a sentence for the log, no QMP event */
};

#define EVENT_TEXT_MAX 4096	/* bytes */

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
	bool private;		/* for operators here: QEMU does not tell it */
	uint64_t more;		/* of the same kind were joined with it */
	struct job_end *end;	/* or NULL; published, the event counts it */
	char text[EVENT_TEXT_MAX + 1];	/* the last: what waits is as long as
					   this */
};

#define EVENT_MOST 65536	/* wait for one listener */
#define EVENT_FLOOD 1024	/* who is so many behind gets them joined */

struct event_ring {		/* of listeners */
	struct lock lock;	/* leaf; guards all, and the listeners */
	struct cond more;
	uint64_t next;		/* seq of the next event */
	struct list listeners;
};

struct event_listener {
	struct event_ring *ring;
	int fd;			/* readable while events wait */
	struct list waiting;	/* oldest first */
	unsigned count;		/* of them */
	uint64_t lost;		/* before the first of them */
	struct job_end *end;	/* of the event taken last */
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
 * True if there was one; ev->end is borrowed until the next call. *lost counts
 * what was dropped before it. */
bool event_next(struct event_listener *l, struct event *ev, uint64_t deadline,
		uint64_t *lost);

#endif
