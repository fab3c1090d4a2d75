/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job that has to catch up with its guest: whether it does shows in what is
 * left over some seconds, and not in how fast it is.
 */
#include <string.h>

#include "engine/util/clock.h"
#include "src/console/fields.h"
#include "src/qmp/json/args.h"
#include "ui/view/view.h"

#define RACE_WINDOW (12 * NS_PER_SEC)
#define RACE_SHORTEST (2 * NS_PER_SEC)
#define RACE_JUDGED (5 * NS_PER_SEC)

static void race_take(struct view_job *job, uint64_t written, uint64_t ns)
{
	unsigned n = job->race_count;

	if (n && (written < job->race[n - 1].written ||
		  ns <= job->race[n - 1].ns))
		n = 0;
	while (n && (n == RACE_SAMPLES ||
		     (n > 1 && ns - job->race[1].ns >= RACE_WINDOW)))
		memmove(job->race, job->race + 1, --n * sizeof(*job->race));
	job->race[n].ns = ns;
	job->race[n].written = written;
	job->race[n].left = job->len - job->done;
	job->race_count = n + 1;
}

void view_jobs_race(struct view_jobs *jobs, const json_t *stats, uint64_t ns)
{
	for (size_t i = 0; i < jobs->n; i++) {
		struct view_job *job = &jobs->list[i];
		const json_t *of = job->races && view_job_moves(job) ?
			json_object_get(args_entry(stats, "device", job->drive),
					"stats") : NULL;

		if (of)
			race_take(job, field_u64(of, "wr_bytes"), ns);
		else
			job->race_count = 0;
	}
}

bool view_job_race(const struct view_job *job, struct view_race *out)
{
	const unsigned n = job->race_count;
	uint64_t ns = n ? job->race[n - 1].ns - job->race[0].ns : 0;
	double seconds = (double)ns / NS_PER_SEC;
	uint64_t was, written;

	if (ns < RACE_SHORTEST || !view_job_moves(job))
		return false;
	was = job->race[0].left;
	written = job->race[n - 1].written - job->race[0].written;
	*out = (struct view_race) {
		.guest = (uint64_t)((double)written / seconds),
		.left = job->race[n - 1].left,
	};
	out->trend = (int64_t)(((double)out->left - (double)was) / seconds);
	out->endless = !job->ready && ns >= RACE_JUDGED && out->left &&
		out->guest && out->left >= was;
	return true;
}
