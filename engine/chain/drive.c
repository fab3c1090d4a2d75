/* drive.c - the life of drives and their gates; see drive.h. What goes
 * through the gates is in drive_io.c.
 */
#include "engine/chain/drive.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/graph.h"
#include "engine/util/bug.h"
#include "engine/util/mem.h"

static bool id_is_well_formed(const char *id)
{
	if (!*id)
		return false;
	while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id)))
		id++;
	return !*id;
}

int drive_check_id(struct graph *g, const char *id, struct err *err)
{
	if (!id_is_well_formed(id))
		return err_set(err, ERR_GENERIC, "Invalid device ID '%s'", id);
	if (drive_find(g, id))
		return err_set(err, ERR_GENERIC, "Duplicate ID '%s' for drive",
			       id);
	if (graph_find(g, id))
		return err_set(err, ERR_GENERIC, "Device name '%s' conflicts "
			       "with an existing node name", id);
	return 0;
}

int drive_add(struct graph *g, const char *id, struct node *node,
	      const struct node_options *o, struct err *err)
{
	struct drive *d;

	if (id && drive_check_id(g, id, err))
		return -1;
	d = mem_alloc(sizeof(*d));
	d->root.id = mem_dup(id ? id : "");
	d->refs = 1;
	d->root.node = node;
	d->graph = g;
	d->read_only = o->read_only;
	d->cache = o->cache;
	graph_add_gate(g, &d->gate, &d->root.node);
	list_add_tail(&g->roots, &d->root.link);
	return 0;
}

void drive_remove(struct drive *d)
{
	BUG_ON(d->tap);
	gate_hold(&d->gate);
	list_del(&d->root.link);
	graph_put(d->root.node);
	d->root.node = NULL;
	list_del(&d->gate.link);
	gate_open(&d->gate);
	drive_cont(d);
	drive_put(d);
}

struct drive *drive_get(struct drive *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

void drive_put(struct drive *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) > 1)
		return;
	gate_release(&d->gate);
	free(d->root.id);
	free(d);
}

struct drive *drive_find(struct graph *g, const char *id)
{
	return drive_at(graph_root(g, id));
}

struct drive *drive_of(const struct node *node)
{
	return drive_at(graph_root_of(node));
}

/* --- the gate --- */

/* Whom the thread serves; NULL: one who waits as long as it takes. */
static _Thread_local const _Atomic bool *client_gone;

void drive_serve(const _Atomic bool *gone)
{
	client_gone = gone;
}

void drive_recall(struct drive *d)
{
	lock_take(&d->gate.lock);
	cond_wake_all(&d->gate.opened);
	lock_drop(&d->gate.lock);
}

bool drive_serves(void)
{
	return client_gone;
}

static bool is_shut(const struct drive *d)
{
	return d->stopped || d->gate.held;
}

static bool client_waits(void)
{
	return !client_gone || !atomic_load(client_gone);
}

int drive_enter(struct drive *d, unsigned *turn)
{
	bool enters;

	lock_take(&d->gate.lock);
	while (is_shut(d) && client_waits())
		cond_wait(&d->gate.opened, &d->gate.lock);
	enters = !is_shut(d);
	*turn = d->turns;
	d->gate.in_flight += enters;
	lock_drop(&d->gate.lock);
	return enters ? 0 : -ECANCELED;
}

void drive_leave(struct drive *d)
{
	gate_leave(&d->gate);
}

void drive_stop(struct drive *d)
{
	lock_take(&d->gate.lock);
	d->stopped = true;
	while (d->stopped && d->gate.in_flight)
		cond_wait(&d->gate.opened, &d->gate.lock);
	lock_drop(&d->gate.lock);
}

void drive_cont(struct drive *d)
{
	lock_take(&d->gate.lock);
	d->stopped = false;
	d->turns++;
	atomic_store(&d->io_status, 0);
	cond_wake_all(&d->gate.opened);
	lock_drop(&d->gate.lock);
}

bool drive_is_stopped(struct drive *d)
{
	bool stopped;

	lock_take(&d->gate.lock);
	stopped = d->stopped;
	lock_drop(&d->gate.lock);
	return stopped;
}

bool drive_blame(struct drive *d, unsigned turn, int errnum)
{
	bool fresh;

	lock_take(&d->gate.lock);
	fresh = d->turns == turn;
	if (fresh)
		atomic_store(&d->io_status, errnum);
	lock_drop(&d->gate.lock);
	return fresh;
}
