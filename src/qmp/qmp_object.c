/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QEMU's objects. Only iothread is harmless to leave out: it says which
 * threads work. Secrets, TLS and limits must not be left out silently.
 */
#include <inttypes.h>
#include <string.h>

#include "src/qmp/command.h"

static int check_numbers(const json_t *args, struct err *err)
{
	static const char *const names[] = {
		"poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch",
		"thread-pool-min", "thread-pool-max",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (args_int(args, names[i], 0) < 0)
			return err_set(err, ERR_GENERIC, "%s value must be in "
				       "range [0, %" PRId64 "]", names[i],
				       INT64_MAX);
	return 0;
}

static json_t *object_add(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	const char *type = args_str(args, "qom-type");

	if (strcmp(type, "iothread")) {
		err_set(err, ERR_GENERIC, "objects of type '%s' are not known "
			"here", type);
		return NULL;
	}
	if (check_numbers(args, err))
		return NULL;
	return qmp_done(iothreads_add(ctx->machine->iothreads,
				      args_str(args, "id"), err));
}

static json_t *object_del(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	return qmp_done(iothreads_del(ctx->machine->iothreads,
				      args_str(args, "id"), err));
}

const struct qmp_command qmp_object_commands[] = {
	{ "object-add", "qom-type:s,id:s,*poll-max-ns:i,*poll-grow:i,"
	  "*poll-shrink:i,*aio-max-batch:i,*thread-pool-min:i,"
	  "*thread-pool-max:i", object_add, false },
	{ "object-del", "id:s", object_del, false },
	{ .name = NULL }
};
