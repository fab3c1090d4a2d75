/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/job_end_json.h"

#include "src/qmp/json/text.h"

static json_t *job_end_paths(const struct job_files *files)
{
	json_t *list = json_array();

	for (size_t i = 0; i < files->n; i++)
		json_array_append_new(list, qmp_text(files->list[i].path));
	return list;
}

static json_t *job_end_unused(const struct job_files *files)
{
	json_t *list = json_array();

	for (size_t i = 0; i < files->n; i++)
		json_array_append_new(list, json_pack("{s:o, s:I}", "file",
			qmp_text(files->list[i].path), "bytes",
			(json_int_t)files->list[i].bytes));
	return list;
}

json_t *job_end_json(const struct job_end *end)
{
	uint64_t rate = job_end_rate(end);
	size_t more = end->from.lost + end->unused.lost;
	json_t *value = json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:b}",
				  "moved", (json_int_t)end->moved,
				  "freed", (json_int_t)end->freed,
				  "time-ns", (json_int_t)end->elapsed_ns,
				  "work-ns", (json_int_t)end->work_ns,
				  "from", job_end_paths(&end->from),
				  "unused", job_end_unused(&end->unused),
				  "pivoted", (int)end->pivoted);

	if (rate)
		json_object_set_new(value, "rate",
				    json_integer((json_int_t)rate));
	if (end->to)
		json_object_set_new(value, "to", qmp_text(end->to));
	if (more)
		json_object_set_new(value, "more",
				    json_integer((json_int_t)more));
	return value;
}
