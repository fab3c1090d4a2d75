/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `wait`: the script's way to wait for jobs, and what the end of a script
 * does with those that still run.
 */
#include "src/console/hmp/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/fields.h"
#include "src/console/hint.h"
#include "src/console/hmp/hmp.h"
#include "src/qmp/json/args.h"

/* A job that was told to end and refused is told again. */
#define AGAIN_NS (20 * NS_PER_MS)

/* So long an event that never comes is waited for, before one looks. */
#define LOOK_NS (250 * NS_PER_MS)

/* So long a wait without a limit goes on while nobody answers for the job. */
#define LOST_NS (30 * NS_PER_SEC)

/* Waits for news, and believes what the list of jobs says. */
static void await_news(struct console *c, uint64_t deadline)
{
	console_events(c, min_u64(deadline, clock_ns() + LOOK_NS));
	console_look(c);
}

enum outcome { WAITING, WELL, BADLY };

/* What to answer to a wait for @job, which says why it is BADLY. */
static enum outcome wait_judge(struct console *c, const struct watch_job *job,
			       bool ready, bool for_ever)
{
	if (job->state == WATCH_UNSEEN) {
		console_printf(c, "Error: job '%s' is gone, and how it ended "
			       "is not known\n", job->id);
		return BADLY;
	}
	if (job->state == WATCH_FAILED && watch_is_finished(job)) {
		console_printf(c, "Error: job '%s' failed: %s\n", job->id,
			       job->error);
		return BADLY;
	}
	if (ready && job->state == WATCH_READY)
		return WELL;
	if (ready && watch_is_finished(job) && !job->was_ready) {
		console_printf(c, "Error: job '%s' ended and was never "
			       "ready\n", job->id);
		return BADLY;
	}
	if (watch_is_finished(job))
		return WELL;
	if (for_ever && watch_is_stuck(job)) {
		console_printf(c, "Error: job '%s' is %s and would never end "
			       "by itself\n", job->id, job->state ==
			       WATCH_READY ? "ready" : job->state ==
			       WATCH_PAUSED ? "paused" : "pending");
		return BADLY;
	}
	return WAITING;
}

struct waiting {
	const char *id;		/* NULL: all jobs */
	bool ready;
	uint64_t deadline;	/* UINT64_MAX: none */
};

/* "PLACE/NAME" of the place in use may be written without it. */
static bool is_named(const struct console *c, const char *word,
		     const struct watch_job *job)
{
	size_t len = c->place ? strlen(c->place) : 0;

	return !strcmp(word, job->id) ||
		(len && !strncmp(c->place, job->id, len) &&
		 job->id[len] == '/' && !strcmp(word, job->id + len + 1));
}

/* Those of others only by name. */
static bool is_meant(const struct console *c, const struct waiting *w,
		     const struct watch_job *job)
{
	return w->id ? is_named(c, w->id, job) : !job->foreign;
}

static bool knows_job(const struct console *c, const char *word)
{
	for (size_t i = 0; i < c->watch.n; i++)
		if (is_named(c, word, &c->watch.jobs[i]))
			return true;
	return false;
}

/* Nobody says what became of one of them. */
static bool is_lost(const struct console *c, const bool *meant, size_t n)
{
	bool lost = c->stale;

	for (size_t i = 0; i < n; i++)
		lost |= meant[i] && c->watch.jobs[i].lost;
	return lost;
}

/* Of all jobs only those that are not over when the wait begins are meant;
 * one that is named may be over long since. */
static enum outcome judge_all(struct console *c, const struct waiting *w,
			      const bool *meant, size_t n)
{
	enum outcome all = WELL;

	for (size_t i = 0; i < n; i++) {
		enum outcome one =
			meant[i] ? wait_judge(c, &c->watch.jobs[i], w->ready,
					      w->deadline == UINT64_MAX)
				 : WELL;

		if (one == BADLY)
			return BADLY;
		if (one == WAITING)
			all = WAITING;
	}
	return all;
}

/* --- how far they are --- */

/* What is known in numbers; a remote QEMU has but positions. NULL: nothing. */
static json_t *wait_ask_jobs(struct console *c)
{
	static const char *const names[] = { "x-blkmon-query-jobs",
					     "query-block-jobs" };
	json_t *value = NULL;

	for (size_t i = 0; !value && i < 2; i++) {
		json_t *reply = channel_call(c->channel, names[i], NULL);

		value = json_incref(json_object_get(reply, "return"));
		json_decref(reply);
	}
	return value;
}

static uint64_t wait_number(const json_t *entry, const char *work,
			    const char *position)
{
	return field_u64(entry, json_object_get(entry, work) ? work : position);
}

/* Behind an amount that is a position, and no work. */
static const char *wait_of_what(const json_t *entry)
{
	return field_bool(entry, "x-blkmon-positions") ? " of the disk" : "";
}

static void wait_show_entry(struct console *c, const json_t *entry)
{
	char *what;

	if (!entry)
		return;
	what = mem_printf("%s %s%s", field_str(entry, "type"),
			  field_str(entry, "device"), wait_of_what(entry));
	progress_show(c->progress, what, wait_number(entry, "done", "offset"),
		      wait_number(entry, "total", "len"), false);
	free(what);
}

/* One after the other: the first that is not over. */
static void wait_show(struct console *c, const bool *meant, size_t n)
{
	json_t *jobs;
	size_t i = 0;

	while (i < n && (!meant[i] || watch_is_over(&c->watch.jobs[i])))
		i++;
	if (i == n || !progress_wanted(c->progress))
		return;
	jobs = wait_ask_jobs(c);
	wait_show_entry(c, args_entry(jobs, "device", c->watch.jobs[i].id));
	json_decref(jobs);
}

/* "; job 'd0' (commit) is running, 23.0M of 44.0M" for each of them. */
static void wait_add_rest(struct console *c, const bool *meant, size_t n,
			  struct str *out)
{
	json_t *jobs = wait_ask_jobs(c);

	for (size_t i = 0; i < n; i++) {
		const json_t *entry = args_entry(jobs, "device",
						 c->watch.jobs[i].id);
		char done[16], total[16];

		if (!meant[i] || !entry)
			continue;
		str_addf(out, "%s job '%s' (%s) is %s, %s of %s%s", out->len ?
			 "," : ":", c->watch.jobs[i].id,
			 field_str(entry, "type"), field_str(entry, "status"),
			 size_short(wait_number(entry, "done", "offset"),
				    done, sizeof(done)),
			 size_short(wait_number(entry, "total", "len"),
				    total, sizeof(total)),
			 wait_of_what(entry));
	}
	json_decref(jobs);
}

static void wait_timed_out(struct console *c, const bool *meant, size_t n)
{
	struct str rest = STR_INIT;

	wait_add_rest(c, meant, n, &rest);
	console_printf(c, "Error: timed out%s\n", str_get(&rest));
	str_release(&rest);
}

static int wait_ended(struct console *c, bool well)
{
	if (well)
		progress_done(c->progress);
	return well ? 0 : -1;
}

static int wait_for(struct console *c, const struct waiting *w, bool *meant,
		    size_t n)
{
	uint64_t heard = clock_ns();
	enum outcome outcome;

	for (;;) {
		/* Jobs have got other names, and these are known no more. */
		if (n > c->watch.n) {
			console_printf(c, "Error: the places have changed\n");
			return -1;
		}
		outcome = judge_all(c, w, meant, n);
		if (outcome != WAITING)
			return wait_ended(c, outcome == WELL);
		if (console_interrupted(c) || c->quit) {
			console_printf(c, "Error: interrupted\n");
			return -1;
		}
		if (clock_ns() >= w->deadline) {
			wait_timed_out(c, meant, n);
			return -1;
		}
		wait_show(c, meant, n);
		if (!is_lost(c, meant, n))
			heard = clock_ns();
		if (w->deadline == UINT64_MAX &&
		    clock_ns() - heard >= LOST_NS) {
			console_printf(c, "Error: the connection is lost, and "
				       "what became of the job is not "
				       "known\n");
			return -1;
		}
		await_news(c, w->deadline);
	}
}

static int run_wait(struct console *c, const struct waiting *w)
{
	size_t n = c->watch.n, found = 0;
	bool *meant = mem_alloc(n + 1);
	int rc;

	for (size_t i = 0; i < n; i++) {
		const struct watch_job *job = &c->watch.jobs[i];

		meant[i] = is_meant(c, w, job) &&
			(w->id || !job->gone || !watch_is_over(job));
		found += meant[i];
	}
	if (w->id && !found) {
		console_printf(c, "Error: Block job '%s' not found\n", w->id);
		hint_jobs(c);
		rc = -1;
	} else {
		rc = wait_for(c, w, meant, n);
		progress_end(c->progress);
	}
	free(meant);
	return rc;
}

static bool parse_seconds(const char *word, uint64_t *deadline)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(word, &end);
	if (errno || *end || end == word || !(seconds >= 0) || seconds > 1e9)
		return false;
	*deadline = clock_ns() + (uint64_t)(seconds * (double)NS_PER_SEC);
	return true;
}

static bool parse_state(const char *word, bool *ready)
{
	*ready = !strcmp(word, "ready");
	return *ready || !strcmp(word, "done");
}

/* Each of the three words may be missing. Job ids start with a letter; one
 * that is called "ready" is named by writing the state behind it. */
int hmp_wait(struct console *c, json_t *args)
{
	struct waiting w = { .deadline = UINT64_MAX };
	const char *words[] = {
		field_str(args, "job"), field_str(args, "state"),
		field_str(args, "timeout"),
	};
	bool state = false, time = false;

	console_look(c);
	for (size_t i = 0; i < 3 && *words[i]; i++) {
		if (i == 0 && knows_job(c, words[0]))
			w.id = words[0];
		else if (!state && !time && parse_state(words[i], &w.ready))
			state = true;
		else if (!time && parse_seconds(words[i], &w.deadline))
			time = true;
		else if (i == 0)
			w.id = words[0];
		else {
			console_printf(c, "wait: '%s' is neither ready, done "
				       "nor a number of seconds\n", words[i]);
			return -1;
		}
	}
	return run_wait(c, &w);
}

/* --- the end of a script --- */

/* What nobody completes is ended so that the device stays as it is. False if
 * the job would not hear of it: one that was ready may have been paused, and
 * not have said so yet. */
static bool end_stuck(struct console *c, const struct watch_job *job)
{
	bool ready = job->state == WATCH_READY, refused;
	char *id = mem_dup(job->id), *text;
	json_t *reply = console_call(c, "block-job-cancel",
				     json_pack("{s:s, s:b}", "device", id,
					       "force", (int)!ready));

	refused = json_object_get(reply, "error");
	json_decref(reply);
	if (refused) {
		free(id);
		return false;
	}
	text = mem_printf("job '%s' was %s and nobody went on with it: "
			  "cancelled", id, ready ? "ready" :
			  "standing still");
	console_print(c, CONSOLE_FAILURE, text);
	free(text);
	free(id);
	return true;
}

/* Stays with the job of that number to its end. Was it stuck? */
static bool see_end(struct console *c, size_t i)
{
	uint64_t heard = clock_ns();
	bool stuck = false;

	while (!watch_is_finished(&c->watch.jobs[i]) && !c->quit &&
	       !console_interrupted(c)) {
		uint64_t until = UINT64_MAX;

		if (!stuck && watch_is_stuck(&c->watch.jobs[i])) {
			stuck = end_stuck(c, &c->watch.jobs[i]);
			until = clock_ns() + AGAIN_NS;
		}
		await_news(c, until);
		if (i >= c->watch.n)
			break;
		if (!c->stale && !c->watch.jobs[i].lost)
			heard = clock_ns();
		if (clock_ns() - heard < LOST_NS)
			continue;
		console_print(c, CONSOLE_FAILURE, "the connection is lost, "
			      "and what became of a job is not known");
		return true;
	}
	return stuck;
}

int wait_end(struct console *c)
{
	unsigned failed = c->watch.failed;
	bool stuck = false;

	console_look(c);
	for (size_t i = 0; i < c->watch.n; i++)
		if (!c->watch.jobs[i].foreign)
			stuck |= see_end(c, i);
	return stuck || c->watch.failed != failed ? -1 : 0;
}
