/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/view/picture.h"

#include <string.h>

#include "engine/util/list.h"
#include "src/console/fields.h"

static json_t *picture_jobs(const struct view_jobs *jobs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < jobs->n; i++)
		if (jobs->list[i].end == JOB_LIVES)
			json_array_append_new(list, json_pack("{s:s}", "id",
					      jobs->list[i].id));
	return list;
}

static json_t *picture_execute(struct channel *c, json_t *request)
{
	const struct picture *p = container_of(c, struct picture, channel);
	const struct shape *shape = *p->shape;
	const char *name = field_str(request, "execute");
	json_t *value = NULL;

	if (!strcmp(name, "query-jobs"))
		value = picture_jobs(p->jobs);
	else if (shape && !strcmp(name, "query-block"))
		value = json_incref(shape->blocks);
	else if (shape && !strcmp(name, "query-named-block-nodes"))
		value = json_incref(shape->nodes);
	json_decref(request);
	if (value)
		return json_pack("{s:o}", "return", value);
	return json_pack("{s:{s:s, s:s}}", "error", "class",
			 "CommandNotFound", "desc", "not in the picture");
}

static json_t *picture_next_event(struct channel *c, uint64_t deadline)
{
	(void)c;
	(void)deadline;
	return NULL;
}

static int picture_event_fd(struct channel *c)
{
	(void)c;
	return -1;
}

static const struct channel_ops picture_ops = {
	.execute = picture_execute,
	.next_event = picture_next_event,
	.event_fd = picture_event_fd,
};

void picture_init(struct picture *p, const struct view_jobs *jobs,
		  struct shape *const *shape)
{
	*p = (struct picture) { { .ops = &picture_ops }, jobs, shape };
}
