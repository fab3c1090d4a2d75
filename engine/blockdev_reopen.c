/* blockdev_reopen.c - other options for nodes that are open.
 *
 * The graph is held from the first change to the last, so nobody sees some of
 * them: if one can't be made those before it are taken back.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"
#include "engine/engine_impl.h"
#include "engine/util/mem.h"

/* What a node was before. */
struct undo {
	struct node *node;
	struct node *backing;		/* counted, or NULL */
	bool read_only, monitor_writable, file_read_only, no_discard;
	bool file_no_discard, forced, look_first;
	struct protocol *part;		/* or NULL */
	bool part_read_only, part_no_discard;
};

struct reopening {
	struct engine *engine;
	const struct siblings *siblings;
	struct undo *undo;		/* oldest first */
	size_t count;
};

static int cannot_change(const char *option, struct err *err)
{
	return err_set(err, ERR_GENERIC, "Cannot change the option '%s'",
		       option);
}

/* --- taking back --- */

static void reopen_remember(struct reopening *r, struct node *node)
{
	struct protocol *p = protocol_of(r->engine, node);

	graph_hold(node);
	r->undo = mem_grow(r->undo, r->count + 1, sizeof(*r->undo));
	r->undo[r->count++] = (struct undo){
		.node = graph_get(node),
		.backing = node->backing ? graph_get(node->backing) : NULL,
		.read_only = node->read_only,
		.monitor_writable = node->monitor_writable,
		.file_read_only = node->file_read_only,
		.no_discard = node->no_discard,
		.file_no_discard = node->file_no_discard,
		.forced = node->forced, .look_first = node->look_first,
		.part = p, .part_read_only = p && p->read_only,
		.part_no_discard = p && p->no_discard,
	};
}

static void reopen_take_back(struct reopening *r, const struct undo *u)
{
	struct node *node = u->node;
	struct drive *drive = drive_of(node);
	struct err err = ERR_INIT;

	if (node->backing != u->backing)
		graph_link(node, u->backing);
	node->file_read_only = false;
	if (node_set_writable(node, !u->read_only, &err))
		event_notice(&r->engine->events, "%s", err.text);
	if (drive)
		drive->read_only = node->read_only;
	node->monitor_writable = u->monitor_writable;
	node->file_read_only = u->file_read_only;
	node->no_discard = u->no_discard;
	node->file_no_discard = u->file_no_discard;
	node->forced = u->forced;
	node->look_first = u->look_first;
	if (!u->part)
		return;
	u->part->read_only = u->part_read_only;
	u->part->no_discard = u->part_no_discard;
}

static void finish(struct reopening *r, bool failed)
{
	while (r->count) {
		const struct undo *u = &r->undo[--r->count];

		if (failed)
			reopen_take_back(r, u);
		graph_put(u->backing);
		graph_put(u->node);
	}
	free(r->undo);
	blockdev_settle(r->engine);
}

/* --- what can't be changed --- */

static int check_file_node(struct engine *e, const struct protocol *part,
			   const char *name, struct err *err)
{
	if (part && !strcmp(part->name, name))
		return 0;
	if (!blockdev_has_name(e, name))
		return err_set(err, ERR_GENERIC, "Cannot find device='' nor "
			       "node-name='%s'", name);
	return cannot_change("file", err);
}

static int reopen_check_file(struct engine *e, const struct node *node,
			     const struct blockdev_options *o, struct err *err)
{
	const struct protocol *part = protocol_of(e, node);

	if (o->file_node)
		return check_file_node(e, part, o->file_node, err);
	if (part && !part->nested)
		return cannot_change("file.driver", err);
	if (o->file_driver && node->file->block_device ==
	    !strcmp(o->file_driver, "file"))
		return cannot_change("driver", err);
	if (o->file_name && (!part || strcmp(part->name, o->file_name)))
		return cannot_change("node-name", err);
	if (o->filename && strcmp(o->filename, node->file->path))
		return cannot_change("filename", err);
	return 0;
}

/* Of a file that is a node of its own nothing is said here. */
static int check_cache(const struct node *node,
		       const struct blockdev_options *o, struct err *err)
{
	if (o->file_node || node->file->cache == o->cache)
		return 0;
	return cannot_change(node->file->cache == FILE_CACHE_UNSAFE ||
			     o->cache == FILE_CACHE_UNSAFE ?
			     "cache.no-flush" : "cache.direct", err);
}

/* The same again is no change. */
static int reopen_check_data(const struct node *node,
			     const struct blockdev_options *o, struct err *err)
{
	if (!o->data_file)
		return 0;
	if (!node->data)
		return cannot_change("data-file.driver", err);
	if (node->data->block_device == !strcmp(o->data_driver, "file"))
		return cannot_change("driver", err);
	return strcmp(o->data_file, node->data->path) ?
	       cannot_change("filename", err) : 0;
}

/* A link has to be said anew, or it would not be plain what is to become of
 * it. */
static int check_missing(const struct node *node,
			 const struct blockdev_options *o, struct err *err)
{
	if (o->backing != BLOCKDEV_AS_HEADER || !node->drv->has_backing ||
	    (!node->backing && !node->backing_name))
		return 0;
	return err_set(err, ERR_GENERIC, "backing is missing for '%s'",
		       node->name);
}

static int reopen_check_options(struct engine *e, const struct node *node,
				const struct blockdev_options *o,
				struct err *err)
{
	const char *driver = node->protocol ? node->protocol :
					      node->drv->name;

	if (check_missing(node, o, err))
		return -1;
	if (strcmp(driver, o->driver))
		return cannot_change("driver", err);
	if (o->node_name && strcmp(o->node_name, node->name))
		return cannot_change("node-name", err);
	if (reopen_check_file(e, node, o, err) || check_cache(node, o, err))
		return -1;
	if (o->force_share !=
	    (!o->file_node && node->file->role == LOCKS_NONE))
		return cannot_change("force-share", err);
	if (reopen_check_data(node, o, err))
		return -1;
	if (!strcmp(driver, "null-co") && o->size != node->size)
		return cannot_change("size", err);
	return 0;
}

/* --- the image below --- */

static int check_frozen(const struct node *node, struct err *err)
{
	const struct node *old = node->backing;

	if (!old || (!node->claim && !old->claim))
		return graph_check_free(node, err);
	return err_set(err, ERR_GENERIC, "Cannot change frozen 'backing' link "
		       "from '%s' to '%s'", node->name, old->name);
}

static int check_below(struct node *node, struct node *below, struct err *err)
{
	if (chain_has(below, node))
		return err_set(err, ERR_GENERIC, "Making '%s' a backing child "
			       "of '%s' would create a cycle", below->name,
			       node->name);
	if (chain_depth(below) + 2 > CHAIN_DEPTH_MAX)
		return err_set(err, ERR_GENERIC, "The backing chain of '%s' "
			       "has %u images already", below->name,
			       CHAIN_DEPTH_MAX);
	return blockdev_unmake_disk(below, err);
}

static int reopen_change_backing(struct node *node, struct node *below,
				 struct err *err)
{
	if (node->backing == below)
		return 0;
	if (check_frozen(node, err) || (below && check_below(node, below, err)))
		return -1;
	graph_link(node, below);
	return 0;
}

static int reopen_node(struct reopening *r, struct node *node,
		       const struct blockdev_options *o, struct err *err);

/* Options in place of a name are those of the image that is there. */
static int reopen_below(struct reopening *r, struct node *node,
			const struct blockdev_options *o, struct err *err)
{
	if (!node->backing || node->backing->monitor)
		return cannot_change("backing.driver", err);
	return reopen_node(r, node->backing, o, err);
}

static int reopen_backing(struct reopening *r, struct node *node,
			  const struct blockdev_options *o, struct err *err)
{
	struct node *below;

	if (!node->drv->has_backing)
		return 0;
	if (o->backing == BLOCKDEV_NO_BACKING)
		return reopen_change_backing(node, NULL, err);
	if (o->backing == BLOCKDEV_AS_HEADER)
		return 0;
	if (!o->backing_node)
		return reopen_below(r, node, o->backing_options, err);
	below = graph_find(&r->engine->graph, o->backing_node);
	if (!below)
		return err_set(err, ERR_GENERIC, "Cannot find device='' nor "
			       "node-name='%s'", o->backing_node);
	return reopen_change_backing(node, below, err);
}

/* --- what may be written --- */

/* What lies below another is not written now, but when it is a disk again. */
static int reopen_writable(struct reopening *r, struct node *node,
			   const struct blockdev_options *o, struct err *err)
{
	const struct protocol *part = protocol_of(r->engine, node);
	struct drive *drive = drive_of(node);

	node->file_read_only = o->file_node ? part && part->read_only :
					      o->file_read_only;
	if (!o->read_only && node->file_read_only)
		return err_set(err, ERR_GENERIC, "Block node is read-only");
	if (drive && node->read_only != o->read_only) {
		if ((!o->read_only && !o->force &&
		     siblings_check(r->siblings, node, "to write to it",
				    err)) ||
		    graph_check_free(node, err) ||
		    node_set_writable(node, !o->read_only, err))
			return -1;
		drive->read_only = o->read_only;
	}
	node->monitor_writable = !o->read_only;
	return 0;
}

/* --- one node --- */

static void reopen_discard(struct reopening *r, struct node *node,
			   const struct blockdev_options *o)
{
	const struct protocol *part = protocol_of(r->engine, node);

	node->no_discard = o->no_discard;
	node->file_no_discard = o->file_node ? part && part->no_discard :
					       o->file_no_discard;
}

static int reopen_node(struct reopening *r, struct node *node,
		       const struct blockdev_options *o, struct err *err)
{
	if (reopen_check_options(r->engine, node, o, err))
		return -1;
	reopen_remember(r, node);
	if (reopen_backing(r, node, o, err) ||
	    reopen_writable(r, node, o, err))
		return -1;
	reopen_discard(r, node, o);
	if (o->force) {
		node->forced = true;
		node->look_first = false;
	}
	return 0;
}

/* A file that is part of another node: whether that may write to it. */
static int reopen_part(struct reopening *r, struct protocol *p,
		       const struct blockdev_options *o, struct err *err)
{
	struct node *user = graph_find(&r->engine->graph, p->user);

	if (strcmp(p->driver, o->driver))
		return cannot_change("driver", err);
	if (strcmp(o->filename, p->path))
		return cannot_change("filename", err);
	if (o->cache != p->cache)
		return cannot_change("cache.direct", err);
	if (o->force_share)
		return cannot_change("force-share", err);
	if (o->read_only && (user->monitor_writable || !user->read_only))
		return err_set(err, ERR_GENERIC, "Read-only block node '%s' "
			       "cannot support read-write users", p->name);
	reopen_remember(r, user);
	p->read_only = o->read_only;
	user->file_read_only = o->read_only;
	p->no_discard = o->no_discard;
	user->file_no_discard = o->no_discard;
	return 0;
}

static int reopen_named(struct reopening *r, const struct blockdev_options *o,
			struct err *err)
{
	struct node *node = graph_find(&r->engine->graph, o->node_name);
	struct protocol *p = protocol_find(r->engine, o->node_name);

	if (p)
		return reopen_part(r, p, o, err);
	if (node)
		return reopen_node(r, node, o, err);
	return err_set(err, ERR_GENERIC, "Failed to find node with "
		       "node-name='%s'", o->node_name);
}

/* For those that are to become writable. */
static void look_before(struct engine *e,
			const struct blockdev_options *const *o, size_t n,
			struct siblings *s)
{
	rwlock_read(&e->graph.lock);
	for (size_t i = 0; i < n; i++) {
		const struct node *node = graph_find(&e->graph,
						     o[i]->node_name);

		if (node && node->read_only && !o[i]->read_only && !o[i]->force)
			siblings_note(s, node);
	}
	rwlock_drop(&e->graph.lock);
	siblings_look(s, &e->graph);
}

int engine_blockdev_reopen(struct engine *e,
			   const struct blockdev_options *const *o, size_t n,
			   struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	struct reopening r = { .engine = e, .siblings = &s };
	int rc = 0;

	look_before(e, o, n, &s);
	graph_begin(&e->graph);
	for (size_t i = 0; i < n && !rc; i++)
		rc = reopen_named(&r, o[i], err);
	finish(&r, rc);
	graph_end(&e->graph);
	siblings_release(&s);
	return rc;
}
