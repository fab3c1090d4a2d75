/* job.h - the life of a job: its thread, states, verbs, speed and progress.
 *
 * A job is straight-line code in a thread of its own. `status` has one writer,
 * the job; `want` is what its controllers ask of it. job_point() is the one
 * place where it is throttled, paused, told to stop. States, verbs and
 * transitions are QEMU's (monitor.md, 2.2), kept as tables in job.c.
 */
#ifndef BLKMON_JOB_H
#define BLKMON_JOB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/event/event.h"
#include "engine/chain/graph.h"
#include "engine/chain/on_error.h"
#include "engine/job/counts.h"
#include "engine/job/throttle.h"
#include "engine/util/err.h"
#include "engine/util/list.h"
#include "engine/util/thread.h"

struct job;
struct node;
struct pool;

/* All jobs of one graph, and what they work with. */
struct jobs {
	struct graph *graph;		/* these three: constant, borrowed */
	struct event_ring *events;
	struct pool *pool;
	struct lock lock;		/* leaf; guards the list */
	struct cond changed;		/* a job came, ended or went */
	struct list list;		/* struct job, newest first */
	bool ending;			/* no other is started */
	/* Constant before the first one is started, or NULL. Called in the
	 * thread of a job that has let go of its images, nothing held, before
	 * anybody hears that it is over. */
	void (*let_go)(struct jobs *jobs, const char *id);
	uint64_t moved, moved_ns;	/* bytes that jobs have copied lately,
					   and how long that took */
};

void jobs_init(struct jobs *jobs, struct graph *graph,
	       struct event_ring *events, struct pool *pool);
void jobs_release(struct jobs *jobs);	/* there are none */

enum job_status {
	JOB_UNDEFINED, JOB_CREATED, JOB_RUNNING, JOB_PAUSED, JOB_READY,
	JOB_STANDBY, JOB_WAITING, JOB_PENDING, JOB_ABORTING, JOB_CONCLUDED,
	JOB_NULL, JOB_STATUS_COUNT
};

enum job_verb {
	JOB_CANCEL, JOB_PAUSE, JOB_RESUME, JOB_SET_SPEED, JOB_COMPLETE,
	JOB_FINALIZE, JOB_DISMISS, JOB_VERB_COUNT
};

/* What a kind of job is made of. All run in the job's thread, nothing held. */
struct job_kind {
	const char *type;		/* "stream", "commit" */
	bool private;			/* so are its events; see event.h */
	/* on-error=ignore: what failed is tried again till it works, instead
	 * of left out. */
	bool tries_again;
	bool upward;			/* top is written, from what is below */
	bool looks;			/* its progress is how far it has
					   looked: release() says in the end
					   what was moved */
	/* The work. 0, or -errno after job_fail() or job_error(). Returns
	 * -ECANCELED as soon as job_point() does. */
	int (*run)(struct job *job);
	/* The change of the graph and the headers, after PENDING. Either all
	 * of it or nothing. 0; -1 and err; or as run(), and err is as it was.
	 * NULL: nothing to do. */
	int (*finish)(struct job *job, struct err *err);
	/* Lets go of nodes and marks, however it ended. */
	void (*release)(struct job *job);
};

struct job_options {
	const char *id;			/* not NULL; checked by job_new */
	uint64_t speed;			/* bytes/s, 0 = unlimited */
	enum on_error on_error;
	bool manual_finalize, manual_dismiss;
	struct job_need {		/* of a file system */
		uint64_t bytes;		/* when so much of the job was left: */
		uint64_t left;		/* as job.total; 0: all of it */
		bool most;		/* not counted: no more than that */
		dev_t dev;
	} need;
};

/* HMP's commit, and the offline one: the active layer into the image below
 * it, at once. */
struct sync_options {
	const char *device;		/* drive */
	const char *base;		/* NULL: the backing file */
	int64_t speed;			/* as in job_options; < 0 is refused */
	bool force;			/* even where that changes internal
					   snapshots */
	bool keep;			/* for an undo (undo.h); then the
					   overlay is not emptied */
	bool aside;			/* nobody waits for its end: the call
					   returns when it has started */
	/* NULL, or called while it is at work, in the thread of the caller,
	 * every some milliseconds and at the end: bytes. False: cancel. */
	bool (*progress)(uint64_t done, uint64_t total, void *arg);
	void *arg;
};

struct job {
	const struct job_kind *kind;
	struct jobs *jobs;
	struct claim claim;		/* of the images it works on */
	char *id;
	char top[32], base[32];		/* node names, for those who look;
					   constant from job_start() */
	bool grew;			/* what it writes was made longer; the
					   same */
	void *opaque;			/* the kind's; freed by release() */
	struct job_options options;	/* .id points to id */
	pthread_t thread;

	struct lock lock;		/* leaf, after jobs->lock and
					   before the ring of events; guards
					   all below */
	struct cond wake;		/* a controller changed `want` */
	enum job_status status;
	struct {
		bool cancel, force, complete, finalize, dismiss;
	} want;
	bool paused;			/* by a user or by an error stop */
	bool ready;			/* has been READY */
	bool busy;			/* not sleeping */
	struct throttle throttle;
	uint64_t piece_speed;		/* the limit at job_piece() */
	uint64_t rest_ns;		/* before the last try; 0: it worked */
	uint64_t len, offset;		/* as QMP shows them (4.3) */
	uint64_t total, done;		/* bytes of real work; no step back */
	struct copy_counts counts;	/* of what was done */
	uint64_t started_ns;
	uint64_t still_ns;		/* it has stood, told to or ready */
	struct job_end *end;		/* constant once it is concluded */
	int io_status;			/* 0 ok, EIO failed, ENOSPC nospace */
	bool cancelled;			/* ended by a cancel */
	struct err err;			/* why it failed; class NONE if not */
	unsigned refs;
	struct list link;		/* jobs->list; jobs->lock */
};

/* A copy of all that queries show. */
struct job_info {
	char id[128];
	char top[32], base[32];		/* node names; base "": whole chain */
	const char *type;
	const char *status;		/* "running" ... */
	const char *io_status;		/* "ok", "failed", "nospace" */
	uint64_t len, offset, total, done, speed;
	struct copy_counts counts;
	uint64_t elapsed_ns;
	uint64_t work_ns;		/* of these it did not stand still */
	uint64_t unused, unused_bytes;	/* files left by one that is over */
	bool busy, paused, ready, auto_finalize, auto_dismiss;
	bool changed;			/* what it writes is not as it was */
	char error[ERR_TEXT_MAX];	/* short; "" if none, or not ended */
};

const char *job_status_name(enum job_status status);
const char *job_verb_name(enum job_verb verb);
bool job_verb_allowed(enum job_status status, enum job_verb verb);

/* May a job of that id be started? Letter first, then letters digits - . _ ,
 * and no job has it: `Invalid job ID 'x'`, `Job ID 'x' already in use`. Refused
 * after job_cancel_all(). */
int job_check_id(struct jobs *jobs, const char *id, struct err *err);
/* A job in state CREATED that nobody sees yet. Checks the id; makes the
 * thread, which waits. Until job_start() the caller may job_discard() it. No
 * events. Who starts a job holds the graph for writing from job_new() to
 * job_start(), so two of one id can't pass the check. */
struct job *job_new(struct jobs *jobs, const struct job_kind *kind,
		    const struct job_options *o, void *opaque,
		    struct err *err);
void job_discard(struct job *job);	/* release() is not called */
/* Which images it works on, before job_start(), graph write-held. @base NULL:
 * all below. */
void job_set_images(struct job *job, const struct node *top,
		    const struct node *base);
/* Enters it into the list and sets it going; from here it frees itself.
 * Events: created, running. Can't fail. */
void job_start(struct job *job);

/* --- called by the kind's code, in the job's thread, holding nothing --- */

/* Tells the controllers and obeys them: sleeps off the speed, stands still
 * while paused. 0 to go on; -ECANCELED to stop now. Call it before each piece
 * of work. */
int job_point(struct job *job);
/* The size of the next piece, see throttle_piece(); then pays for it. */
uint64_t job_piece(struct job *job, uint64_t min, uint64_t max);
void job_charge(struct job *job, uint64_t bytes);
void job_progress(struct job *job, uint64_t offset, uint64_t done);
/* A batch was done, in so many ns without the time that a limit takes. */
void job_count(struct job *job, const struct copy_counts *counts,
	       uint64_t took_ns);
void job_set_len(struct job *job, uint64_t len, uint64_t total);
/* A request failed, @why with errnum says what: tells it (BLOCK_JOB_ERROR and
 * a notice) and applies the policy. 0: try the same piece again (stands still
 * first when the policy is stop; ignore of a kind that tries again: rests,
 * longer each time, a second at most, until a piece works); 1: leave it out
 * and go on (ignore of others; the job ends with the error); -errno: give
 * up. */
int job_error(struct job *job, const struct err *why, bool reading);
/* The same where no try would ever work: as if the policy were report. */
int job_give_up(struct job *job, const struct err *why, bool reading);
/* Ends with @why whatever the policy; returns -errno for run() to return. */
int job_fail(struct job *job, const struct err *why);
/* In sync: goes to READY, stands there (pause obeyed) until told. 0: complete
 * (pivot); 1: soft cancel (end well without pivot); -ECANCELED: force cancel;
 * -EAGAIN if *failed is set meanwhile (noticed within 100 ms): it is to be
 * called again once all is in sync again. */
int job_wait_ready(struct job *job, const _Atomic int *failed);

/* --- controllers; any thread --- */

/* With the state check of the verb: `Job 'ID' in state 'S' cannot accept
 * command verb 'V'`, and the texts of 1.5 (paused, not paused). */
int job_cancel(struct job *job, bool force, struct err *err);
int job_pause(struct job *job, struct err *err);
int job_resume(struct job *job, struct err *err);
int job_set_speed(struct job *job, uint64_t speed, struct err *err);
int job_complete(struct job *job, struct err *err);
int job_finalize(struct job *job, struct err *err);
/* Returns when it has left the list: its id is free. */
int job_dismiss(struct job *job, struct err *err);
void job_describe(struct job *job, struct job_info *info);
/* What jobs at work still need of the file system @dev, in bytes; @each (may be
 * NULL) is called for each of them, with jobs->lock held. */
uint64_t jobs_reserved(struct jobs *jobs, dev_t dev,
		       void (*each)(const char *id, void *arg), void *arg);
/* A reference to a job at work of which only the most is known, or NULL. */
struct job *job_uncounted(struct jobs *jobs, dev_t dev);
/* What it needs from now on was counted, or with NULL could not be. */
void job_set_need(struct job *job, const uint64_t *bytes);
/* Would the verb be refused? The words are those of the verb itself. */
int job_check_complete(struct job *job, struct err *err);
int job_check_cancel(struct job *job, bool force, struct err *err);
/* QEMU's word for why it ended: the text of the errno, without the details
 * that stand in the notice; "" if it ended well. job->lock held. */
void job_short_error(const struct job *job, char *buf, size_t size);

/* Finds by id; a counted reference or NULL. */
struct job *job_find(struct jobs *jobs, const char *id);
/* One more, for whoever has one, or has not started it yet. */
struct job *job_get(struct job *job);
void job_put(struct job *job);
/* Waits until it has left the list, or stays there only to be dismissed; at
 * most until clock_ns() reaches @deadline. True if so. */
bool job_wait_over(struct job *job, uint64_t deadline);
/* How one that is over has ended: 0; or -1 and why, -ECANCELED in err->errnum
 * where it was cancelled. */
int job_result(struct job *job, struct err *err);
/* The program ends: force-cancels all and waits until they are gone; no other
 * is started. */
void job_cancel_all(struct jobs *jobs);

#endif
