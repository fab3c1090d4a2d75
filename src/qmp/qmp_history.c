/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What jobs have done, in this program and in others of its user.
 */
#include "src/history/job_history.h"
#include "src/qmp/command.h"

#define COUNT_MOST 100000

static json_t *x_query_history(struct qmp_context *ctx, json_t *args,
			       struct err *err)
{
	int64_t count = args_int(args, "count", COUNT_MOST);

	(void)ctx;
	if (count >= 0 && count <= COUNT_MOST)
		return job_history_read((size_t)count, err);
	err_set(err, ERR_INVALID_PARAMETER, "Parameter 'count' expects a "
		"number from 0 to %d", COUNT_MOST);
	return NULL;
}

const struct qmp_command qmp_history_commands[] = {
	{ "x-blkmon-query-history", "*count:i", x_query_history, false },
	{ .name = NULL }
};
