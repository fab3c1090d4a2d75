/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * x-blkmon-plan: what a request would do, without doing it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files.h"
#include "engine/forecast/forecast.h"
#include "engine/tools.h"
#include "engine/undo.h"
#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/json/text.h"
#include "src/qmp/options.h"

/* --- which requests --- */

static int plan_of_stream(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct stream_options o;

	options_stream(args, &o);
	return engine_plan_stream(e, &o, f, err);
}

static int plan_of_commit(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct commit_options o;

	options_commit(args, false, &o);
	return engine_plan_commit(e, &o, f, err);
}

static int plan_of_redhat(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct commit_options o;

	options_commit(args, true, &o);
	return engine_plan_commit(e, &o, f, err);
}

static int plan_of_now(struct engine *e, const json_t *args,
		       struct forecast *f, struct err *err)
{
	const struct sync_options o = {
		.device = args_str(args, "device"),
		.base = args_str(args, "base"),
		.speed = args_int(args, "speed", 0),
		.force = args_bool(args, "x-blkmon-force", false),
	};

	return engine_plan_commit_sync(e, &o, f, err);
}

static int plan_of_snapshot(struct engine *e, const json_t *args,
			    struct forecast *f, struct err *err)
{
	struct snapshot_options o;

	options_snapshot(args, &o);
	return engine_plan_snapshots(e, &o, 1, f, err);
}

static int plan_of_overlay(struct engine *e, const json_t *args,
			   struct forecast *f, struct err *err)
{
	struct snapshot_options o;

	options_overlay(args, &o);
	return engine_plan_snapshots(e, &o, 1, f, err);
}

static int plan_of_inside(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct snapshot_options o;

	options_internal(args, &o);
	return engine_plan_snapshots(e, &o, 1, f, err);
}

static int plan_of_complete(struct engine *e, const json_t *args,
			    struct forecast *f, struct err *err)
{
	return options_job_error(engine_plan_complete(e, options_job(args), f,
						      err), args, err);
}

static int plan_of_cancel(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	bool force = args_bool(args, "force", args_str(args, "id"));

	return options_job_error(engine_plan_cancel(e, options_job(args),
						    force, f, err), args, err);
}

static int plan_of_resize(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct resize_options o;

	options_resize(args, &o);
	return options_resize_error(engine_plan_resize(e, o.device, o.size,
						       o.force, f, err),
				    args, err);
}

static int plan_of_delete(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct delete_options o;
	int rc = options_delete(args, &o, err);

	if (!rc)
		rc = engine_plan_delete(e, &o, f, err) ?
			options_delete_error(e, &o, err) : 0;
	free((void *)o.files);
	return rc;
}

static int plan_of_undo(struct engine *e, const json_t *args,
			struct forecast *f, struct err *err)
{
	return engine_plan_undo(e, args_str(args, "id"),
				args_bool(args, "x-blkmon-force", false), f,
				err);
}

static int plan_of_rebase(struct engine *e, const json_t *args,
			  struct forecast *f, struct err *err)
{
	struct rebase_job_options o;
	int rc = options_rebase(args, &o, err);

	if (!rc) {
		rc = engine_plan_rebase(e, &o, f, err);
		free((void *)o.data_files);
	}
	return rc;
}

static const struct planned {
	const char *name;
	enum qmp_plans plans;
	/* NULL: it is a transaction. */
	int (*plan)(struct engine *e, const json_t *args, struct forecast *f,
		    struct err *err);
} planned[] = {
	{ "block-stream", QMP_PLAN_THERE, plan_of_stream },
	{ "block-commit", QMP_PLAN_ASKED, plan_of_commit },
	{ "__com.redhat_block-commit", QMP_PLAN_ASKED, plan_of_redhat },
	{ "x-blkmon-commit", QMP_PLAN_ASKED, plan_of_now },
	{ "blockdev-snapshot-sync", QMP_PLAN_THERE, plan_of_snapshot },
	{ "blockdev-snapshot", QMP_PLAN_THERE, plan_of_overlay },
	{ "blockdev-snapshot-internal-sync", QMP_PLAN_THERE, plan_of_inside },
	{ "transaction", QMP_PLAN_THERE, NULL },
	{ "block-job-complete", QMP_PLAN_THERE, plan_of_complete },
	{ "job-complete", QMP_PLAN_THERE, plan_of_complete },
	{ "block-job-cancel", QMP_PLAN_ASKED, plan_of_cancel },
	{ "job-cancel", QMP_PLAN_ASKED, plan_of_cancel },
	{ "block_resize", QMP_PLAN_THERE, plan_of_resize },
	{ "x-blkmon-delete", QMP_PLAN_ASKED, plan_of_delete },
	{ "x-blkmon-undo", QMP_PLAN_ASKED, plan_of_undo },
	{ "x-blkmon-rebase", QMP_PLAN_THERE, plan_of_rebase },
};

#define PLANNED (sizeof(planned) / sizeof(*planned))

static const struct planned *plan_find(const char *name)
{
	for (size_t i = 0; i < PLANNED; i++)
		if (qmp_same_name(name, planned[i].name))
			return &planned[i];
	return NULL;
}

enum qmp_plans qmp_plans(const char *name)
{
	const struct planned *p = plan_find(name);

	return p ? p->plans : QMP_PLAN_NONE;
}

/* --- the answer --- */

static json_t *plan_number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *plan_file_entry(const struct forecast_file *file)
{
	json_t *entry = json_pack("{s:o, s:o}", "filename",
				  qmp_text(file->path), "bytes",
				  plan_number(file->bytes));

	if (file->node[0])
		json_object_set_new(entry, "node-name",
				    json_string(file->node));
	if (file->role)
		json_object_set_new(entry, "role", json_string(file->role));
	return entry;
}

static json_t *plan_files(const struct forecast_files *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, plan_file_entry(&list->file[i]));
	return array;
}

static json_t *plan_paths(const struct forecast_files *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, qmp_text(list->file[i].path));
	return array;
}

static json_t *plan_names(const struct forecast_names *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, qmp_text(list->name[i]));
	return array;
}

static json_t *plan_bytes(const struct forecast *f)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}",
			 "copied", (json_int_t)f->bytes.copied,
			 "overwritten", (json_int_t)f->bytes.overwritten,
			 "cloned", (json_int_t)f->bytes.cloned,
			 "zeroed", (json_int_t)f->bytes.zeroed,
			 "there", (json_int_t)f->bytes.there,
			 "left", (json_int_t)f->left);
}

static json_t *plan_space(const struct forecast *f)
{
	bool known = f->space.has != UINT64_MAX;
	struct err ignored = ERR_INIT;

	if (!f->space.folder)
		return json_null();
	return json_pack("{s:o, s:I, s:o, s:I, s:b}",
			 "folder", qmp_text(f->space.folder),
			 "needs", (json_int_t)f->space.needs,
			 "free", known ? plan_number(f->space.has) :
					 json_null(),
			 "reserved", (json_int_t)f->space.reserved,
			 "fits", !forecast_check_space(f, &ignored));
}

/* What guests reach of the drives that it is about. */
static json_t *plan_exports(struct qmp_context *ctx, const struct forecast *f)
{
	json_t *array = json_array();
	struct export_info *info;
	size_t n;

	if (nbd_query_exports(ctx->machine->nbd, &info, &n))
		n = 0;
	for (size_t i = 0; i < n; i++) {
		const char *drive = info[i].names.drive;
		bool hit = *drive && !strcmp(drive, f->drive);

		for (size_t k = 0; k < f->drives.count && *drive; k++)
			hit |= !strcmp(drive, f->drives.name[k]);
		if (hit)
			json_array_append_new(array, qmp_text(info[i].id));
	}
	export_info_free(info, n);
	return array;
}

static uint64_t given_back(const struct forecast *f)
{
	uint64_t sum = f->freed;

	for (size_t i = 0; i < f->unused.count; i++)
		sum += f->unused.file[i].bytes;
	return sum;
}

static json_t *plan_reply(struct qmp_context *ctx, const struct forecast *f)
{
	json_t *answer = json_pack("{s:s, s:o, s:o, s:o}", "kind", f->kind,
				   "layers", plan_files(&f->layers),
				   "bytes", plan_bytes(f),
				   "space", plan_space(f));

	if (f->drive[0])
		json_object_set_new(answer, "device", qmp_text(f->drive));
	if (f->job[0])
		json_object_set_new(answer, "job-id", qmp_text(f->job));
	json_object_set_new(answer, "gives-back", plan_number(given_back(f)));
	json_object_set_new(answer, "unused", plan_files(&f->unused));
	json_object_set_new(answer, "seconds", f->rated ?
			    plan_number(f->seconds) : json_null());
	json_object_set_new(answer, "hits", json_pack(
		"{s:o, s:o, s:o, s:o, s:o}", "drives", plan_names(&f->drives),
		"siblings", plan_paths(&f->siblings),
		"snapshots", plan_files(&f->snapshots),
		"exports", plan_exports(ctx, f),
		"jobs", plan_names(&f->jobs)));
	json_object_set_new(answer, "chain", plan_files(&f->after));
	json_object_set_new(answer, "cancel", json_pack("{s:b, s:s}",
		"restores", (int)f->cancel_restores, "says", f->cancel));
	if (f->undo)
		json_object_set_new(answer, "undo", json_string(f->undo));
	return answer;
}

static json_t *plan_of_one(struct qmp_context *ctx, const struct planned *p,
			   const json_t *args, struct err *err)
{
	struct forecast f;
	json_t *answer;

	if (p->plan(ctx->engine, args, &f, err))
		return NULL;
	answer = plan_reply(ctx, &f);
	forecast_release(&f);
	return answer;
}

/* --- of a transaction --- */

/* What its actions concern, behind what @all does. */
static void plan_extend(json_t *all, const json_t *action)
{
	json_t *value = json_object_get(action, "layers"), *to;
	const char *key;

	json_array_extend(json_object_get(all, "layers"), value);
	to = json_object_get(all, "hits");
	json_object_foreach(json_object_get(action, "hits"), key, value)
		json_array_extend(json_object_get(to, key), value);
}

/* The sum of all, and each of them. Takes nothing. */
static json_t *plan_sum(struct qmp_context *ctx, const struct forecast *f,
			size_t n, struct err *err)
{
	struct forecast sum = {
		.kind = "transaction", .rated = true,
		.cancel = "it is done as a whole or not at all; afterwards "
			"each is taken back on its own",
	};
	json_t *all, *actions = json_array();

	if (forecast_join_space(&sum, f, n)) {
		err_sys(err, ENOMEM, "No plan");
		json_decref(actions);
		return NULL;
	}
	all = plan_reply(ctx, &sum);
	forecast_release(&sum);
	for (size_t i = 0; i < n; i++) {
		json_t *action = plan_reply(ctx, &f[i]);

		plan_extend(all, action);
		json_array_append_new(actions, action);
	}
	json_object_set_new(all, "actions", actions);
	return all;
}

static json_t *plan_of_all(struct qmp_context *ctx, const json_t *args,
			   struct err *err)
{
	struct snapshot_options *o;
	struct forecast *f;
	json_t *answer = NULL;
	size_t n;

	if (options_transaction(args, &o, &n, err))
		return NULL;
	f = mem_try(n + 1, sizeof(*f));
	if (!f)
		err_sys(err, ENOMEM, "No plan");
	if (f && !engine_plan_snapshots(ctx->engine, o, n, f, err)) {
		answer = plan_sum(ctx, f, n, err);
		for (size_t i = 0; i < n; i++)
			forecast_release(&f[i]);
	}
	free(f);
	free(o);
	return answer;
}

/* --- the command --- */

static json_t *x_plan(struct qmp_context *ctx, json_t *given, struct err *err)
{
	json_t *request = json_object_get(given, "request"), *args;
	const struct qmp_command *cmd = qmp_resolve(request, &args, err);
	const struct planned *p = cmd ? plan_find(cmd->name) : NULL;
	json_t *answer = NULL;

	if (!cmd)
		return NULL;
	if (p && p->plan)
		answer = plan_of_one(ctx, p, args, err);
	else if (p)
		answer = plan_of_all(ctx, args, err);
	else
		err_set(err, ERR_GENERIC, "There is no plan for '%s': it "
			"starts, completes and undoes nothing", cmd->name);
	if (!answer) {
		json_decref(args);
		return NULL;
	}
	json_object_set_new(answer, "hmp", plan_line(cmd->name, args));
	json_object_set_new(answer, "qmp", json_pack("{s:s, s:o}", "execute",
						     cmd->name, "arguments",
						     args));
	return answer;
}

const struct qmp_command qmp_plan_commands[] = {
	{ "x-blkmon-plan", "request:o", x_plan, false },
	{ .name = NULL }
};
