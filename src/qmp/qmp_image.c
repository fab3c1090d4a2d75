/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Internal snapshots, HMP's commit, resize, checks.
 */
#include "src/qmp/command.h"
#include "src/qmp/nodes.h"
#include "src/qmp/options.h"

static json_t *snapshot_internal(struct qmp_context *ctx, json_t *args,
				 struct err *err)
{
	return qmp_done(engine_snapshot_internal(ctx->engine,
			args_str(args, "device"), args_str(args, "name"),
			err));
}

static json_t *qmp_image_snapshot_delete(struct qmp_context *ctx, json_t *args,
					 struct err *err)
{
	struct snapshot_info info;
	json_t *value;

	if (engine_snapshot_delete(ctx->engine, args_str(args, "device"),
				   args_str(args, "id"),
				   args_str(args, "name"), &info, err))
		return NULL;
	value = nodes_snapshot(&info);
	snapshot_info_release(&info);
	return value;
}

void options_resize(const json_t *args, struct resize_options *o)
{
	const char *device = args_str(args, "device");
	const char *node = args_str(args, "node-name");

	o->device = device ? device : node ? node : "";
	o->size = (uint64_t)args_int(args, "size", 0);
	o->force = args_bool(args, "x-blkmon-force", false);
}

int options_resize_error(int rc, const json_t *args, struct err *err)
{
	const char *device = args_str(args, "device");
	const char *node = args_str(args, "node-name");

	if (rc && err->class == ERR_DEVICE_NOT_FOUND)
		err_set(err, ERR_DEVICE_NOT_FOUND, "Cannot find device='%s' "
			"nor node-name='%s'", device ? device : "",
			node ? node : "");
	return rc;
}

static json_t *qmp_image_resize(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	struct resize_options o;

	options_resize(args, &o);
	return qmp_done(options_resize_error(engine_resize(ctx->engine,
			o.device, o.size, o.force, err), args, err));
}

static bool commit_is_wanted(uint64_t done, uint64_t total, void *arg)
{
	const struct qmp_context *ctx = arg;

	if (ctx->progress)
		ctx->progress(ctx->progress_arg, done, total);
	return !ctx->interrupt || !ctx->interrupt->signal;
}

static json_t *x_commit(struct qmp_context *ctx, json_t *args,
			struct err *err)
{
	struct sync_options o = {
		.device = args_str(args, "device"),
		.base = args_str(args, "base"),
		.speed = args_int(args, "speed", 0),
		.force = args_bool(args, "x-blkmon-force", false),
		.aside = !args_bool(args, "wait", true),
		.progress = commit_is_wanted, .arg = ctx,
	};

	return qmp_done(engine_commit_sync(ctx->engine, &o, err));
}

/* ImageCheck of 7.2, without what belongs to a file. */
static json_t *x_check(struct qmp_context *ctx, json_t *args, struct err *err)
{
	const char *name = args_str(args, "node-name");
	struct check_report r;

	if (engine_check_node(ctx->engine, name, &r, err))
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "node-name", name,
			 "check-errors", (json_int_t)r.check_errors,
			 "corruptions", (json_int_t)r.corruptions,
			 "leaks", (json_int_t)r.leaks,
			 "image-end-offset", (json_int_t)r.image_end,
			 "total-clusters", (json_int_t)r.total_clusters,
			 "allocated-clusters",
			 (json_int_t)r.allocated_clusters,
			 "fragmented-clusters",
			 (json_int_t)r.fragmented_clusters,
			 "compressed-clusters",
			 (json_int_t)r.compressed_clusters);
}

const struct qmp_command qmp_image_commands[] = {
	{ "blockdev-snapshot-internal-sync", "device:s,name:s",
	  snapshot_internal, false },
	{ "blockdev-snapshot-delete-internal-sync", "device:s,*id:s,*name:s",
	  qmp_image_snapshot_delete, false },
	{ "block_resize", "*device:s,*node-name:s,size:i,*x-blkmon-force:b",
	  qmp_image_resize, true },
	{ "x-blkmon-commit", "device:s,*base:s,*speed:i,*x-blkmon-force:b,"
	  "*wait:b",
	  x_commit, false },
	{ "x-blkmon-check", "node-name:s", x_check, false },
	{ .name = NULL }
};
