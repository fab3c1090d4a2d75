/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/after/entry.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "src/qmp/job_end_json.h"
#include "src/qmp/json/text.h"

const char *entry_result(const struct event *ev)
{
	if (ev->type == EVENT_JOB_CANCELLED)
		return "cancelled";
	if (ev->text[0])
		return "failed";
	return ev->end && ev->end->pivoted ? "pivoted" : "done";
}

/* "2026-10-25T21:52:03.125Z" */
static void entry_time(uint64_t wall_us, char *buf, size_t size)
{
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, size - len, ".%03uZ",
		 (unsigned)(wall_us / 1000 % 1000));
}

json_t *entry_new(const struct event *ev)
{
	json_t *entry, *end;
	char when[40];

	entry_time(ev->wall_us, when, sizeof(when));
	entry = json_pack("{s:s, s:s, s:s, s:s, s:I}", "when", when, "job",
			  ev->id, "kind", ev->kind, "result",
			  entry_result(ev), "pid", (json_int_t)getpid());
	if (entry && ev->text[0])
		json_object_set_new(entry, "error", qmp_text(ev->text));
	end = entry && ev->end ? job_end_json(ev->end) : NULL;
	if (end)
		json_object_update(entry, end);
	json_decref(end);
	return entry;
}
