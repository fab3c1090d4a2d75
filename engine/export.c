/* export.c - see export.h. */
#include "engine/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_impl.h"
#include "engine/chain/graph.h"
#include "engine/nbd.h"
#include "engine/chain/node_io.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define BLOCK_MIN 4096

/* --- life --- */

static int check_words(const struct export_options *o, const char *name,
		       struct err *err)
{
	if (!*o->id || strlen(o->id) >= sizeof(((struct export *)0)->id))
		return err_set(err, ERR_GENERIC, "Invalid block export id");
	if (strlen(name) > NBD_STRING_MAX)
		return err_set(err, ERR_GENERIC,
			       "export name '%.64s...' too long", name);
	if (o->description && strlen(o->description) > NBD_STRING_MAX)
		return err_set(err, ERR_GENERIC,
			       "description '%.64s...' too long",
			       o->description);
	return 0;
}

/* Graph held. */
static struct node *find(struct engine *e, const struct export_options *o,
			 struct drive **drive, struct err *err)
{
	struct node *node;

	if (o->device)
		return engine_find(e, o->device, drive, err);
	node = graph_find(&e->graph, o->node_name);
	*drive = node ? drive_of(node) : NULL;
	if (!node)
		err_set(err, ERR_GENERIC,
			"Cannot find device='' nor node-name='%s'",
			o->node_name);
	return node;
}

/* What is no drive's active layer has overlays to look out for. */
static int check_writable(const struct node *node, const struct drive *d,
			  struct err *err)
{
	if (d ? d->read_only : node->read_only)
		return err_set(err, ERR_GENERIC,
			       "Cannot export read-only node as writable");
	if (!d)
		return err_set(err, ERR_GENERIC, "Node '%s' is not the active "
			       "layer of a drive: it can't be written",
			       node->name);
	return 0;
}

static int attach(struct engine *e, struct export *x,
		  const struct export_options *o, struct err *err)
{
	struct node *node = find(e, o, &x->drive, err);

	if (!node)
		return -1;
	x->writable = o->writable;
	if (x->writable && o->or_read_only)
		x->writable = x->drive && !x->drive->read_only;
	if (x->writable && check_writable(node, x->drive, err))
		return -1;
	if (x->drive)
		x->drive->users++;
	else
		x->node = graph_get(node);
	return 0;
}

struct export *export_new(struct engine *e, const struct export_options *o,
			  struct err *err)
{
	const char *name = o->name ? o->name : o->device ? o->device :
			   o->node_name;
	struct export *x;
	int rc;

	if (check_words(o, name, err))
		return NULL;
	x = mem_alloc(sizeof(*x));
	x->graph = &e->graph;
	rwlock_write(&e->graph.lock);
	rc = attach(e, x, o, err);
	rwlock_drop(&e->graph.lock);
	if (rc) {
		free(x);
		return NULL;
	}
	snprintf(x->id, sizeof(x->id), "%s", o->id);
	x->name = mem_dup(name);
	x->description = mem_dup(o->description);
	list_init(&x->conns);
	list_init(&x->link);
	return x;
}

void export_free(struct export *x)
{
	rwlock_write(&x->graph->lock);
	if (x->drive)
		x->drive->users--;
	graph_put(x->node);
	rwlock_drop(&x->graph->lock);
	free(x->description);
	free(x->name);
	free(x);
}

/* --- what it is like --- */

/* The graph has to be held to know which image it is. */
static const struct node *node_now(const struct export *x)
{
	return x->drive ? x->drive->root.node : x->node;
}

uint64_t export_size(struct export *x)
{
	uint64_t size;

	rwlock_read(&x->graph->lock);
	size = node_now(x)->size;
	rwlock_drop(&x->graph->lock);
	return size;
}

uint32_t export_block(struct export *x)
{
	uint32_t cluster;

	rwlock_read(&x->graph->lock);
	cluster = node_now(x)->cluster;
	rwlock_drop(&x->graph->lock);
	return cluster > BLOCK_MIN ? cluster : BLOCK_MIN;
}

void export_recall(struct export *x)
{
	if (x->drive)
		drive_recall(x->drive);
}

void export_refused(struct export *x, enum node_request what)
{
	if (x->drive)
		node_stats_add(&x->drive->stats, what, 0, 0, -EINVAL);
}

/* --- requests --- */

/* An image below: no guest's disk, so there is no gate to pass. */
static int node_enter(struct export *x, uint64_t off, uint64_t len)
{
	uint64_t size;

	rwlock_read(&x->graph->lock);
	size = x->node->size;
	if (off <= size && len <= size - off)
		return 0;
	rwlock_drop(&x->graph->lock);
	return -EINVAL;
}

int export_read(struct export *x, uint64_t off, uint64_t len, void *buf)
{
	int rc;

	if (x->drive)
		return drive_read(x->drive, off, len, buf);
	rc = node_enter(x, off, len);
	if (rc)
		return rc;
	rc = node_read(x->node, off, len, buf);
	rwlock_drop(&x->graph->lock);
	return rc;
}

int export_extents(struct export *x, uint64_t off, uint64_t len,
		   struct extent *out, size_t max, size_t *count)
{
	int rc;

	if (x->drive)
		return drive_extents(x->drive, off, len, out, max, count);
	rc = node_enter(x, off, len);
	if (rc)
		return rc;
	rc = extents_find(x->node, off, len, out, max, count);
	rwlock_drop(&x->graph->lock);
	return rc;
}

int export_write(struct export *x, uint64_t off, uint64_t len,
		 const void *buf, bool fua)
{
	return x->writable ? drive_write(x->drive, off, len, buf, fua) :
			     -EROFS;
}

int export_zero(struct export *x, uint64_t off, uint64_t len, bool unmap,
		bool fast)
{
	if (!x->writable)
		return -EROFS;
	return fast ? drive_zero_fast(x->drive, off, len, unmap) :
		      drive_zero(x->drive, off, len, unmap);
}

int export_discard(struct export *x, uint64_t off, uint64_t len)
{
	return x->writable ? drive_discard(x->drive, off, len) : -EROFS;
}

/* Also a read-only client may ask that what others wrote be durable. */
int export_flush(struct export *x)
{
	return x->drive ? drive_flush(x->drive) : 0;
}
