/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is done to all; snapshots are one transaction, so that they are of one
 * moment.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "src/qmp/json/text.h"
#include "ui/screen/compose.h"

/* Those that it makes sense for: to be paused, or to go on. */
static void draft_jobs(const struct sheet *s, bool pause, struct draft *d)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->jobs.n; i++) {
		const struct view_job *job = &s->jobs.list[i];

		n += job->end == JOB_LIVES && job->paused != pause;
	}
	if (n)
		str_add(&d->line, pause ? "block_job_pause all" :
			"block_job_resume all");
	if (!n)
		str_addf(&d->note, "no job %s", pause ? "runs" :
			 "stands still");
	else
		str_addf(&d->note, "lets %u job%s %s", n, n == 1 ? "" : "s",
			 pause ? "stand still" : "go on");
}

static json_t *snapshot_action(const struct view_image *v)
{
	return json_pack("{s:s, s:{s:s, s:s}}", "type",
			 "blockdev-snapshot-sync", "data", "device", v->drive,
			 "snapshot-file", v->next);
}

static void draft_snapshots(const struct sheet *s, struct draft *d)
{
	json_t *actions = json_array(), *request;
	const char *odd = NULL;
	char *text;

	for (size_t i = 0; s->shape && i < s->shape->n; i++) {
		const struct view_image *v = &s->shape->images[i];

		/* A name of bytes that are no text has no place in JSON. */
		if (v->drive &&
		    json_array_append_new(actions, snapshot_action(v)))
			odd = v->name;
	}
	if (odd || !json_array_size(actions)) {
		str_add(&d->note, odd ? "a name that is no text: " :
			"there is no drive");
		str_add(&d->note, odd ? odd : "");
		json_decref(actions);
		return;
	}
	if (json_array_size(actions) > 1)
		str_addf(&d->note, "a snapshot of all %zu drives at one "
			 "moment, or of none", json_array_size(actions));
	else
		str_add(&d->note, "a snapshot of the only drive");
	request = json_pack("{s:s, s:{s:o}}", "execute", "transaction",
			    "arguments", "actions", actions);
	text = qmp_dump_text(request, 0);
	str_add(&d->line, text);
	free(text);
	json_decref(request);
}

bool compose_all(const struct sheet *s, enum action action, struct draft *d)
{
	if (action == ACTION_SNAPSHOT_ALL)
		draft_snapshots(s, d);
	else if (action == ACTION_PAUSE_ALL || action == ACTION_RESUME_ALL)
		draft_jobs(s, action == ACTION_PAUSE_ALL, d);
	else
		return false;
	return true;
}
