/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is only looked at: the end's replies with the names that people use,
 * and the x-blkmon-* commands that other ends do not have.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

static json_t *far_answer_nodes(const struct far_call *call, const char *name,
				json_t *args, struct err *err)
{
	bool flat = json_is_true(json_object_get(args, "flat"));
	json_t *list = far_nodes(call, flat, err), *node;
	size_t i;

	(void)name;
	json_array_foreach(list, i, node)
		if (far_names_is_filter(node) || far_names_is_protocol(node))
			json_object_set_new(node, "x-blkmon-part",
					    json_true());
	return list;
}

/* The export of a node as a drive. */
static json_t *far_answer_export(const struct far_drive *drive,
				 const json_t *nodes)
{
	json_t *entry = json_pack("{s:s, s:s, s:b, s:b}", "device",
				  drive->shown, "type", "unknown",
				  "removable", 0, "locked", 0);
	json_t *node = args_entry(nodes, "node-name", drive->node);

	if (node)
		json_object_set(entry, "inserted", node);
	return entry;
}

/* Where there are no drives, with the images below each. */
static json_t *far_answer_exports(const struct far_call *call,
				  const struct far_names *names,
				  struct err *err)
{
	json_t *nodes = far_nodes(call, false, err);
	json_t *list = nodes ? json_array() : NULL;

	for (size_t i = 0; list && i < names->n; i++)
		json_array_append_new(list, far_answer_export(
				      &names->drives[i], nodes));
	json_decref(nodes);
	return list;
}

static json_t *far_answer_block(const struct far_call *call, const char *name,
				json_t *args, struct err *err)
{
	struct far_names names;
	json_t *list, *entry;
	size_t i;

	(void)name;
	(void)args;
	/* Who shows what there is shows that, too. */
	if (call->impatient)
		far_learn_run(call);
	if (far_names_load(&names, call, err))
		return NULL;
	if (names.n && !json_array_size(names.blocks)) {
		list = far_answer_exports(call, &names, err);
		far_names_release(&names);
		return list;
	}
	list = json_incref(names.blocks);
	json_array_foreach(list, i, entry)
		if (!*names.drives[i].device)
			json_object_set_new(entry, "device", json_string(
					    names.drives[i].shown));
	far_names_release(&names);
	return list;
}

/* Statistics stand by device path, or by node where only those have any. */
static void far_answer_stat(json_t *out, const struct far_names *names,
			    json_t *entry)
{
	const char *device = far_arg(entry, "device");
	const char *qdev = far_arg(entry, "qdev");
	const char *node = far_arg(entry, "node-name");
	const struct far_drive *drive;

	drive = far_names_find(names, *device ? device : *qdev ? qdev : node);
	if (!drive)
		return;
	json_object_set_new(entry, "device", json_string(drive->shown));
	json_array_append(out, entry);
}

static json_t *far_answer_stats(const struct far_call *call, const char *name,
				json_t *args, struct err *err)
{
	json_t *list, *out = NULL, *entry;
	struct far_names names;
	size_t i;

	if (json_is_true(json_object_get(args, "query-nodes")))
		return far_ask(call, name, json_incref(args), err);
	if (far_names_load(&names, call, err))
		return NULL;
	list = far_ask(call, name, json_array_size(names.blocks) ? NULL :
		       json_pack("{s:b}", "query-nodes", 1), err);
	if (list)
		out = json_array();
	json_array_foreach(list, i, entry)
		far_answer_stat(out, &names, entry);
	json_decref(list);
	far_names_release(&names);
	return out;
}

static json_t *far_answer_jobs_by(const struct far_call *call,
				  const char *name, const char *key,
				  struct err *err)
{
	json_t *list = far_ask(call, name, NULL, err), *entry;
	size_t i;

	if (!strcmp(key, "device"))
		far_jobs_learn(call, list);
	json_array_foreach(list, i, entry)
		far_jobs_dress(call->far, entry, key);
	return list;
}

/* One of ours that is over stands there only until it is dismissed. */
static bool far_answer_is_past(const json_t *job)
{
	return !strcmp(far_arg(job, "status"), "concluded") &&
		!json_is_true(json_object_get(job, "x-blkmon-foreign"));
}

static json_t *far_answer_jobs(const struct far_call *call, const char *name,
			       json_t *args, struct err *err)
{
	(void)args;
	return far_answer_jobs_by(call, name, "id", err);
}

static json_t *far_answer_block_jobs(const struct far_call *call,
				     const char *name, json_t *args,
				     struct err *err)
{
	json_t *list;

	(void)args;
	if (!strcmp(name, "x-blkmon-query-jobs") &&
	    !far_can(call->far, name))
		name = "query-block-jobs";
	list = far_answer_jobs_by(call, name, "device", err);
	for (size_t i = json_array_size(list); i--; )
		if (far_answer_is_past(json_array_get(list, i)))
			json_array_remove(list, i);
	return list;
}

static json_t *far_answer_links(const struct far_call *call, const char *name,
				json_t *args, struct err *err)
{
	json_t *nodes, *links;

	(void)name;
	(void)args;
	nodes = far_nodes(call, true, err);
	links = nodes ? far_links(call, nodes, err) : NULL;
	json_decref(nodes);
	return links;
}

static json_t *far_answer_nbd(const struct far_call *call, const char *name,
			      json_t *args, struct err *err)
{
	json_t *list, *entry;
	size_t i;

	(void)args;
	if (far_can(call->far, name))
		return far_ask(call, name, NULL, err);
	list = far_ask(call, "query-block-exports", NULL, err);
	json_array_foreach(list, i, entry)
		json_object_set(entry, "name", json_object_get(entry, "id"));
	return list;
}

static json_t *far_answer_status(const struct far_call *call, const char *name,
				 json_t *args, struct err *err)
{
	json_t *value;

	(void)args;
	if (!far_can(call->far, name)) {
		err_set(err, ERR_NOT_SUPPORTED, "there is no guest here");
		return NULL;
	}
	value = far_ask(call, name, NULL, err);
	if (value && !far_can(call->far, "x-blkmon-io"))
		json_object_set_new(value, "x-blkmon-waits", json_false());
	return value;
}

/* A job in the request becomes the end's own. 0, or -1 and err. */
static int far_answer_name_job(const struct far_call *call, json_t *request,
			       struct err *err)
{
	json_t *args = json_object_get(request, "arguments");
	const char *key = json_object_get(args, "device") ? "device" : "id";
	char *id;

	if (!strstr(far_arg(request, "execute"), "job-"))
		return 0;
	id = far_job_find(call, far_arg(args, key), err);
	if (!id)
		return -1;
	json_object_set_new(args, key, json_string(id));
	free(id);
	return 0;
}

/* Of a blkmon it is made by the code of the job that would run. */
static json_t *far_answer_plan(const struct far_call *call, const char *name,
			       json_t *args, struct err *err)
{
	json_t *value;
	char *id;

	if (!far_can(call->far, name))
		return far_plan(call, json_object_get(args, "request"), err);
	if (far_answer_name_job(call, json_object_get(args, "request"), err))
		return NULL;
	value = far_ask(call, name, json_incref(args), err);
	id = mem_dup(far_arg(value, "job-id"));
	if (*id)
		json_object_set_new(value, "job-id",
				    json_string(far_job_shown(id)));
	free(id);
	return value;
}

static void far_answer_add(json_t *list, const char *name)
{
	json_array_append_new(list, json_pack("{s:s}", "name", name));
}

/* The end's own, and those that are made of them here. */
static json_t *far_answer_commands(const struct far_call *call,
				   const char *name, json_t *args,
				   struct err *err)
{
	json_t *list = far_ask(call, name, NULL, err);

	(void)args;
	if (!list)
		return NULL;
	if (!far_can(call->far, "x-blkmon-query-jobs"))
		far_answer_add(list, "x-blkmon-query-jobs");
	if (far_map_may(call->far))
		far_answer_add(list, "x-blkmon-tree-map");
	if (!far_can(call->far, "x-blkmon-plan"))
		far_answer_add(list, "x-blkmon-plan");
	if (!far_can(call->far, "x-blkmon-query-links") &&
	    far_links_known(call->far))
		far_answer_add(list, "x-blkmon-query-links");
	if (!far_can(call->far, "x-blkmon-query-exports") &&
	    far_can(call->far, "query-block-exports"))
		far_answer_add(list, "x-blkmon-query-exports");
	return list;
}

const struct far_verb far_answers[] = {
	{ "query-commands", far_answer_commands },
	{ "query-named-block-nodes", far_answer_nodes },
	{ "query-block", far_answer_block },
	{ "query-blockstats", far_answer_stats },
	{ "query-jobs", far_answer_jobs },
	{ "query-block-jobs", far_answer_block_jobs },
	{ "query-status", far_answer_status },
	{ "x-blkmon-query-jobs", far_answer_block_jobs },
	{ "x-blkmon-query-links", far_answer_links },
	{ "x-blkmon-query-exports", far_answer_nbd },
	{ "x-blkmon-plan", far_answer_plan },
	{ "x-blkmon-tree-map", far_map },
	{ .name = NULL }
};
