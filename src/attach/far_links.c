/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How images lie on each other by the names of their nodes: an end says it in
 * "children" of each node (since 10.1), or in a graph for debugging, or has
 * blkmon's own command for it. Filters between two images are passed over.
 */
#include <string.h>

#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

bool far_links_known(struct far *f)
{
	return far_can(f, "x-blkmon-query-links") ||
		far_can(f, "x-debug-query-block-graph");
}

/* @below: node -> {"backing": node, "file": node}. Down from @name's backing
 * child to the next that is no filter. */
static const char *far_links_image_below(const json_t *nodes,
					 const json_t *below, const char *name)
{
	const json_t *children = json_object_get(below, name);
	const char *at = far_arg(children, "backing");

	/* Below a filter is what it lets through. */
	if (!*at && far_names_is_filter(args_entry(nodes, "node-name", name)))
		at = far_arg(children, "file");
	for (size_t steps = json_array_size(nodes); *at && steps; steps--) {
		const json_t *node = args_entry(nodes, "node-name", at);
		const char *next;

		if (!node || !far_names_is_filter(node))
			break;
		children = json_object_get(below, at);
		next = far_arg(children, "backing");
		at = *next ? next : far_arg(children, "file");
	}
	return at;
}

static json_t *far_links_list(const json_t *nodes, const json_t *below)
{
	json_t *list = json_array(), *node;
	size_t i;

	json_array_foreach(nodes, i, node) {
		const char *name = far_arg(node, "node-name");

		json_array_append_new(list, json_pack(
			"{s:s, s:s}", "node-name", name, "backing",
			far_links_image_below(nodes, below, name)));
	}
	return list;
}

static void far_links_set(json_t *below, const char *parent, const char *child,
			  const char *node)
{
	json_t *children = json_object_get(below, parent);

	if (!*parent || !*child || !*node)
		return;
	if (!children) {
		children = json_object();
		json_object_set_new(below, parent, children);
	}
	json_object_set_new(children, child, json_string(node));
}

/* {"nodes": [{"id", "type", "name"}], "edges": [{"parent", "child", "name"}]},
 * where ids are numbers. */
static json_t *far_links_of_graph(const json_t *graph)
{
	json_t *names = json_object(), *below = json_object(), *entry;
	char key[2][32];
	size_t i;

	json_array_foreach(json_object_get(graph, "nodes"), i, entry) {
		if (strcmp(far_arg(entry, "type"), "block-driver"))
			continue;
		snprintf(key[0], sizeof(key[0]), "%lld", (long long)
			 args_int(entry, "id", 0));
		json_object_set_new(names, key[0], json_string(
				    far_arg(entry, "name")));
	}
	json_array_foreach(json_object_get(graph, "edges"), i, entry) {
		snprintf(key[0], sizeof(key[0]), "%lld", (long long)
			 args_int(entry, "parent", 0));
		snprintf(key[1], sizeof(key[1]), "%lld", (long long)
			 args_int(entry, "child", 0));
		far_links_set(below, far_arg(names, key[0]),
			      far_arg(entry, "name"),
			      far_arg(names, key[1]));
	}
	json_decref(names);
	return below;
}

/* --- what jobs hold on to, as the graph has it --- */

/* Of @list the one that no other of it lies on; @lowest: that lies on none of
 * it. */
static const char *far_work_end(const json_t *list, const json_t *below,
				bool lowest)
{
	json_t *ends = json_object(), *node;
	const char *found = "";
	size_t i;

	json_array_foreach(list, i, node) {
		const char *name = json_string_value(node);
		const char *under = far_arg(json_object_get(below, name),
					    "backing");

		json_object_set_new(ends, lowest ? name : under, json_true());
	}
	json_array_foreach(list, i, node) {
		const char *name = json_string_value(node);
		const char *under = far_arg(json_object_get(below, name),
					    "backing");

		if (!*found && !json_object_get(ends, lowest ? under : name))
			found = name;
	}
	json_decref(ends);
	return found;
}

/* A mirror has a source and a target; a commit the images that it empties and
 * a base; a stream the image that it fills, and those that it empties. */
static void far_work_name(json_t *work, const json_t *below)
{
	const json_t *between = json_object_get(work, "intermediate node");
	const char *source = far_arg(work, "source");
	const char *active = far_arg(work, "active node");
	const char *low = far_work_end(between, below, true);
	const char *top = *source ? source : *active ? active :
		far_work_end(between, below, false);
	const char *base = *source ? far_arg(work, "target") :
		!*active ? far_arg(work, "base") :
		far_arg(json_object_get(below, *low ? low : active),
			"backing");

	json_object_set_new(work, "top", json_string(top));
	json_object_set_new(work, "base-node", json_string(base));
	json_object_set_new(work, "active", json_boolean(*source));
}

static void far_work_add(json_t *work, const char *edge, const char *node)
{
	json_t *list = json_object_get(work, "intermediate node");

	if (!work || !*node)
		return;
	json_array_append_new(json_object_get(work, "uses"),
			      json_string(node));
	if (strcmp(edge, "intermediate node")) {
		json_object_set_new(work, edge, json_string(node));
		return;
	}
	if (!list) {
		list = json_array();
		json_object_set_new(work, edge, list);
	}
	json_array_append_new(list, json_string(node));
}

static void far_works_key(const json_t *entry, const char *member, char *out,
			  size_t len)
{
	snprintf(out, len, "%lld", (long long)args_int(entry, member, 0));
}

static json_t *far_works_of_graph(const json_t *graph)
{
	json_t *works = json_object(), *ids = json_object(), *entry;
	json_t *names = json_object(), *below = far_links_of_graph(graph);
	const char *word;
	char key[32];
	size_t i;

	json_array_foreach(json_object_get(graph, "nodes"), i, entry) {
		far_works_key(entry, "id", key, sizeof(key));
		json_object_set_new(names, key, json_string(
				    far_arg(entry, "name")));
		if (strcmp(far_arg(entry, "type"), "block-job"))
			continue;
		json_object_set_new(works, far_arg(entry, "name"),
				    json_pack("{s:[]}", "uses"));
		json_object_set_new(ids, key, json_string(far_arg(entry,
								  "name")));
	}
	json_array_foreach(json_object_get(graph, "edges"), i, entry) {
		char child[32];

		far_works_key(entry, "parent", key, sizeof(key));
		far_works_key(entry, "child", child, sizeof(child));
		if (json_object_get(ids, key))
			far_work_add(json_object_get(works, far_arg(ids, key)),
				     far_arg(entry, "name"),
				     far_arg(names, child));
	}
	json_object_foreach(works, word, entry)
		far_work_name(entry, below);
	json_decref(ids);
	json_decref(names);
	json_decref(below);
	return works;
}

json_t *far_works(const struct far_call *call, struct err *err)
{
	json_t *graph, *works;

	if (!far_can(call->far, "x-debug-query-block-graph"))
		return far_not_here("to see what jobs work on", err);
	graph = far_ask(call, "x-debug-query-block-graph", NULL, err);
	works = graph ? far_works_of_graph(graph) : NULL;
	json_decref(graph);
	return works;
}

/* NULL: these nodes do not say. */
static json_t *far_links_of_children(const json_t *nodes)
{
	json_t *below = json_object(), *node, *child;
	bool any = false;
	size_t i, k;

	json_array_foreach(nodes, i, node) {
		const json_t *children = json_object_get(node, "children");

		any |= json_is_array(children);
		json_array_foreach(children, k, child)
			far_links_set(below, far_arg(node, "node-name"),
				      far_arg(child, "child"),
				      far_arg(child, "node-name"));
	}
	if (any)
		return below;
	json_decref(below);
	return NULL;
}

/* File names: right as long as no file is open twice. */
static json_t *far_links_of_files(const json_t *nodes)
{
	json_t *below = json_object(), *over, *under;
	size_t i, k;

	json_array_foreach(nodes, i, over) {
		const char *file = far_arg(json_object_get(over,
					"image"), "full-backing-filename");

		json_array_foreach(nodes, k, under) {
			const json_t *image = json_object_get(under, "image");

			if (*file && !far_names_is_filter(under) &&
			    strcmp(far_arg(image, "format"), "file") &&
			    !strcmp(far_arg(image, "filename"), file))
				far_links_set(below, far_arg(over,
						"node-name"), "backing",
					      far_arg(under,
							     "node-name"));
		}
	}
	return below;
}

json_t *far_links(const struct far_call *call, const json_t *nodes,
		  struct err *err)
{
	json_t *below = NULL, *graph = NULL, *list;

	if (far_can(call->far, "x-blkmon-query-links"))
		return far_ask(call, "x-blkmon-query-links", NULL, err);
	below = far_links_of_children(nodes);
	if (!below && far_can(call->far, "x-debug-query-block-graph")) {
		graph = far_ask(call, "x-debug-query-block-graph", NULL, err);
		below = graph ? far_links_of_graph(graph) : NULL;
	}
	if (!below)
		below = far_links_of_files(nodes);
	list = far_links_list(nodes, below);
	json_decref(below);
	json_decref(graph);
	return list;
}
