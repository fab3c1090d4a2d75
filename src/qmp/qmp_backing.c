/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Settings of single images.
 */
#include "src/qmp/command.h"
#include "src/qmp/json/error.h"

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
	int rc = engine_set_write_threshold(ctx->engine,
			args_str(args, "node-name"),
			(uint64_t)args_int(args, "write-threshold", 0), err);

	/* To 7.2 a device that is not found is of no class of its own here. */
	if (rc && qmp_error_is_72())
		err->class = ERR_GENERIC;
	return qmp_done(rc);
}

const struct qmp_command qmp_backing_commands[] = {
	{ "change-backing-file",
	  "device:s,image-node-name:s,backing-file:s,"
	  "*x-blkmon-force:b",
	  qmp_backing_change_backing, false },
	{ "block-set-write-threshold", "node-name:s,write-threshold:u",
	  set_threshold, false },
	{ .name = NULL }
};
