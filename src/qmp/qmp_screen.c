/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a screen wants to know and QMP has no words for: how images lie on
 * each other by node name, and what each of them holds of its disk.
 */
#include <stdlib.h>

#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/nodes.h"

#define CELLS_MAX 1024

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
			json_array_append_new(list, json_pack("{s:s, s:s}",
				      "node-name", nodes.list[i].name,
				      "backing", nodes.list[i].backing));
	nodes_release(&nodes);
	return list;
}

static json_t *map_reply(const char *name, const struct map_cell *cells,
			 size_t n, uint64_t size, bool exact)
{
	json_t *data = json_array(), *zero = json_array();
	json_t *compressed = json_array();

	for (size_t i = 0; i < n; i++) {
		json_array_append_new(data,
			json_integer((json_int_t)cells[i].data));
		json_array_append_new(zero,
			json_integer((json_int_t)cells[i].zero));
		json_array_append_new(compressed,
			json_integer((json_int_t)cells[i].compressed));
	}
	return json_pack("{s:s, s:I, s:b, s:o, s:o, s:o}", "node-name", name,
			 "size", (json_int_t)size, "exact", (int)exact,
			 "data", data, "zero", zero,
			 "compressed", compressed);
}

static json_t *x_node_map(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	const char *name = args_str(args, "node-name");
	int64_t n = args_int(args, "cells", 64);
	struct map_cell *cells;
	json_t *reply = NULL;
	uint64_t size;
	bool exact;

	if (n < 1 || n > CELLS_MAX) {
		err_set(err, ERR_INVALID_PARAMETER, "Parameter 'cells' "
			"expects a value from 1 to %d", CELLS_MAX);
		return NULL;
	}
	cells = mem_alloc((size_t)n * sizeof(*cells));
	if (!engine_node_map(ctx->engine, name, cells, (size_t)n, &size,
			     &exact, err))
		reply = map_reply(name, cells, (size_t)n, size, exact);
	free(cells);
	return reply;
}

const struct qmp_command qmp_screen_commands[] = {
	{ "x-blkmon-query-links", "", x_query_links, false },
	{ "x-blkmon-node-map", "node-name:s,*cells:i", x_node_map, false },
	{ .name = NULL }
};
