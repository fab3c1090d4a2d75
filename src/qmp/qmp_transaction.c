/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Snapshots, one or several at one point in time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/options.h"

#define SYNC_ARGS "*device:s,*node-name:s,snapshot-file:s," \
	"*snapshot-node-name:s,*format:s,*mode:e=absolute-paths|existing," \
	"*x-blkmon-force:b"
#define OVERLAY_ARGS "node:s,overlay:s,*x-blkmon-force:b"
#define INTERNAL_ARGS "device:s,name:s"
#define ACTIONS_MAX 1024

void options_snapshot(const json_t *args, struct snapshot_options *o)
{
	const char *mode = args_str(args, "mode");

	*o = (struct snapshot_options){ 0 };
	o->device = args_str(args, "device");
	o->node_name = args_str(args, "node-name");
	o->file = args_str(args, "snapshot-file");
	o->format = args_str(args, "format");
	o->snapshot_node_name = args_str(args, "snapshot-node-name");
	o->existing = mode && !strcmp(mode, "existing");
	o->force = args_bool(args, "x-blkmon-force", false);
}

void options_overlay(const json_t *args, struct snapshot_options *o)
{
	*o = (struct snapshot_options){ 0 };
	o->device = o->node_name = args_str(args, "node");
	o->overlay = args_str(args, "overlay");
	o->force = args_bool(args, "x-blkmon-force", false);
}

void options_internal(const json_t *args, struct snapshot_options *o)
{
	*o = (struct snapshot_options){ 0 };
	o->device = args_str(args, "device");
	o->internal = args_str(args, "name");
}

static void abort_options(const json_t *args, struct snapshot_options *o)
{
	(void)args;
	o->abort = true;
}

static const struct action {
	const char *type, *args;
	void (*options)(const json_t *args, struct snapshot_options *o);
} actions[] = {
	{ "blockdev-snapshot-sync", SYNC_ARGS, options_snapshot },
	{ "blockdev-snapshot", OVERLAY_ARGS, options_overlay },
	{ "blockdev-snapshot-internal-sync", INTERNAL_ARGS, options_internal },
	{ "abort", "", abort_options },
};

#define ACTIONS (sizeof(actions) / sizeof(*actions))

static json_t *qmp_transaction_run(struct qmp_context *ctx,
				   const struct snapshot_options *o, size_t n,
				   struct err *err)
{
	char **formatting = mem_try(n + 1, sizeof(*formatting));
	int rc = formatting ? engine_snapshots(ctx->engine, o, n, formatting,
					       err) :
		 err_sys(err, ENOMEM, "No snapshot");

	for (size_t i = 0; formatting && i < n; i++) {
		if (formatting[i])
			qmp_notice(ctx, formatting[i]);
		free(formatting[i]);
	}
	free(formatting);
	return qmp_done(rc);
}

static json_t *snapshot_sync(struct qmp_context *ctx, json_t *args,
			     struct err *err)
{
	struct snapshot_options o;

	options_snapshot(args, &o);
	return qmp_transaction_run(ctx, &o, 1, err);
}

static json_t *qmp_transaction_snapshot(struct qmp_context *ctx, json_t *args,
					struct err *err)
{
	struct snapshot_options o;

	options_overlay(args, &o);
	return qmp_transaction_run(ctx, &o, 1, err);
}

/* --- transaction --- */

static const struct action *find_action(const char *type)
{
	for (size_t i = 0; i < ACTIONS; i++)
		if (!strcmp(actions[i].type, type))
			return &actions[i];
	return NULL;
}

static int parse_action(json_t *entry, size_t i, struct snapshot_options *o,
			struct err *err)
{
	const struct action *action;
	char prefix[48];

	snprintf(prefix, sizeof(prefix), "actions[%zu].", i);
	if (!json_is_object(entry))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'actions[%zu]', expected: object", i);
	if (args_check("type:s,data:o", entry, prefix, err))
		return -1;
	action = find_action(args_str(entry, "type"));
	if (!action)
		return err_set(err, ERR_GENERIC, "Parameter 'type' does not "
			       "accept value '%s'", args_str(entry, "type"));
	snprintf(prefix, sizeof(prefix), "actions[%zu].data.", i);
	if (args_check(action->args, json_object_get(entry, "data"), prefix,
		       err))
		return -1;
	action->options(json_object_get(entry, "data"), o);
	return 0;
}

static int check_properties(const json_t *args, const json_t *list,
			    struct err *err)
{
	json_t *properties = json_object_get(args, "properties");
	const char *mode;

	if (!properties)
		return 0;
	if (args_check("*completion-mode:e=individual|grouped", properties,
		       "properties.", err))
		return -1;
	mode = args_str(properties, "completion-mode");
	if (!mode || strcmp(mode, "grouped") || !json_array_size(list))
		return 0;
	return err_set(err, ERR_GENERIC, "Action '%s' does not support "
		       "Transaction property completion-mode = grouped",
		       args_str(json_array_get(list, 0), "type"));
}

int options_transaction(const json_t *args, struct snapshot_options **o,
			size_t *n, struct err *err)
{
	json_t *list = json_object_get(args, "actions"), *entry;
	int rc = 0;
	size_t i;

	*n = json_array_size(list);
	if (*n > ACTIONS_MAX)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameter "
			       "'actions' expects at most %d elements",
			       ACTIONS_MAX);
	*o = mem_try(*n + 1, sizeof(**o));
	if (!*o)
		return err_sys(err, ENOMEM, "No transaction");
	json_array_foreach(list, i, entry)
		if (!rc)
			rc = parse_action(entry, i, &(*o)[i], err);
	if (!rc)
		rc = check_properties(args, list, err);
	if (rc)
		free(*o);
	return rc;
}

static json_t *transaction(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	struct snapshot_options *o;
	json_t *value;
	size_t n;

	if (options_transaction(args, &o, &n, err))
		return NULL;
	value = qmp_transaction_run(ctx, o, n, err);
	free(o);
	return value;
}

const struct qmp_command qmp_transaction_commands[] = {
	{ "blockdev-snapshot-sync", SYNC_ARGS, snapshot_sync, false },
	{ "blockdev-snapshot", OVERLAY_ARGS, qmp_transaction_snapshot, false },
	{ "transaction", "actions:a,*properties:o", transaction, false },
	{ .name = NULL }
};
