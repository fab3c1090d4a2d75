/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * query-blockstats: at the device the guest's requests; nested, each image's
 * own (in QEMU since 2.x the nested ones stay 0). x-blkmon-query-latency: how
 * many of the guest's requests took how long.
 */
#include <stdlib.h>

#include "src/qmp/command.h"
#include "src/qmp/nodes.h"

static json_t *stats_object(const struct io_counts *c, bool device)
{
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{ "rd_bytes", c->rd_bytes },
		{ "wr_bytes", c->wr_bytes },
		{ "unmap_bytes", c->unmap_bytes },
		{ "rd_operations", c->rd_ops },
		{ "wr_operations", c->wr_ops },
		{ "flush_operations", c->flush_ops },
		{ "unmap_operations", c->unmap_ops },
		{ "rd_total_time_ns", c->rd_ns },
		{ "wr_total_time_ns", c->wr_ns },
		{ "flush_total_time_ns", c->flush_ns },
		{ "unmap_total_time_ns", c->unmap_ns },
		{ "wr_highest_offset", c->wr_highest_offset },
		{ "rd_merged", 0 }, { "wr_merged", 0 }, { "unmap_merged", 0 },
		{ "failed_rd_operations", c->rd_failed },
		{ "failed_wr_operations", c->wr_failed },
		{ "failed_flush_operations", c->flush_failed },
		{ "failed_unmap_operations", c->unmap_failed },
		{ "invalid_rd_operations", c->rd_invalid },
		{ "invalid_wr_operations", c->wr_invalid },
		{ "invalid_flush_operations", c->flush_invalid },
		{ "invalid_unmap_operations", c->unmap_invalid },
	};
	json_t *stats = json_object();

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		json_object_set_new(stats, counts[i].name,
			json_integer((json_int_t)counts[i].value));
	if (device && c->used)
		json_object_set_new(stats, "idle_time_ns",
			json_integer((json_int_t)c->idle_ns));
	json_object_set_new(stats, "account_invalid", json_boolean(device));
	json_object_set_new(stats, "account_failed", json_boolean(device));
	json_object_set_new(stats, "timed_stats", json_array());
	return stats;
}

/* A name that went away meanwhile has no counters: zeroes. */
static json_t *stats_of(struct engine *engine, const char *name, bool node)
{
	struct io_counts counts = { 0 };
	struct err err = ERR_INIT;

	engine_query_io(engine, name, node, &counts, &err);
	return stats_object(&counts, !node);
}

static json_t *node_stats(struct engine *engine, const struct node_info *node)
{
	json_t *stats = stats_of(engine, node->name, true);
	json_t *entry = json_pack("{s:s, s:o}", "node-name", node->name,
				  "stats", stats);

	/* The host file: all that is known of it is what its image did. */
	json_object_set_new(entry, "parent", json_pack("{s:O}", "stats",
						       stats));
	return entry;
}

static void qmp_stats_add_backing(struct engine *engine,
				  const struct nodes *nodes,
				  const struct node_info *node, json_t *above)
{
	while ((node = nodes_find(nodes, node->backing))) {
		json_t *entry = node_stats(engine, node);

		json_object_set_new(above, "backing", entry);
		above = entry;
	}
}

static json_t *drive_stats(struct engine *engine, const struct nodes *nodes,
			   const struct drive_info *drive)
{
	const struct node_info *node = nodes_find(nodes, *drive->filter ?
						  drive->filter : drive->node);
	json_t *entry = node ? node_stats(engine, node) : json_object();

	json_object_set_new(entry, "device", json_string(drive->id));
	json_object_set_new(entry, "stats",
			    stats_of(engine, drive->id, false));
	if (node)
		qmp_stats_add_backing(engine, nodes, node, entry);
	return entry;
}

static json_t *of_nodes(struct engine *engine, const struct nodes *nodes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < nodes->n; i++)
		json_array_append_new(list, node_stats(engine,
						       &nodes->list[i]));
	return list;
}

static json_t *of_drives(struct engine *engine, const struct nodes *nodes,
			 struct err *err)
{
	struct drive_info *drives;
	size_t n;
	int rc = engine_query_drives(engine, &drives, &n);
	json_t *list = rc ? NULL : json_array();

	if (rc)
		err_sys(err, rc, "No list of drives");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, drive_stats(engine, nodes,
							&drives[i]));
	free(drives);
	return list;
}

static json_t *query_blockstats(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	struct nodes nodes;
	json_t *list;

	if (nodes_init(&nodes, ctx->engine, err))
		return NULL;
	list = args_bool(args, "query-nodes", false) ?
		of_nodes(ctx->engine, &nodes) :
		of_drives(ctx->engine, &nodes, err);
	nodes_release(&nodes);
	return list;
}

static json_t *latency_entry(const struct latency_info *info)
{
	json_t *bins = json_array();

	for (size_t i = 0; i < info->steps; i++)
		json_array_append_new(bins, json_pack("[I, I]",
			(json_int_t)info->step[i].most_ns,
			(json_int_t)info->step[i].count));
	return json_pack("{s:s, s:o}", "device", info->id, "bins", bins);
}

static json_t *x_query_latency(struct qmp_context *ctx, json_t *args,
			       struct err *err)
{
	struct latency_info *list;
	json_t *reply;
	size_t n;
	int rc = engine_query_latency(ctx->engine, &list, &n);

	(void)args;
	if (rc) {
		err_sys(err, rc, "No list of drives");
		return NULL;
	}
	reply = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(reply, latency_entry(&list[i]));
	free(list);
	return reply;
}

const struct qmp_command qmp_stats_commands[] = {
	{ "x-blkmon-query-latency", "", x_query_latency, false },
	{ "query-blockstats", "*query-nodes:b", query_blockstats, false },
	{ .name = NULL }
};
