/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a screen wants to know and QMP has no words for: how images lie on
 * each other by node name, what each of them holds of its disk, and how much
 * room there is for more.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/json/text.h"
#include "src/qmp/nodes.h"

#define CELLS_MAX 1024

static json_t *link_of(const struct node_info *node)
{
	json_t *link = json_pack("{s:s, s:s, s:I}", "node-name", node->name,
				 "backing", node->backing, "written",
				 (json_int_t)node->written);

	if (node->path)
		json_object_set_new(link, "path", qmp_text(node->path));
	return link;
}

static json_t *x_query_links(struct qmp_context *ctx, json_t *args,
			     struct err *err)
{
	struct nodes nodes;
	json_t *list;

	(void)args;
	if (nodes_init(&nodes, ctx->engine, err))
		return NULL;
	list = json_array();
	for (size_t i = 0; i < nodes.n; i++)
		if (!nodes.list[i].bytes && !nodes.list[i].filter)
			json_array_append_new(list, link_of(&nodes.list[i]));
	nodes_release(&nodes);
	return list;
}

/* --- maps --- */

static void add_cells(json_t *entry, const struct map_cell *cell, size_t n)
{
	json_t *data = json_array(), *zero = json_array();
	json_t *compressed = json_array(), *dead = json_array();

	for (size_t i = 0; i < n; i++) {
		json_array_append_new(data,
			json_integer((json_int_t)cell[i].data));
		json_array_append_new(zero,
			json_integer((json_int_t)cell[i].zero));
		json_array_append_new(compressed,
			json_integer((json_int_t)cell[i].compressed));
		json_array_append_new(dead,
			json_integer((json_int_t)cell[i].dead));
	}
	json_object_set_new(entry, "data", data);
	json_object_set_new(entry, "zero", zero);
	json_object_set_new(entry, "compressed", compressed);
	json_object_set_new(entry, "dead", dead);
}

static json_t *map_reply(const struct tree_map *map)
{
	json_t *images = json_array();

	for (size_t i = 0; i < map->n; i++) {
		const struct tree_image *image = &map->image[i];
		json_t *entry = json_pack("{s:s, s:I}",
			"node-name", image->node, "dead-bytes",
			(json_int_t)image->sum.dead);

		if (image->cell)
			add_cells(entry, image->cell, map->cells);
		json_array_append_new(images, entry);
	}
	return json_pack("{s:I, s:I, s:b, s:o}",
			 "size", (json_int_t)map->size,
			 "shown", (json_int_t)map->shown,
			 "exact", (int)map->exact, "images", images);
}

static bool is_listed(const void *list, const char *name)
{
	return args_lists(list, name);
}

/* 0, or -1 and err. *o borrows from @args. */
static int map_options(const json_t *args, struct tree_map_options *o,
		       struct err *err)
{
	const json_t *nodes = json_object_get(args, "nodes");
	int64_t n = args_int(args, "cells", 64);

	*o = (struct tree_map_options) {
		.node_name = args_str(args, "node-name"), .cells = (size_t)n,
		.whole = args_bool(args, "whole", false),
		.wants = nodes ? is_listed : NULL, .arg = nodes,
	};
	if (n < 1 || n > CELLS_MAX)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameter 'cells' "
			       "expects a value from 1 to %d", CELLS_MAX);
	if (!args_are_strings(nodes))
		return err_set(err, ERR_INVALID_PARAMETER, "Invalid parameter "
			       "type for 'nodes', expected: array of strings");
	return 0;
}

/* Takes what is in @map. */
static json_t *map_end(struct tree_map *map, int rc)
{
	json_t *reply = rc ? NULL : map_reply(map);

	tree_map_release(map);
	return reply;
}

static json_t *x_tree_map(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	struct tree_map_options o;
	struct tree_map map;

	if (map_options(args, &o, err))
		return NULL;
	return map_end(&map, engine_tree_map(ctx->engine, &o, &map, err));
}

json_t *qmp_map_files(const struct tree_file *files, size_t n,
		      const json_t *args, struct err *err)
{
	struct tree_map_options o;
	struct tree_map map;

	if (map_options(args, &o, err))
		return NULL;
	if (!o.node_name) {
		err_set(err, ERR_INVALID_PARAMETER, "Parameter 'node-name' is "
			"missing");
		return NULL;
	}
	return map_end(&map, tree_map_files(files, n, &o, &map, err));
}

/* --- space --- */

static json_t *space_entry(const struct space_info *space)
{
	json_t *nodes = json_array();

	for (size_t i = 0; i < space->node_count; i++)
		json_array_append_new(nodes, json_string(space->nodes[i]));
	return json_pack("{s:o, s:I, s:I, s:o}", "path",
			 qmp_text(space->mount), "free",
			 (json_int_t)space->free, "size",
			 (json_int_t)space->size, "nodes", nodes);
}

static json_t *x_query_space(struct qmp_context *ctx, json_t *args,
			     struct err *err)
{
	struct space_info *spaces;
	size_t n;
	int rc = engine_query_space(ctx->engine, &spaces, &n);
	json_t *list = rc ? NULL : json_array();

	(void)args;
	if (rc)
		err_sys(err, rc, "No list of file systems");
	for (size_t i = 0; list && i < n; i++)
		json_array_append_new(list, space_entry(&spaces[i]));
	space_info_free(spaces, n);
	return list;
}

const struct qmp_command qmp_screen_commands[] = {
	{ "x-blkmon-query-links", "", x_query_links, false },
	{ "x-blkmon-query-space", "", x_query_space, false },
	{ "x-blkmon-tree-map", "node-name:s,*cells:i,*whole:b,*nodes:a",
	  x_tree_map, false },
	{ .name = NULL }
};
