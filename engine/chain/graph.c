/* graph.c - see graph.h. */
#include "engine/chain/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain_walk.h"
#include "engine/event/event.h"
#include "engine/chain/index.h"
#include "engine/chain/node_open.h"
#include "engine/chain/peek.h"
#include "engine/util/bug.h"
#include "engine/util/mem.h"

void graph_init(struct graph *g)
{
	memset(g, 0, sizeof(*g));
	rwlock_init(&g->lock);
	list_init(&g->nodes);
	list_init(&g->roots);
	list_init(&g->gone);
	g->peeked = peek_cache_new();
}

void graph_release(struct graph *g)
{
	BUG_ON(!list_is_empty(&g->nodes) || !list_is_empty(&g->roots) ||
	       !list_is_empty(&g->gone));
	free(g->left);
	peek_cache_free(g->peeked);
	rwlock_release(&g->lock);
}

static struct node *node_of(struct list *link)
{
	return container_of(link, struct node, link);
}

static void name_node(struct graph *g, struct node *node)
{
	do
		snprintf(node->name, sizeof(node->name), "#block%03u",
			 ++g->next_node);
	while (graph_find(g, node->name));
}

static void graph_tell(struct node *node, const struct event *ev)
{
	if (node->graph->events)
		event_publish(node->graph->events, ev);
}

int graph_add(struct graph *g, struct node *node, struct err *err)
{
	if (node->name[0]) {
		if (graph_find(g, node->name))
			return err_set(err, ERR_GENERIC,
				       "Duplicate nodes with node-name='%s'",
				       node->name);
		if (graph_root(g, node->name))
			return err_set(err, ERR_GENERIC, "node-name=%s is "
				       "conflicting with a device id",
				       node->name);
	} else {
		name_node(g, node);
	}
	node->graph = g;
	node->tell = graph_tell;
	node->index = index_new(&g->shape);
	node->refs = 1;
	list_add(&g->nodes, &node->link);
	return 0;
}

void graph_leave(struct node *node)
{
	list_del(&node->link);
	index_free(node->index);
	node->index = NULL;
}

struct node *graph_get(struct node *node)
{
	node->refs++;
	return node;
}

/* --- what jobs leave behind --- */

static bool has_other_users(struct node *node, const struct node *above)
{
	struct node *other;

	for (unsigned i = 0; (other = graph_overlay(node, i)); i++)
		if (other != above)
			return true;
	return node->monitor || graph_root_of(node);
}

void graph_leave_behind(struct node *top, struct node *base)
{
	struct node *above = NULL;

	for (struct node *n = top; n != base && !has_other_users(n, above);
	     above = n, n = n->backing)
		n->left = true;
}

static bool is_left(const struct left *l, const struct file *id)
{
	return l->dev == id->dev && l->ino == id->ino && !id->block_device;
}

static size_t lefts(const struct graph *g)
{
	return g->left_count < GRAPH_LEFT_MAX ? g->left_count : GRAPH_LEFT_MAX;
}

bool graph_was_left(struct graph *g, const struct file *id,
		    const struct timespec *changed)
{
	for (size_t i = 0; i < lefts(g); i++)
		if (is_left(&g->left[i], id) &&
		    g->left[i].changed.tv_sec == changed->tv_sec &&
		    g->left[i].changed.tv_nsec == changed->tv_nsec)
			return true;
	return false;
}

/* The place of the one that was there before, or of the oldest, or NULL. */
static struct left *left_place(struct graph *g, const struct file *id)
{
	if (!g->left)
		g->left = mem_try(GRAPH_LEFT_MAX, sizeof(*g->left));
	for (size_t i = 0; i < lefts(g); i++)
		if (is_left(&g->left[i], id))
			return &g->left[i];
	return g->left ? &g->left[g->left_count++ % GRAPH_LEFT_MAX] : NULL;
}

/* What can't be remembered is asked about like any other overlay. */
static void close_left(struct graph *g, struct node *node)
{
	struct file *file = node_detach(node);
	struct timespec changed;
	struct left *place;

	if (file_changed(file, &changed)) {
		place = left_place(g, file);
		if (place)
			*place = (struct left){ .dev = file->dev,
						.ino = file->ino,
						.changed = changed };
	}
	file_close(file);
}

/* Round by round, not by recursion: a chain may be long. */
void graph_put(struct node *node)
{
	while (node && !--node->refs) {
		struct node *below = node->backing;

		graph_leave(node);
		if (node->left)
			close_left(node->graph, node);
		else
			node_close(node);
		node = below;
	}
}

struct node *graph_find(struct graph *g, const char *name)
{
	list_for_each(link, &g->nodes)
		if (!strcmp(node_of(link)->name, name))
			return node_of(link);
	return NULL;
}

struct node *graph_find_file(struct graph *g, const struct file *f)
{
	list_for_each(link, &g->nodes)
		if (file_is_same(node_of(link)->file, f))
			return node_of(link);
	return NULL;
}

struct node *graph_overlay(struct node *node, unsigned n)
{
	list_for_each(link, &node->graph->nodes)
		if (node_of(link)->backing == node && !n--)
			return node_of(link);
	return NULL;
}

static struct root *root_at(struct list *link)
{
	return container_of(link, struct root, link);
}

struct root *graph_root(struct graph *g, const char *id)
{
	list_for_each(link, &g->roots)
		if (*id && !strcmp(root_at(link)->id, id))
			return root_at(link);
	return NULL;
}

struct root *graph_root_of(const struct node *node)
{
	list_for_each(link, &node->graph->roots)
		if (root_at(link)->node == node)
			return root_at(link);
	return NULL;
}

struct root *graph_root_above(const struct node *node)
{
	list_for_each(link, &node->graph->roots)
		if (chain_has(root_at(link)->node, node))
			return root_at(link);
	return NULL;
}

void graph_forget_maps(struct graph *g)
{
	atomic_fetch_add(&g->shape, 1);
}

void graph_link(struct node *node, struct node *backing)
{
	struct node *old = node->backing;

	node->backing = backing ? graph_get(backing) : NULL;
	graph_put(old);
	graph_forget_maps(node->graph);
}

/* --- who is busy --- */

static const char *called(const struct node *node)
{
	const struct root *root = graph_root_of(node);

	return root && *root->id ? root->id : node->name;
}

int graph_check_free(const struct node *node, struct err *err)
{
	if (!node->claim)
		return 0;
	return err_set(err, ERR_DEVICE_IN_USE, "Node '%s' is busy: block "
		       "device is in use by block job: %s", called(node),
		       node->claim->type);
}

int graph_claim(struct node *top, struct node *bottom, const struct claim *who,
		struct err *err)
{
	struct node *end = bottom->backing;

	for (struct node *n = top; n != end; n = n->backing)
		if (graph_check_free(n, err))
			return -1;
	for (struct node *n = top; n != end; n = n->backing)
		n->claim = who;
	return 0;
}

void graph_unclaim(struct graph *g, const struct claim *who)
{
	list_for_each(link, &g->nodes)
		if (node_of(link)->claim == who)
			node_of(link)->claim = NULL;
}

static int refuse_shared(const struct node *node, const struct node *other,
			 struct err *err)
{
	const struct root *r = graph_root_above(other);

	return err_set(err, ERR_GENERIC,
		       "Image '%s' is also the backing file of '%s'%s%s%s",
		       node->file->path, other->file->path,
		       r ? ", in use by drive '" : "", r ? r->id : "",
		       r ? "'" : "");
}

int graph_check_exclusive(struct node *top, struct node *base, struct err *err)
{
	struct node *above = chain_above(top, base);

	for (struct node *n = base; n != top; n = above,
	     above = chain_above(top, n)) {
		const struct root *root = graph_root_of(n);
		struct node *other;

		if (root)
			return err_set(err, ERR_GENERIC,
				       "Image '%s' is in use by drive '%s'",
				       n->file->path, root->id);
		for (unsigned i = 0; (other = graph_overlay(n, i)); i++)
			if (other != above)
				return refuse_shared(n, other, err);
	}
	return 0;
}
