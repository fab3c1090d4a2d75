/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever shows places says which of them are seen. Of the others what they
 * said last is good enough for a while, unless something has happened there;
 * those where jobs run are asked for these all the time, for jobs are shown
 * wherever they are.
 */
#include <string.h>

#include "engine/util/clock.h"
#include "src/attach/places_impl.h"
#include "src/qmp/json/args.h"

#define ATTEND_NS (30 * NS_PER_SEC)

json_t *hub_attend(struct hub *h, const json_t *args, struct err *err)
{
	const json_t *names = json_object_get(args, "places");

	if (!json_is_array(names) || !args_are_strings(names)) {
		err_set(err, ERR_GENERIC, "Parameter 'places' is no array of "
			"names");
		return NULL;
	}
	for (size_t i = 0; i < h->n; i++)
		h->members[i].unseen = !args_lists(names, h->members[i].name);
	return json_object();
}

static bool attend_is_of_jobs(const char *command)
{
	return !strcmp(command, "x-blkmon-query-jobs") ||
		!strcmp(command, "query-block-jobs") ||
		!strcmp(command, "query-jobs");
}

bool hub_is_known(const struct member *m, const char *command)
{
	const json_t *last = json_object_get(m->last, command);
	const json_t *when = json_object_get(m->when, command);

	return m->unseen && last && when &&
		clock_ns() < (uint64_t)json_integer_value(when) + ATTEND_NS &&
		!(attend_is_of_jobs(command) && json_array_size(last));
}

void hub_note_known(struct member *m, const char *command)
{
	if (!m->when)
		m->when = json_object();
	json_object_set_new(m->when, command,
			    json_integer((json_int_t)clock_ns()));
}

void hub_forget_known(struct member *m)
{
	json_object_clear(m->when);
}
