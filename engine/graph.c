/* graph.c - see graph.h. */
#include "engine/graph.h"

#include <stdio.h>
#include <string.h>

#include "engine/chain.h"
#include "engine/drive.h"
#include "engine/event/event.h"
#include "engine/index.h"
#include "engine/job.h"
#include "engine/node_open.h"
#include "engine/util/bug.h"

void graph_init(struct graph *g)
{
	memset(g, 0, sizeof(*g));
	rwlock_init(&g->lock);
	list_init(&g->nodes);
	list_init(&g->drives);
	list_init(&g->gone);
}

void graph_release(struct graph *g)
{
	BUG_ON(!list_is_empty(&g->nodes) || !list_is_empty(&g->drives));
	list_for_each_safe(link, &g->gone)
		drive_free(container_of(link, struct drive, link));
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
		if (drive_find(g, node->name))
			return err_set(err, ERR_GENERIC, "node-name=%s is "
				       "conflicting with a device id",
				       node->name);
	} else {
		name_node(g, node);
	}
	node->graph = g;
	node->tell = graph_tell;
	node->index = index_new();
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

/* Round by round, not by recursion: a chain may be long. */
void graph_put(struct node *node)
{
	while (node && !--node->refs) {
		struct node *below = node->backing;

		graph_leave(node);
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

struct drive *graph_drive_above(const struct node *node)
{
	list_for_each(link, &node->graph->drives) {
		struct drive *d = container_of(link, struct drive, link);

		if (chain_has(d->node, node))
			return d;
	}
	return NULL;
}

void graph_link(struct node *node, struct node *backing)
{
	struct node *old = node->backing;

	node->backing = backing ? graph_get(backing) : NULL;
	graph_put(old);
	index_forget(node->graph);
}

/* --- who is busy --- */

static const char *called(const struct node *node)
{
	struct drive *drive = drive_of(node);

	return drive && *drive->id ? drive->id : node->name;
}

int graph_check_free(const struct node *node, struct err *err)
{
	if (!node->job)
		return 0;
	return err_set(err, ERR_DEVICE_IN_USE, "Node '%s' is busy: block "
		       "device is in use by block job: %s", called(node),
		       node->job->kind->type);
}

int graph_claim(struct node *top, struct node *bottom, const struct job *job,
		struct err *err)
{
	struct node *end = bottom->backing;

	for (struct node *n = top; n != end; n = n->backing)
		if (graph_check_free(n, err))
			return -1;
	for (struct node *n = top; n != end; n = n->backing)
		n->job = job;
	return 0;
}

void graph_unclaim(struct graph *g, const struct job *job)
{
	list_for_each(link, &g->nodes)
		if (node_of(link)->job == job)
			node_of(link)->job = NULL;
}

static int refuse_shared(const struct node *node, const struct node *other,
			 struct err *err)
{
	const struct drive *d = graph_drive_above(other);

	return err_set(err, ERR_GENERIC,
		       "Image '%s' is also the backing file of '%s'%s%s%s",
		       node->file->path, other->file->path,
		       d ? ", in use by drive '" : "", d ? d->id : "",
		       d ? "'" : "");
}

int graph_check_exclusive(struct node *top, struct node *base, struct err *err)
{
	struct node *above = chain_above(top, base);

	for (struct node *n = base; n != top; n = above,
	     above = chain_above(top, n)) {
		const struct drive *drive = drive_of(n);
		struct node *other;

		if (drive)
			return err_set(err, ERR_GENERIC,
				       "Image '%s' is in use by drive '%s'",
				       n->file->path, drive->id);
		for (unsigned i = 0; (other = graph_overlay(n, i)); i++)
			if (other != above)
				return refuse_shared(n, other, err);
	}
	return 0;
}
