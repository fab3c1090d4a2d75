/* hook.h - programs of the operator that hear of jobs (--on-event).
 *
 * Each runs without a shell and without arguments, in a process group of its
 * own, with all signals as at login and no descriptors but: stdin, a file that
 * holds the event as JSON; stdout and stderr, which go to the log. Its
 * environment is ours and BLKMON_EVENT (READY, COMPLETED, CANCELLED, ERROR),
 * BLKMON_JOB, BLKMON_KIND and what more hook.c adds. HOOKS_AT_ONCE run at once;
 * HOOKS_WAITING calls wait, then the oldest are dropped, and that is told.
 * One thread.
 */
#ifndef BLKMON_HOOK_H
#define BLKMON_HOOK_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/event/event.h"
#include "engine/util/list.h"

#define HOOKS_AT_ONCE 4
#define HOOKS_WAITING 256
#define HOOK_LINE 400			/* bytes of a line of the log */
#define HOOK_LINES 50			/* of one call */
#define HOOK_FDS (2 * HOOKS_AT_ONCE)

struct hook_call;

struct hook_run {
	pid_t pid;			/* 0: none */
	int pidfd;			/* readable when it is over; -1 none */
	int out;			/* what it writes; -1: all was read */
	struct hook_call *call;
	unsigned lines;			/* told so far */
	size_t len;			/* of a line that is not whole yet */
	char line[HOOK_LINE + 1];
};

struct hooks {
	const char *const *programs;	/* borrowed */
	size_t n;
	struct event_ring *ring;	/* for notices */
	struct list waiting;		/* struct hook_call, oldest first */
	unsigned count;			/* of them */
	uint64_t dropped;		/* since that was told last */
	struct hook_run run[HOOKS_AT_ONCE];
};

void hooks_init(struct hooks *h, const char *const *programs, size_t n,
		struct event_ring *ring);
/* Kills (SIGKILL) what still runs, with its process group. */
void hooks_release(struct hooks *h);
/* @ev, and the same as JSON (borrowed), for each of the programs. */
void hooks_event(struct hooks *h, const struct event *ev,
		 const json_t *json);
/* Fills HOOK_FDS entries; and how long to wait in ms at most, -1 for ever. */
int hooks_poll(const struct hooks *h, struct pollfd *fds);
/* Takes in what they wrote, looks who has ended, starts those that wait. */
void hooks_look(struct hooks *h);
/* None runs and none waits. */
bool hooks_idle(const struct hooks *h);
/* Drops those that wait, sends @sig to those that run. */
void hooks_end(struct hooks *h, int sig);

#endif
