/* graph.c - see graph.h. */
#include "engine/chain/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/event/event.h"
#include "engine/chain/index.h"
#include "engine/chain/node_open.h"
#include "engine/chain/peek.h"
#include "engine/file/mark.h"
#include "engine/util/bug.h"
#include "engine/util/mem.h"

void graph_init(struct graph *g)
{
	memset(g, 0, sizeof(*g));
	lock_init(&g->control);
	rwlock_init(&g->lock);
	list_init(&g->opening);
	list_init(&g->closing);
	list_init(&g->nodes);
	list_init(&g->gates);
	list_init(&g->roots);
	g->peeked = peek_cache_new();
}

void graph_release(struct graph *g)
{
	BUG_ON(!list_is_empty(&g->nodes) || !list_is_empty(&g->roots) ||
	       !list_is_empty(&g->opening) || !list_is_empty(&g->closing) ||
	       !list_is_empty(&g->gates));
	free(g->left.file);
	free(g->spoilt.file);
	peek_cache_free(g->peeked);
	rwlock_release(&g->lock);
	lock_release(&g->control);
}

static struct node *node_of(struct list *link)
{
	return container_of(link, struct node, link);
}

/* --- changing --- */

void graph_begin(struct graph *g)
{
	lock_take(&g->control);
	g->changing = true;
	graph_resume(g);
}

void graph_pause(struct graph *g)
{
	if (!g->changing)
		return;
	g->paused = true;
	rwlock_drop(&g->lock);
}

void graph_resume(struct graph *g)
{
	if (!g->changing)
		return;
	rwlock_write(&g->lock);
	g->paused = false;
}

/* --- closing; begun --- */

static bool is_left(const struct left *l, const struct file *id)
{
	return l->dev == id->dev && l->ino == id->ino && !id->block_device;
}

static size_t lefts_count(const struct lefts *l)
{
	return l->count < GRAPH_LEFT_MAX ? l->count : GRAPH_LEFT_MAX;
}

/* In the place of the one that was there before, or of the oldest. */
static void lefts_add(struct lefts *l, const struct file *id,
		      const struct timespec *changed)
{
	size_t at = 0;

	if (!l->file)
		l->file = mem_try(GRAPH_LEFT_MAX, sizeof(*l->file));
	if (!l->file)
		return;
	while (at < lefts_count(l) && !is_left(&l->file[at], id))
		at++;
	if (at == lefts_count(l))
		at = l->count++ % GRAPH_LEFT_MAX;
	l->file[at] = (struct left){ .dev = id->dev, .ino = id->ino,
				     .changed = *changed };
}

static bool lefts_have(const struct lefts *l, const struct file *id,
		       const struct timespec *changed)
{
	for (size_t i = 0; i < lefts_count(l); i++)
		if (is_left(&l->file[i], id) &&
		    l->file[i].changed.tv_sec == changed->tv_sec &&
		    l->file[i].changed.tv_nsec == changed->tv_nsec)
			return true;
	return false;
}

/* What can't be remembered is asked about like any other overlay. */
static void close_left(struct graph *g, struct node *node)
{
	char *into = node->merged_into;
	struct timespec changed;
	struct file *file;

	node->merged_into = NULL;
	file = node_detach(node);
	if (into)
		mark_set(file, MARK_MERGED, into);
	free(into);
	if (file_changed(file, &changed))
		lefts_add(&g->left, file, &changed);
	file_close(file);
}

/* In no list. */
static void graph_close_one(struct graph *g, struct node *node)
{
	int rc = node_settle(node);

	if (rc && g->events)
		event_notice(g->events, "Could not flush '%s' before it was "
			     "closed: %s", node->file->path, strerror(-rc));
	if (node->left)
		close_left(g, node);
	else
		file_close(node_detach(node));
}

static void graph_close_all(struct graph *g)
{
	list_for_each_safe(link, &g->closing) {
		list_del(link);
		graph_close_one(g, node_of(link));
	}
}

void graph_close_gone(struct graph *g)
{
	if (list_is_empty(&g->closing))
		return;
	graph_pause(g);
	graph_close_all(g);
	graph_resume(g);
}

void graph_end(struct graph *g)
{
	if (!g->paused)
		graph_pause(g);
	list_for_each(link, &g->gates)
		gate_open(container_of(link, struct gate, link));
	graph_close_all(g);
	g->changing = false;
	lock_drop(&g->control);
}

void graph_close(struct graph *g, struct node *node)
{
	if (g->changing)
		list_add_tail(&g->closing, &node->link);
	else
		graph_close_one(g, node);
}

void graph_hold_gate(struct graph *g, struct gate *gate)
{
	gate_hold(gate);
	if (!g->changing)
		gate_open(gate);
}

void graph_hold(struct node *node)
{
	struct graph *g = node->graph;

	list_for_each(link, &g->gates) {
		struct gate *gate = container_of(link, struct gate, link);

		if (chain_has(*gate->node, node))
			graph_hold_gate(g, gate);
	}
}

void graph_hold_all(struct graph *g)
{
	list_for_each(link, &g->gates)
		graph_hold_gate(g, container_of(link, struct gate, link));
}

void graph_add_gate(struct graph *g, struct gate *gate,
		    struct node *const *node)
{
	gate_init(gate, node);
	list_add(&g->gates, &gate->link);
}

void graph_remove_gate(struct gate *gate)
{
	list_del(&gate->link);
	gate_release(gate);
}

/* --- nodes --- */

static struct node *find_in(const struct list *nodes, const char *name)
{
	list_for_each(link, nodes)
		if (!strcmp(node_of(link)->name, name))
			return node_of(link);
	return NULL;
}

static bool name_is_taken(struct graph *g, const char *name)
{
	return graph_find(g, name) || find_in(&g->opening, name);
}

static void name_node(struct graph *g, struct node *node)
{
	do
		snprintf(node->name, sizeof(node->name), "#block%03u",
			 ++g->next_node);
	while (name_is_taken(g, node->name));
}

static void graph_tell(struct node *node, const struct event *ev)
{
	if (node->graph->events)
		event_publish(node->graph->events, ev);
}

int graph_announce(struct graph *g, struct node *node, struct err *err)
{
	if (node->name[0]) {
		if (name_is_taken(g, node->name))
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
	node->announced = true;
	node->born = ++g->births;
	list_add(&g->opening, &node->link);
	return 0;
}

/* One that is read as raw is not opened at all then. */
static void graph_tell_cut(const struct node *node)
{
	const struct graph *g = node->graph;

	if (g->events && node->data && node->data->size < node->size)
		event_notice(g->events, "'%s' has a disk of %llu bytes, but "
			     "its data file '%s' ends after %llu: what it held "
			     "behind that reads as zeroes", node->file->path,
			     (unsigned long long)node->size, node->data->path,
			     (unsigned long long)node->data->size);
}

/* Whoever named it may have meant another image's. */
static void graph_tell_data(const struct node *node)
{
	char *other = node->graph->events ? chain_other_data(node) : NULL;

	if (other)
		event_notice(node->graph->events, "'%s' is named as the data "
			     "file of '%s', and is read as that; its header "
			     "says '%s', which is there as well",
			     node->data->path, node->file->path, other);
	free(other);
}

void graph_enter(struct node *node)
{
	struct list *at = &node->graph->nodes;

	node->announced = false;
	list_del(&node->link);
	while (at->next != &node->graph->nodes &&
	       node_of(at->next)->born > node->born)
		at = at->next;
	list_add(at, &node->link);
	graph_tell_cut(node);
	graph_tell_data(node);
}

int graph_add(struct graph *g, struct node *node, struct err *err)
{
	if (graph_announce(g, node, err))
		return -1;
	graph_enter(node);
	return 0;
}

void graph_leave(struct node *node)
{
	list_del(&node->link);
	index_free(node->index);
	node->index = NULL;
	graph_forget_maps(node->graph);
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

void graph_leave_behind(struct node *top, struct node *base, const char *into)
{
	struct node *above = NULL;

	for (struct node *n = top; n != base && !has_other_users(n, above);
	     above = n, n = n->backing) {
		n->left = true;
		if (into && !n->merged_into)
			n->merged_into = mem_dup(into);
	}
}

bool graph_was_left(struct graph *g, const struct file *id,
		    const struct timespec *changed)
{
	return lefts_have(&g->left, id, changed);
}

void graph_spoil(struct graph *g, const struct file *id,
		 const struct timespec *changed)
{
	lefts_add(&g->spoilt, id, changed);
}

bool graph_is_spoilt(struct graph *g, const struct file *id,
		     const struct timespec *changed)
{
	return lefts_have(&g->spoilt, id, changed);
}

/* Round by round, not by recursion: a chain may be long. */
void graph_put(struct node *node)
{
	while (node && !--node->refs) {
		struct node *below = node->backing;

		if (below)
			below->overlays--;
		graph_leave(node);
		graph_close(node->graph, node);
		node = below;
	}
}

struct node *graph_find(struct graph *g, const char *name)
{
	struct node *node = find_in(&g->nodes, name);

	list_for_each(link, &g->nodes)
		if (!node && *name && !strcmp(node_of(link)->filter, name))
			node = node_of(link);
	return node;
}

static struct node *find_file_in(const struct list *nodes,
				 const struct file *f)
{
	list_for_each(link, nodes)
		if (file_is_same(node_of(link)->file, f))
			return node_of(link);
	return NULL;
}

struct node *graph_find_file(struct graph *g, const struct file *f)
{
	struct node *node = find_file_in(&g->nodes, f);

	return node ? node : find_file_in(&g->opening, f);
}

struct node *graph_overlay(struct node *node, unsigned n)
{
	if (n >= node->overlays)
		return NULL;
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

void graph_link_new(struct node *node, struct node *backing)
{
	node->backing = backing ? graph_get(backing) : NULL;
	if (backing)
		backing->overlays++;
	graph_forget_maps(node->graph);
}

void graph_link(struct node *node, struct node *backing)
{
	struct node *old = node->backing;

	graph_hold(node);
	graph_link_new(node, backing);
	if (old)
		old->overlays--;
	graph_put(old);
}

/* --- who is busy --- */

static const char *called(const struct node *node)
{
	const struct root *root = graph_root_of(node);

	return root && *root->id ? root->id : node->name;
}

struct graph_user graph_user_of(const struct node *node)
{
	const struct root *root = graph_root_of(node);
	struct graph_user out;

	if (!root)
		root = graph_root_above(node);
	if (root && *root->id)
		snprintf(out.text, sizeof(out.text), "drive '%s'", root->id);
	else
		snprintf(out.text, sizeof(out.text), "node '%s'",
			 root ? root->node->name : node->name);
	return out;
}

int graph_check_whole(const struct node *top, struct err *err)
{
	for (const struct node *n = top; n->backing; n = n->backing)
		if (n->backing->drv == &driver_missing)
			return err_set(err, ERR_GENERIC, "'%s' is missing, the "
				       "backing file of '%s': the chain can "
				       "only be read, as far as it goes",
				       n->backing->file->path, n->file->path);
	return 0;
}

int graph_check_free(const struct node *node, struct err *err)
{
	return graph_check_idle(node, err) || graph_check_whole(node, err) ?
		-1 : 0;
}

int graph_check_idle(const struct node *node, struct err *err)
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
		if (graph_check_idle(n, err))
			return -1;
	if (graph_check_whole(top, err))
		return -1;
	for (struct node *n = top; n != end; n = n->backing)
		n->claim = who;
	return 0;
}

void graph_unclaim(struct graph *g, const struct claim *who)
{
	list_for_each(link, &g->nodes) {
		struct node *node = node_of(link);

		if (node->claim != who)
			continue;
		node->claim = NULL;
		node->filter[0] = '\0';
	}
}

void graph_name_filter(struct node *node, const char *driver, const char *name)
{
	snprintf(node->filter, sizeof(node->filter), "%s", name);
	node->filter_driver = driver;
}

static int refuse_shared(const struct node *node, const struct node *other,
			 struct err *err)
{
	bool used = graph_root_above(other);

	return err_set(err, ERR_GENERIC,
		       "Image '%s' is also the backing file of '%s'%s%s",
		       node->file->path, other->file->path,
		       used ? ", in use by " : "",
		       used ? graph_user_of(other).text : "");
}

static int check_exclusive_one(struct node *node, const struct node *above,
			       struct err *err)
{
	struct node *other;

	if (graph_root_of(node))
		return err_set(err, ERR_GENERIC, "Image '%s' is in use by %s",
			       node->file->path, graph_user_of(node).text);
	for (unsigned i = 0; (other = graph_overlay(node, i)); i++)
		if (other != above)
			return refuse_shared(node, other, err);
	return 0;
}

/* Each has the one above for an overlay: who has no other is not looked
 * for. The lowest is told of. */
int graph_check_exclusive(struct node *top, struct node *base, struct err *err)
{
	struct err lower = ERR_INIT;

	for (struct node *n = top; n != base; n = n->backing)
		if ((n->backing->overlays > 1 || graph_root_of(n->backing)) &&
		    check_exclusive_one(n->backing, n, &lower))
			*err = lower;
	return lower.class ? -1 : 0;
}
