/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a request would do at an end that makes no plans itself, by what its
 * monitor tells: sizes of files, chains, jobs. What it does not tell is named
 * in the plan; how much is moved is an estimate.
 */
#include <stdlib.h>
#include <string.h>

#include "src/attach/far_plan.h"
#include "src/qmp/command.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/text.h"

/* It is about image number @i, and the chain is the same afterwards. */
static void far_plan_chain_stays(struct far_plan *p, size_t i)
{
	far_plan_add(p, "layers", p->chain[i], "top");
	p->first = p->base = 0;
	far_plan_find_after(p);
}

/* --- a job that is to be started --- */

static int far_plan_start(struct far_plan *p, bool stream, struct err *err)
{
	size_t target;

	if (far_plan_check_start(p, stream, err))
		return -1;
	p->first = p->top + stream;
	target = stream ? p->top : p->base;
	far_plan_kind_is(p, stream ? "stream" : p->top ? "commit" :
			 "active-commit");
	far_plan_job_is(p, p->job);
	far_plan_find_layers(p);
	far_plan_find_after(p);
	far_plan_find_unused(p);
	far_plan_find_snapshots(p, stream);
	far_plan_find_drives(p, far_arg(p->chain[target], "node-name"));
	far_plan_find_exports(p);
	far_plan_space_in(p, far_arg(p->chain[target], "file"),
			  json_integer((json_int_t)far_plan_estimate(p)));
	if (!stream)
		far_plan_unknown(p, "images that lie on these and are not "
				 "open there");
	far_plan_unknown(p, "how long it takes");
	far_plan_cancel_is(p, stream ?
		"what was copied stays in the top image; the disk shows the "
		"same" : "base keeps what was copied, unseen; the chain stays "
		"as it is");
	return 0;
}

static int far_plan_stream(struct far_plan *p, struct err *err)
{
	return far_plan_start(p, true, err);
}

static int far_plan_commit(struct far_plan *p, struct err *err)
{
	return far_plan_start(p, false, err);
}

/* The overlay stays, and is emptied. */
static int far_plan_now(struct far_plan *p, struct err *err)
{
	uint64_t needs;

	if (far_plan_check_now(p, err))
		return -1;
	p->top = p->first = 0;
	p->base = 1;
	far_plan_kind_is(p, "commit-now");
	far_plan_find_layers(p);
	far_plan_find_drives(p, far_arg(p->chain[1], "node-name"));
	far_plan_find_snapshots(p, false);
	far_plan_find_exports(p);
	needs = far_plan_estimate(p);
	far_plan_space_in(p, far_arg(p->chain[1], "file"),
			  json_integer((json_int_t)needs));
	p->base = 0;
	far_plan_find_after(p);
	far_plan_unknown(p, "images that lie on these and are not open "
			 "there");
	far_plan_unknown(p, "how long it takes");
	far_plan_cancel_is(p, "it cannot be stopped once it has begun");
	return 0;
}

/* --- snapshots --- */

static void far_plan_snapshot_chain(struct far_plan *p, json_t *overlay)
{
	json_t *plain = json_copy(overlay);

	json_object_del(plain, "role");
	json_array_append_new(far_plan_part(p, "layers"), overlay);
	far_plan_add(p, "layers", p->chain[0], "top");
	json_array_append_new(far_plan_part(p, "chain"), plain);
	p->first = p->base = 0;
	far_plan_find_after(p);
	far_plan_find_exports(p);
	far_plan_cancel_is(p, "a commit of the new image takes it back");
}

static int far_plan_snapshot(struct far_plan *p, struct err *err)
{
	const char *file = far_arg(p->args, "snapshot-file");

	if (far_plan_check_snapshot(p, err))
		return -1;
	far_plan_kind_is(p, "snapshot");
	far_plan_snapshot_chain(p, json_pack("{s:o, s:i, s:s}", "filename",
					     qmp_text(file), "bytes", 0, "role",
					 "overlay"));
	far_plan_space_in(p, file, json_null());
	if (strcmp(far_arg(p->args, "mode"), "existing"))
		far_plan_unknown(p, "whether that file is there: it would be "
				 "written over");
	return 0;
}

/* The overlay is open already. */
static int far_plan_overlay(struct far_plan *p, struct err *err)
{
	const json_t *node = far_plan_node(p, far_arg(p->args, "overlay"));

	if (far_plan_check_overlay(p, node, err))
		return -1;
	far_plan_kind_is(p, "snapshot");
	far_plan_snapshot_chain(p, far_plan_entry(node, "overlay"));
	return 0;
}

static int far_plan_inside(struct far_plan *p, struct err *err)
{
	if (far_plan_check_inside(p, err))
		return -1;
	far_plan_kind_is(p, "snapshot");
	far_plan_chain_stays(p, 0);
	far_plan_cancel_is(p, "snapshot_delete_blkdev_internal takes it back");
	return 0;
}

/* --- jobs that run --- */

/* The images of a job: p->chain, top and base, if all is known. */
static bool far_plan_job_images(struct far_plan *p, const char *id)
{
	const json_t *work = json_object_get(p->works, id);
	const char *top = far_arg(work, "top");

	p->drive = NULL;
	for (size_t i = 0; i < p->names.n && *top; i++)
		if (far_plan_chain_has(p, p->names.drives[i].node, top))
			p->drive = &p->names.drives[i];
	far_plan_take_chain(p, p->drive ? p->drive->node : top);
	p->top = far_plan_find(p, top);
	p->base = far_plan_find(p, far_arg(work, "base-node"));
	p->first = p->top;
	if (p->drive)
		json_object_set_new(p->out, "device",
				    qmp_text(p->drive->shown));
	return p->top < p->n && p->base < p->n;
}

static void far_plan_job_left(struct far_plan *p, const json_t *job)
{
	int64_t len = args_int(job, "len", 0), done = args_int(job, "offset",
							       0);

	json_object_set_new(far_plan_part(p, "bytes"), "left",
			    json_integer(len > done ? len - done : 0));
}

static int far_plan_complete(struct far_plan *p, struct err *err)
{
	const json_t *job = far_plan_check_verb(p, "complete", err);

	if (!job)
		return -1;
	far_plan_kind_is(p, "complete");
	far_plan_job_is(p, far_arg(job, "device"));
	far_plan_job_left(p, job);
	far_plan_cancel_is(p, "it can't be taken back: the guest goes on in "
			   "base");
	if (!far_plan_job_images(p, far_arg(job, "device"))) {
		far_plan_unknown(p, "its images");
		return 0;
	}
	far_plan_find_layers(p);
	far_plan_find_after(p);
	far_plan_find_unused(p);
	far_plan_find_drives(p, far_arg(p->chain[p->base], "node-name"));
	far_plan_find_exports(p);
	far_plan_unknown(p, "images that lie on these and are not open "
			 "there");
	return 0;
}

static int far_plan_cancel(struct far_plan *p, struct err *err)
{
	const json_t *job = far_plan_check_verb(p, "cancel", err);
	bool soft;

	if (!job)
		return -1;
	soft = json_is_true(json_object_get(job, "ready")) &&
		!far_plan_is_forced(p);
	far_plan_kind_is(p, "cancel");
	far_plan_job_is(p, far_arg(job, "device"));
	far_plan_job_left(p, job);
	far_plan_cancel_is(p, soft ?
		"both images end equal, and the drive stays on its own" :
		"what was copied stays where it is; the chain stays as it is");
	if (!far_plan_job_images(p, far_arg(job, "device")) && p->top >= p->n) {
		far_plan_unknown(p, "its images");
		return 0;
	}
	far_plan_chain_stays(p, p->top);
	return 0;
}

/* --- resize --- */

static int far_plan_resize(struct far_plan *p, struct err *err)
{
	if (far_plan_check_resize(p, err))
		return -1;
	far_plan_kind_is(p, "resize");
	far_plan_chain_stays(p, 0);
	far_plan_space_in(p, far_arg(p->chain[0], "file"), json_null());
	far_plan_cancel_is(p, "a disk can't be made smaller again");
	return 0;
}

/* --- all of them --- */

static const struct far_plan_row {
	const char *name;
	int (*plan)(struct far_plan *p, struct err *err);
} far_plan_rows[] = {
	{ "block-stream", far_plan_stream },
	{ "block-commit", far_plan_commit },
	{ "__com.redhat_block-commit", far_plan_commit },
	{ "x-blkmon-commit", far_plan_now },
	{ "blockdev-snapshot-sync", far_plan_snapshot },
	{ "blockdev-snapshot", far_plan_overlay },
	{ "blockdev-snapshot-internal-sync", far_plan_inside },
	{ "block-job-complete", far_plan_complete },
	{ "job-complete", far_plan_complete },
	{ "block-job-cancel", far_plan_cancel },
	{ "job-cancel", far_plan_cancel },
	{ "block_resize", far_plan_resize },
};

#define FAR_PLAN_ROWS (sizeof(far_plan_rows) / sizeof(*far_plan_rows))

static const struct far_plan_row *far_plan_row_of(const char *name)
{
	for (size_t i = 0; i < FAR_PLAN_ROWS; i++)
		if (!strcmp(far_plan_rows[i].name, name))
			return &far_plan_rows[i];
	return NULL;
}

static json_t *far_plan_new(void)
{
	return json_pack("{s:s, s:[], s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:n, "
			 "s:i, s:[], s:n, s:{s:[], s:[], s:[], s:[], s:[]}, "
			 "s:[], s:[]}", "kind", "", "layers", "bytes",
			 "copied", 0, "overwritten", 0, "cloned", 0, "zeroed",
			 0, "there", 0, "left", 0, "space", "gives-back", 0,
			 "unused", "seconds", "hits", "drives", "siblings",
			 "snapshots", "exports", "jobs", "chain", "unknown");
}

/* One request; @args is borrowed. */
static json_t *far_plan_of_one(struct far_plan *p,
			       const struct far_plan_row *row, json_t *args,
			       struct err *err)
{
	p->name = row->name;
	p->args = args;
	p->out = far_plan_new();
	far_plan_take_drive(p);
	if (p->drive)
		json_object_set_new(p->out, "device",
				    qmp_text(p->drive->shown));
	if (!row->plan(p, err))
		return p->out;
	json_decref(p->out);
	return NULL;
}

/* What its actions concern, behind what @all does. */
static void far_plan_extend(json_t *all, json_t *one)
{
	json_t *value, *to = json_object_get(all, "hits");
	const char *key;

	json_array_extend(json_object_get(all, "layers"),
			  json_object_get(one, "layers"));
	json_object_foreach(json_object_get(one, "hits"), key, value)
		json_array_extend(json_object_get(to, key), value);
	if (!json_array_size(json_object_get(all, "unknown")))
		json_object_set(all, "unknown", json_object_get(one,
								"unknown"));
	json_object_set(all, "space", json_object_get(one, "space"));
}

static json_t *far_plan_of_action(struct far_plan *p, const json_t *action,
				  struct err *err)
{
	const char *type = far_arg(action, "type");
	const struct far_plan_row *row = far_plan_row_of(type);

	if (row && !strncmp(type, "blockdev-snapshot", 17))
		return far_plan_of_one(p, row, json_object_get(action, "data"),
				       err);
	err_set(err, ERR_COMMAND_NOT_FOUND, "there is no plan for a "
		"transaction with '%s'", type);
	return NULL;
}

static json_t *far_plan_of_all(struct far_plan *p, json_t *args,
			       struct err *err)
{
	json_t *all = far_plan_new(), *actions = json_array(), *action, *one;
	size_t i;

	json_array_foreach(json_object_get(args, "actions"), i, action) {
		one = far_plan_of_action(p, action, err);
		if (!one) {
			json_decref(all);
			json_decref(actions);
			return NULL;
		}
		far_plan_extend(all, one);
		json_array_append_new(actions, one);
	}
	json_object_set_new(all, "kind", json_string("transaction"));
	json_object_set_new(all, "actions", actions);
	json_object_set_new(all, "cancel", json_pack("{s:b, s:s}", "restores",
		0, "says", "it is done as a whole or not at all; afterwards "
		"each is taken back on its own"));
	return all;
}

static json_t *far_plan_of(struct far_plan *p, const char *name, json_t *args,
			   struct err *err)
{
	const struct far_plan_row *row = far_plan_row_of(name);

	if (!strcmp(name, "transaction"))
		return far_plan_of_all(p, args, err);
	if (row)
		return far_plan_of_one(p, row, args, err);
	if (qmp_plans(name))
		return far_not_here(name + strlen("x-blkmon-"), err);
	err_set(err, ERR_GENERIC, "There is no plan for '%s': it starts, "
		"completes and undoes nothing", name);
	return NULL;
}

json_t *far_plan(const struct far_call *call, json_t *request,
		 struct err *err)
{
	json_t *args = json_object_get(request, "arguments"), *value = NULL;
	const char *given = far_arg(request, "execute");
	const struct qmp_command *cmd = qmp_find(given);
	struct far_plan p = { .call = call };

	if (!cmd) {
		err_set(err, ERR_COMMAND_NOT_FOUND, "there is no plan for "
			"'%s': what it does is not known here", given);
		return NULL;
	}
	args = args ? json_incref(args) : json_object();
	if (!far_plan_check_args(cmd->args, args, err) &&
	    !far_plan_load(&p, cmd->name, err))
		value = far_plan_of(&p, cmd->name, args, err);
	if (value) {
		json_object_set_new(value, "hmp", plan_line(cmd->name, args));
		json_object_set_new(value, "qmp", json_pack(
			"{s:s, s:O}", "execute", cmd->name, "arguments",
			args));
	}
	far_plan_release(&p);
	json_decref(args);
	return value;
}
