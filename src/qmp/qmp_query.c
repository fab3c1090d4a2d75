/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What drives, nodes and jobs there are (monitor.md, 2.3).
 */
#include <stdlib.h>

#include "src/qmp/command.h"
#include "src/qmp/nodes.h"
#include "src/qmp/json/text.h"

/* Who wants to know the images is not told of filters. */
static bool wants_filters(const json_t *args)
{
	return args_bool(args, "x-blkmon-filters", true);
}

static json_t *drive_entry(const struct nodes *nodes,
			   const struct drive_info *drive, bool filters)
{
	const char *name = filters && *drive->filter ? drive->filter :
						       drive->node;
	const struct node_info *node = nodes_find(nodes, name);
	json_t *entry = json_pack("{s:s, s:s, s:b, s:b, s:s}", "device",
				  drive->id, "type", "unknown",
				  "removable", 0, "locked", 0,
				  "io-status", drive->io_status);

	if (node)
		json_object_set_new(entry, "inserted",
				    nodes_device_info(nodes, node, false));
	return entry;
}

static json_t *query_block(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	struct drive_info *drives;
	struct nodes nodes;
	json_t *list;
	size_t n;
	int rc;

	if (nodes_init(&nodes, ctx->engine, err))
		return NULL;
	rc = engine_query_drives(ctx->engine, &drives, &n);
	list = rc ? NULL : json_array();
	if (rc)
		err_sys(err, rc, "No list of drives");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, drive_entry(&nodes, &drives[i],
				      wants_filters(args)));
	nodes_release(&nodes);
	free(drives);
	return list;
}

static json_t *query_nodes(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	bool flat = args_bool(args, "flat", false);
	bool filters = wants_filters(args);
	struct nodes nodes;
	json_t *list;

	if (nodes_init(&nodes, ctx->engine, err))
		return NULL;
	list = json_array();
	for (size_t i = 0; i < nodes.n; i++)
		if (filters || !nodes.list[i].filter)
			json_array_append_new(list, nodes_device_info(&nodes,
					      &nodes.list[i], flat));
	nodes_release(&nodes);
	return list;
}

static json_t *block_job(const struct job_info *job)
{
	json_t *info = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:s, "
				 "s:b, s:s, s:b, s:b}", "type", job->type,
				 "device", job->id,
				 "len", (json_int_t)job->len,
				 "offset", (json_int_t)job->offset,
				 "speed", (json_int_t)job->speed,
				 "busy", (int)job->busy,
				 "paused", (int)job->paused,
				 "io-status", job->io_status,
				 "ready", (int)job->ready,
				 "status", job->status,
				 "auto-finalize", (int)job->auto_finalize,
				 "auto-dismiss", (int)job->auto_dismiss);

	if (job->error[0])
		json_object_set_new(info, "error", qmp_text(job->error));
	return info;
}

static json_t *qmp_query_job(const struct job_info *job)
{
	json_t *info = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", job->id,
				 "type", job->type, "status", job->status,
				 "current-progress", (json_int_t)job->offset,
				 "total-progress", (json_int_t)job->len);

	if (job->error[0])
		json_object_set_new(info, "error", qmp_text(job->error));
	return info;
}

static json_t *each_job(struct engine *engine,
			json_t *(*entry)(const struct job_info *job),
			struct err *err)
{
	struct job_info *jobs;
	size_t n;
	int rc = engine_query_jobs(engine, &jobs, &n);
	json_t *list = rc ? NULL : json_array();

	if (rc)
		err_sys(err, rc, "No list of jobs");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, entry(&jobs[i]));
	free(jobs);
	return list;
}

static json_t *query_block_jobs(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	(void)args;
	return each_job(ctx->engine, block_job, err);
}

static json_t *query_jobs(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	(void)args;
	return each_job(ctx->engine, qmp_query_job, err);
}

static void add_ways(json_t *entry, const struct copy_counts *c)
{
	const struct {
		const char *name;
		uint64_t bytes;
	} ways[] = {
		{ "copied", c->copied }, { "overwritten", c->overwritten },
		{ "cloned", c->cloned }, { "zeroed", c->zeroed },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		json_object_set_new(entry, ways[i].name,
				    json_integer((json_int_t)ways[i].bytes));
}

/* query-jobs in numbers of real work, which the bars are drawn from. */
static json_t *work(const struct job_info *info)
{
	json_t *entry = block_job(info);

	json_object_set_new(entry, "top-node", json_string(info->top));
	json_object_set_new(entry, "base-node", json_string(info->base));
	json_object_set_new(entry, "done",
			    json_integer((json_int_t)info->done));
	json_object_set_new(entry, "total",
			    json_integer((json_int_t)info->total));
	add_ways(entry, &info->counts);
	json_object_set_new(entry, "elapsed-ns",
			    json_integer((json_int_t)info->elapsed_ns));
	json_object_set_new(entry, "work-ns",
			    json_integer((json_int_t)info->work_ns));
	json_object_set_new(entry, "unused",
			    json_integer((json_int_t)info->unused));
	json_object_set_new(entry, "unused-bytes",
			    json_integer((json_int_t)info->unused_bytes));
	return entry;
}

static json_t *x_query_jobs(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	(void)args;
	return each_job(ctx->engine, work, err);
}

const struct qmp_command qmp_query_commands[] = {
	{ "query-block", "*x-blkmon-filters:b", query_block, false },
	{ "query-named-block-nodes", "*flat:b,*x-blkmon-filters:b",
	  query_nodes, false },
	{ "query-block-jobs", "", query_block_jobs, false },
	{ "query-jobs", "", query_jobs, false },
	{ "x-blkmon-query-jobs", "", x_query_jobs, false },
	{ .name = NULL }
};
