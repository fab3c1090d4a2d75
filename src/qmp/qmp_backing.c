/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Settings of single images.
 */
#include "src/qmp/command.h"

static json_t *qmp_backing_change_backing(struct qmp_context *ctx, json_t *args,
					  struct err *err)
{
	return qmp_done(engine_change_backing_file(ctx->engine,
			args_str(args, "device"),
			args_str(args, "image-node-name"),
			args_str(args, "backing-file"),
			args_bool(args, "x-blkmon-force", false), err));
}

static json_t *set_threshold(struct qmp_context *ctx, json_t *args,
			     struct err *err)
{
	int64_t threshold = args_int(args, "write-threshold", 0);

	if (threshold < 0) {
		err_set(err, ERR_INVALID_PARAMETER, "Parameter "
			"'write-threshold' expects a non-negative value");
		return NULL;
	}
	return qmp_done(engine_set_write_threshold(ctx->engine,
			args_str(args, "node-name"), (uint64_t)threshold,
			err));
}

const struct qmp_command qmp_backing_commands[] = {
	{ "change-backing-file",
	  "device:s,image-node-name:s,backing-file:s,"
	  "*x-blkmon-force:b",
	  qmp_backing_change_backing, false },
	{ "block-set-write-threshold", "node-name:s,write-threshold:i",
	  set_threshold, false },
	{ .name = NULL }
};
