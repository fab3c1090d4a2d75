/* tree_files.c - maps of images that somebody else has open; see tree_map.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/node_open.h"
#include "engine/tool/tool.h"
#include "engine/tree/tree_map.h"
#include "engine/util/mem.h"

/* Nodes have numbers here: what others call theirs may be no name to us. */
static void files_name(size_t i, char name[NODE_NAME_MAX])
{
	snprintf(name, NODE_NAME_MAX, "file%zu", i);
}

static size_t files_number(const char *name)
{
	return strtoul(name + strlen("file"), NULL, 10);
}

/* NULL: it cannot be read. */
static struct node *files_open(struct tool *t, const struct tree_file *f,
			       size_t i, struct node *backing)
{
	char name[NODE_NAME_MAX];
	const struct node_options o = {
		.path = f->path, .format = f->format, .node_name = name,
		.read_only = true, .no_backing = true, .no_lock = true,
	};
	struct err ignored = ERR_INIT;
	struct node *node;

	files_name(i, name);
	if (node_open(&node, &o, &ignored))
		return NULL;
	if (graph_add(&t->graph, node, &ignored)) {
		node_close(node);
		return NULL;
	}
	if (backing)
		graph_link_new(node, backing);
	return node;
}

struct files_wish {
	const struct tree_file *files;
	const struct tree_map_options *o;
};

static bool files_wants(const void *arg, const char *node)
{
	const struct files_wish *wish = arg;

	return !wish->o->wants ||
		wish->o->wants(wish->o->arg,
			       wish->files[files_number(node)].node);
}

static void files_rename(const struct tree_file *files, struct tree_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		char *name = map->image[i].node;

		snprintf(name, NODE_NAME_MAX, "%s",
			 files[files_number(name)].node);
	}
}

/* Who reads it, besides images, has no name. */
static void files_hold(struct tool *t, struct root *root, struct node *node)
{
	static char nobody[] = "";

	*root = (struct root) { .id = nobody, .node = node };
	list_add_tail(&t->graph.roots, &root->link);
}

static int files_map(struct tool *t, struct node *node,
		     const struct tree_file *files,
		     const struct tree_map_options *o, struct tree_map *out,
		     struct err *err)
{
	const struct files_wish wish = { files, o };
	struct tree_map_options mine = *o;
	int rc;

	mine.wants = files_wants;
	mine.arg = &wish;
	rwlock_read(&t->graph.lock);
	rc = tree_map_of(out, node, &mine);
	rwlock_drop(&t->graph.lock);
	if (rc)
		return err_sys(err, rc, "Could not read the maps of '%s' and "
			       "those on it", o->node_name);
	files_rename(files, out);
	return 0;
}

/* All of them, those that cannot be read are NULL. */
static void files_open_all(struct tool *t, const struct tree_file *files,
			   size_t n, struct node **nodes, struct root *roots)
{
	for (size_t i = 0; i < n; i++) {
		size_t below = files[i].backing;

		nodes[i] = files_open(t, &files[i], i, below < i ?
				      nodes[below] : NULL);
		if (nodes[i] && files[i].used)
			files_hold(t, &roots[i], nodes[i]);
	}
}

static void files_close_all(struct tool *t, struct node **nodes, size_t n)
{
	list_for_each_safe(link, &t->graph.roots)
		list_del(link);
	for (size_t i = n; i--; )
		if (nodes[i])
			graph_put(nodes[i]);
	tool_close(t);
}

static struct node *files_find(const struct tree_file *files, size_t n,
			       struct node *const *nodes, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(files[i].node, name))
			return nodes[i];
	return NULL;
}

int tree_map_files(const struct tree_file *files, size_t n,
		   const struct tree_map_options *o, struct tree_map *out,
		   struct err *err)
{
	struct node **nodes = mem_try(n + 1, sizeof(*nodes)), *wanted;
	struct root *roots = mem_try(n + 1, sizeof(*roots));
	struct tool tool;
	int rc = -1;

	*out = (struct tree_map) { 0 };
	if (!nodes || !roots) {
		err_sys(err, ENOMEM, "No map");
		goto out;
	}
	tool_init(&tool);
	files_open_all(&tool, files, n, nodes, roots);
	wanted = files_find(files, n, nodes, o->node_name);
	rc = wanted ? files_map(&tool, wanted, files, o, out, err) :
		err_set(err, ERR_DEVICE_NOT_FOUND, "Cannot find device='' nor "
			"node-name='%s'", o->node_name);
	files_close_all(&tool, nodes, n);
out:
	free(nodes);
	free(roots);
	return rc;
}
