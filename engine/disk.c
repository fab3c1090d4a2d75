/* disk.c - see disk.h. */
#include "engine/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/engine_impl.h"
#include "engine/util/mem.h"

#define BLOCK_MIN 4096

struct disk {
	bool writable;		/* constant, all of it */
	struct graph *graph;
	struct drive *drive;	/* counted as a user; or NULL, then: */
	struct node *node;	/* counted */
	struct gate gate;	/* in front of it */
};

/* --- life --- */

/* Graph held. */
static struct node *disk_find(struct engine *e, const struct disk_options *o,
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
static int disk_check_writable(const struct node *node, const struct drive *d,
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

static void attach_node(struct disk *d, struct node *node)
{
	d->node = graph_get(node);
	graph_add_gate(d->graph, &d->gate, &d->node);
}

static void detach_node(struct disk *d)
{
	graph_remove_gate(&d->gate);
	graph_put(d->node);
}

static int disk_attach(struct engine *e, struct disk *d,
		  const struct disk_options *o, struct err *err)
{
	struct node *node = disk_find(e, o, &d->drive, err);

	if (!node)
		return -1;
	d->writable = o->writable;
	if (d->writable && o->or_read_only)
		d->writable = d->drive && !d->drive->read_only;
	if (d->writable && disk_check_writable(node, d->drive, err))
		return -1;
	if (d->drive)
		d->drive->users++;
	else
		attach_node(d, node);
	return 0;
}

struct disk *disk_open(struct engine *e, const struct disk_options *o,
		       struct err *err)
{
	struct disk *d;
	int rc;

	if (o->writable && !o->force &&
	    engine_look_first(e, o->device ? o->device : o->node_name, err))
		return NULL;
	d = mem_alloc(sizeof(*d));
	d->graph = &e->graph;
	graph_begin(&e->graph);
	rc = disk_attach(e, d, o, err);
	graph_end(&e->graph);
	if (!rc)
		return d;
	free(d);
	return NULL;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	graph_begin(d->graph);
	if (d->drive)
		d->drive->users--;
	else
		detach_node(d);
	graph_end(d->graph);
	free(d);
}

/* --- what it is like --- */

static struct gate *disk_gate(struct disk *d)
{
	return d->drive ? &d->drive->gate : &d->gate;
}

/* Past the gate, or the graph held, to know which image it is. */
static const struct node *disk_node(const struct disk *d)
{
	return d->drive ? d->drive->root.node : d->node;
}

uint64_t disk_size(struct disk *d)
{
	uint64_t size;

	gate_enter(disk_gate(d));
	size = disk_node(d)->size;
	gate_leave(disk_gate(d));
	return size;
}

uint32_t disk_block(struct disk *d)
{
	uint32_t cluster;

	gate_enter(disk_gate(d));
	cluster = disk_node(d)->cluster;
	gate_leave(disk_gate(d));
	return cluster > BLOCK_MIN ? cluster : BLOCK_MIN;
}

bool disk_is_same(const struct disk *a, const struct disk *b)
{
	return a->drive == b->drive && a->node == b->node;
}

bool disk_is_writable(const struct disk *d)
{
	return d->writable;
}

void disks_hold(struct engine *e)
{
	rwlock_read(&e->graph.lock);
}

void disks_let_go(struct engine *e)
{
	rwlock_drop(&e->graph.lock);
}

void disk_names(const struct disk *d, struct disk_names *out)
{
	snprintf(out->drive, sizeof(out->drive), "%s",
		 d->drive ? d->drive->root.id : "");
	memcpy(out->node, disk_node(d)->name, sizeof(out->node));
}

void disk_serve(const _Atomic bool *gone)
{
	drive_serve(gone);
}

void disk_recall(struct disk *d)
{
	if (d->drive)
		drive_recall(d->drive);
}

void disk_refused(struct disk *d, enum node_request what)
{
	if (d->drive)
		node_stats_refuse(&d->drive->stats, what);
}

/* --- requests --- */

/* An image below: no guest's disk, so stop and cont are not for it. */
static int disk_enter(struct disk *d, uint64_t off, uint64_t len)
{
	uint64_t size;

	gate_enter(&d->gate);
	size = d->node->size;
	if (off <= size && len <= size - off)
		return 0;
	gate_leave(&d->gate);
	return -EINVAL;
}

int disk_read(struct disk *d, uint64_t off, uint64_t len, void *buf)
{
	int rc;

	if (d->drive)
		return drive_read(d->drive, off, len, buf);
	rc = disk_enter(d, off, len);
	if (rc)
		return rc;
	rc = node_read(d->node, off, len, buf);
	gate_leave(&d->gate);
	return rc;
}

int disk_extents(struct disk *d, uint64_t off, uint64_t len,
		   struct extent *out, size_t max, size_t *count)
{
	int rc;

	if (d->drive)
		return drive_extents(d->drive, off, len, out, max, count);
	rc = disk_enter(d, off, len);
	if (rc)
		return rc;
	rc = extents_find(d->node, off, len, out, max, count);
	gate_leave(&d->gate);
	return rc;
}

int disk_write(struct disk *d, uint64_t off, uint64_t len,
		 const void *buf, bool fua)
{
	return d->writable ? drive_write(d->drive, off, len, buf, fua) :
			     -EROFS;
}

int disk_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap,
		bool fast)
{
	if (!d->writable)
		return -EROFS;
	return fast ? drive_zero_fast(d->drive, off, len, unmap) :
		      drive_zero(d->drive, off, len, unmap);
}

int disk_discard(struct disk *d, uint64_t off, uint64_t len)
{
	return d->writable ? drive_discard(d->drive, off, len) : -EROFS;
}

/* Also a read-only client may ask that what others wrote be durable. */
int disk_flush(struct disk *d)
{
	return d->drive ? drive_flush(d->drive) : 0;
}
