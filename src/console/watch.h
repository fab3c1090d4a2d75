/* watch.h - what became of the jobs, so that nobody who asks late misses a
 * completion that came early. Events tell it, and whoever has to know looks at
 * the list of jobs as well: that is believed, for an event may be lost.
 */
#ifndef BLKMON_CONSOLE_WATCH_H
#define BLKMON_CONSOLE_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum watch_state {
	WATCH_RUNNING,
	WATCH_PAUSED,
	WATCH_READY,
	WATCH_PENDING,		/* waits for block-job-finalize */
	WATCH_DONE,		/* well */
	WATCH_CANCELLED,
	WATCH_FAILED,
	WATCH_UNSEEN,		/* gone; nobody knows how it ended */
};

struct watch_job {
	char *id;
	enum watch_state state;
	bool concluded;		/* nothing more will happen to it */
	bool gone;		/* left the list of jobs */
	bool kept;		/* stays in it until it is dismissed */
	bool settling;		/* pending, if only on its way */
	bool was_ready;
	bool asked;		/* told to complete, cancel or finalize */
	char *error;		/* of WATCH_FAILED */
	bool foreign;		/* somebody else began it, elsewhere: what
				   becomes of it is his */
	bool far;		/* it does not end with this program */
	bool lost;		/* the list is an old one: nobody answers */
	bool told;		/* by watch_next_failed() */
	uint64_t heard;		/* number of the latest event about it */
};

struct watch {
	struct watch_job *jobs;
	size_t n;
	unsigned failed;	/* jobs that failed so far, or may have; those
				   of others do not count */
	uint64_t heard;		/* events so far */
};

void watch_release(struct watch *w);
/* Takes in an event as on the wire. */
void watch_event(struct watch *w, const json_t *event);
/* A job that failed, or may have, and was not returned before; or NULL. */
const struct watch_job *watch_next_failed(struct watch *w);
/* Believes the reply to query-jobs, asked for when @heard events had been taken
 * in; all that came before the reply are by now, and what is newer stands. Of
 * places that did not answer ("x-blkmon-lost") it tells nothing new. */
void watch_sync(struct watch *w, const json_t *reply, uint64_t heard);
/* Some job may stand in pending: query-block-jobs knows. */
bool watch_is_settling(const struct watch *w);
/* Believes the reply value of query-block-jobs about those. */
void watch_sync_pending(struct watch *w, const json_t *jobs);
/* The job of that name was told to end (or a name that is no job: nothing). */
void watch_asked(struct watch *w, const char *id);

const struct watch_job *watch_find(const struct watch *w, const char *id);
/* It will change no more. */
bool watch_is_over(const struct watch_job *job);
/* Over, and the list of jobs shows it. */
bool watch_is_finished(const struct watch_job *job);
/* It stands and only a command moves it on. */
bool watch_is_stuck(const struct watch_job *job);

#endif
