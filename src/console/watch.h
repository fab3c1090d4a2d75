/* watch.h - what became of the jobs, kept from events, so that nobody who
 * asks late misses a completion that came early.
 */
#ifndef BLKMON_CONSOLE_WATCH_H
#define BLKMON_CONSOLE_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum watch_state {
	WATCH_RUNNING,
	WATCH_PAUSED,
	WATCH_READY,
	WATCH_PENDING,		/* waits for block-job-finalize */
	WATCH_DONE,		/* well */
	WATCH_CANCELLED,
	WATCH_FAILED,
};

struct watch_job {
	char *id;
	enum watch_state state;
	bool concluded;		/* nothing more will happen to it */
	bool gone;		/* left the list of jobs */
	bool was_ready;
	bool asked;		/* told to complete, cancel or finalize */
	char *error;		/* of WATCH_FAILED */
	bool told;		/* by watch_next_failed() */
};

struct watch {
	struct watch_job *jobs;
	size_t n;
	unsigned failed;	/* jobs that failed so far */
};

void watch_release(struct watch *w);
/* Takes in an event as on the wire. */
void watch_event(struct watch *w, const json_t *event);
/* A job that failed and was not returned before, or NULL. */
const struct watch_job *watch_next_failed(struct watch *w);
/* Compares with the reply value of query-jobs, after events were lost. */
void watch_sync(struct watch *w, const json_t *jobs);
/* The job of that name was told to end (or a name that is no job: nothing). */
void watch_asked(struct watch *w, const char *id);

const struct watch_job *watch_find(const struct watch *w, const char *id);
/* It will change no more. */
bool watch_is_over(const struct watch_job *job);
/* It stands and only a command moves it on. */
bool watch_is_stuck(const struct watch_job *job);

#endif
