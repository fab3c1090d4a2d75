/* engine.c - the facade: drives, guest I/O by hand, resize. See engine.h;
 * queries are in engine_query.c, jobs in engine_jobs.c.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/job/copy.h"
#include "engine/chain/drive.h"
#include "engine/chain/extent.h"
#include "engine/engine_impl.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define SECTOR 512
/* The largest disk QEMU takes: 2^63 less a request's most. */
#define SIZE_MAX_BYTES 9223372035781033984ull

struct engine *engine_new(void)
{
	struct engine *e = mem_alloc(sizeof(*e));

	graph_init(&e->graph);
	event_ring_init(&e->events);
	e->graph.events = &e->events;
	e->pool = pool_new(COPY_WORKERS);
	vm_init(&e->vm, &e->graph);
	jobs_init(&e->jobs, &e->graph, &e->events, e->pool);
	e->jobs.let_go = undo_job_over;
	list_init(&e->protocols);
	list_init(&e->undos);
	folder_events_init(&e->folders, &e->events);
	return e;
}

int engine_sync(struct engine *e, struct err *err)
{
	int result = 0;

	job_cancel_all(&e->jobs);
	graph_begin(&e->graph);
	graph_hold_all(&e->graph);
	list_for_each(link, &e->graph.nodes) {
		struct node *node = container_of(link, struct node, link);
		int rc = node_settle(node);

		if (rc && !result)
			result = err_sys(err, rc, "Could not flush '%s'",
					 node->file->path);
	}
	graph_end(&e->graph);
	return result;
}

void engine_free(struct engine *e)
{
	job_cancel_all(&e->jobs);
	graph_begin(&e->graph);
	list_for_each_safe(link, &e->graph.roots)
		drive_remove(drive_linked(link));
	blockdev_release(e);
	graph_end(&e->graph);
	jobs_release(&e->jobs);
	pool_free(e->pool);
	undos_release(e);
	folder_events_release(&e->folders);
	graph_release(&e->graph);
	event_ring_release(&e->events);
	vm_release(&e->vm);
	free(e);
}

struct event_ring *engine_events(struct engine *e)
{
	return &e->events;
}

/* --- drives --- */

static char *choose_id(struct engine *e, const char *id)
{
	char *made;

	if (id)
		return mem_dup(id);
	for (;;) {
		made = mem_printf("disk%u", e->next_drive++);
		if (!drive_find(&e->graph, made))
			return made;
		free(made);
	}
}

/* A probed format is said, for a guest can make its disk look like any. */
static void tell_guesses(struct engine *e, const struct node *top)
{
	for (const struct node *n = top; n; n = n->backing)
		if (n->probed)
			event_notice(&e->events, "Image format was not "
				     "specified for '%s' and probing guessed "
				     "%s.", n->file->path, n->drv->name);
}

/* Graph write-held, begun. */
static int engine_add_drive_held(struct engine *e, const char *id,
				 const struct drive_options *o,
				 const struct siblings *s, struct err *err)
{
	struct node *node = NULL;
	struct drive *drive;

	if (drive_check_id(&e->graph, id, err) ||
	    blockdev_check_name(e, o->node.node_name, err) ||
	    engine_check_path(e, &o->node, s, err) ||
	    (o->node.path && chain_open(&e->graph, &o->node, &node, err)))
		return -1;
	if ((o->only_plans && node_check_writable(node, err)) ||
	    drive_add(&e->graph, id, node, &o->node, err)) {
		graph_put(node);
		return -1;
	}
	if (node)
		node->forced = o->force;
	drive = drive_find(&e->graph, id);
	drive->on_read_error = o->on_read_error;
	drive->on_write_error = o->on_write_error;
	drive->only_plans = o->only_plans;
	if (!vm_runs(&e->vm))
		drive_stop(drive);
	if (!o->guess_unsaid)
		tell_guesses(e, node);
	engine_tell_marks(e, id, node);
	return 0;
}

static void tell_incomplete(struct engine *e, const char *overlay,
			    const char *at)
{
	char *whole = chain_whole_path(at);

	event_notice(&e->events, "'%s' names a backing file that is missing; "
		     "it was looked for at '%s'. What there is of the disk is "
		     "open, and can only be read. If the file is somewhere "
		     "else now, qemu-img rebase -u -F FORMAT -b WHERE %s mends "
		     "the link, once this is closed", overlay, whole, overlay);
	free(whole);
}

/* Nothing is written while it is opened, either: its headers are looked at
 * first. */
static int add_incomplete(struct engine *e, const struct drive_options *given,
			  struct err *err)
{
	struct drive_options o = *given;
	char *overlay, *at;
	int rc;

	o.incomplete = false;
	if (!o.node.path ||
	    !chain_find_missing(o.node.path, &overlay, &at))
		return engine_add_drive(e, &o, err);
	o.node.read_only = true;
	o.node.allow_missing = true;
	rc = engine_add_drive(e, &o, err);
	if (!rc)
		tell_incomplete(e, overlay, at);
	free(overlay);
	free(at);
	return rc;
}

int engine_add_drive(struct engine *e, const struct drive_options *o,
		     struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	char *id;
	int rc;

	if (o->incomplete)
		return add_incomplete(e, o, err);

	if (o->node.path && !o->node.read_only && !o->force)
		engine_look_path(e, &o->node, &s);
	graph_begin(&e->graph);
	id = choose_id(e, o->id);
	rc = engine_add_drive_held(e, id, o, &s, err);
	graph_end(&e->graph);
	siblings_release(&s);
	free(id);
	return rc;
}

static int drive_del(struct engine *e, const char *id, struct err *err)
{
	struct drive *drive = drive_find(&e->graph, id);

	if (!drive)
		return err_set(err, ERR_DEVICE_NOT_FOUND,
			       "Device '%s' not found", id);
	if (drive->root.node && graph_check_idle(drive->root.node, err))
		return -1;
	if (drive->users)
		return err_set(err, ERR_DEVICE_IN_USE,
			       "Device '%s' is in use", id);
	drive_remove(drive);
	return 0;
}

int engine_drive_del(struct engine *e, const char *id, struct err *err)
{
	int rc;

	graph_begin(&e->graph);
	rc = drive_del(e, id, err);
	graph_end(&e->graph);
	return rc;
}

/* --- the guest --- */

void engine_stop(struct engine *e)
{
	vm_stop(&e->vm);
}

void engine_cont(struct engine *e)
{
	vm_cont(&e->vm);
}

enum vm_state engine_vm_state(struct engine *e)
{
	return e->vm.state;
}

static int failed(const char *what, const char *device, uint64_t off,
		  uint64_t len, int rc, struct err *err)
{
	if (!rc)
		return 0;
	return err_sys(err, rc, "Could not %s %llu bytes at offset %llu of "
		       "'%s'", what, (unsigned long long)len,
		       (unsigned long long)off, device);
}

int engine_read(struct engine *e, const char *device, uint64_t off,
		uint64_t len, void *buf, struct err *err)
{
	struct drive *drive;
	struct node *node;
	int rc = 0;

	rwlock_read(&e->graph.lock);
	node = engine_find(e, device, &drive, err);
	if (node && !drive)
		rc = node_read(node, off, len, buf);
	else if (node)
		drive_get(drive);
	rwlock_drop(&e->graph.lock);
	if (!node)
		return -1;
	if (drive)
		rc = drive_read(drive, off, len, buf);
	drive_put(drive);
	return failed("read", device, off, len, rc, err);
}

/* What may be written is a drive; a lower layer has overlays to look out
 * for. Counted. */
static struct drive *engine_find_drive(struct engine *e, const char *device,
				       bool to_write, struct err *err)
{
	struct drive *drive = NULL;
	struct node *node;

	rwlock_read(&e->graph.lock);
	node = engine_find(e, device, &drive, err);
	if (node && !drive)
		err_set(err, ERR_GENERIC, "Node '%s' is not the active layer "
			"of a drive: it can't be written", device);
	if (drive && to_write && drive->read_only) {
		err_set(err, ERR_GENERIC, "Block node is read-only");
		drive = NULL;
	}
	drive = node && drive ? drive_get(drive) : NULL;
	rwlock_drop(&e->graph.lock);
	return drive;
}

static struct drive *find_to_write(struct engine *e, const char *device,
				   struct err *err)
{
	if (engine_look_first(e, device, err))
		return NULL;
	return engine_find_drive(e, device, true, err);
}

/* Lets go of @d, and tells how what was asked of it ended. */
static int ended(struct drive *d, const char *what, const char *device,
		 uint64_t off, uint64_t len, int rc, struct err *err)
{
	drive_put(d);
	return failed(what, device, off, len, rc, err);
}

int engine_write(struct engine *e, const char *device, uint64_t off,
		 uint64_t len, const void *buf, bool fua, struct err *err)
{
	struct drive *d = find_to_write(e, device, err);

	return !d ? -1 : ended(d, "write", device, off, len,
			       drive_write(d, off, len, buf, fua), err);
}

int engine_zero(struct engine *e, const char *device, uint64_t off,
		uint64_t len, bool unmap, struct err *err)
{
	struct drive *d = find_to_write(e, device, err);

	return !d ? -1 : ended(d, "zero", device, off, len,
			       drive_zero(d, off, len, unmap), err);
}

int engine_discard(struct engine *e, const char *device, uint64_t off,
		   uint64_t len, struct err *err)
{
	struct drive *d = find_to_write(e, device, err);

	return !d ? -1 : ended(d, "discard", device, off, len,
			       drive_discard(d, off, len), err);
}

int engine_flush(struct engine *e, const char *device, struct err *err)
{
	struct drive *d = engine_find_drive(e, device, false, err);
	int rc;

	if (!d)
		return -1;
	rc = drive_flush(d);
	drive_put(d);
	return rc ? err_sys(err, rc, "Could not flush '%s'", device) : 0;
}

/* --- size and shape --- */

static int check_size(const struct node *node, uint64_t size, struct err *err)
{
	if (size > SIZE_MAX_BYTES)
		return err_set(err, ERR_GENERIC,
			       "offset(%llu) exceeds maximum(%llu)",
			       (unsigned long long)size,
			       (unsigned long long)SIZE_MAX_BYTES);
	if (!is_aligned(size, SECTOR))
		return err_set(err, ERR_GENERIC,
			       "The new size must be a multiple of %u",
			       SECTOR);
	if (graph_check_free(node, err))
		return -1;
	if (size < node->size)
		return err_set(err, ERR_NOT_SUPPORTED,
			       "Shrinking images is not supported: '%s' has "
			       "%llu bytes", node->file->path,
			       (unsigned long long)node->size);
	if (node->read_only)
		return err_set(err, ERR_GENERIC, "Image '%s' is read-only",
			       node->file->path);
	return 0;
}

struct node *engine_resolve_resize(struct engine *e, const char *device,
				   uint64_t size, struct err *err)
{
	struct drive *drive;
	struct node *node = engine_find(e, device, &drive, err);

	if (node && size > INT64_MAX) {	/* from a monitor: below 0 */
		err_set(err, ERR_GENERIC,
			"Parameter 'size' expects a >0 size");
		return NULL;
	}
	if (node && !drive)
		err_set(err, ERR_GENERIC, "Node '%s' is not the active layer "
			"of a drive: it can't be resized", device);
	return node && drive && !check_size(node, size, err) &&
	       !node_check_grow(node, size, err) ? node : NULL;
}

int engine_resize(struct engine *e, const char *device, uint64_t size,
		  bool force, struct err *err)
{
	struct node *node;
	int rc;

	if (!force && engine_look_first(e, device, err))
		return -1;
	graph_begin(&e->graph);
	node = engine_resolve_resize(e, device, size, err);
	rc = node ? 0 : -1;
	if (node && size > node->size) {
		graph_hold(node);
		graph_pause(&e->graph);
		rc = node_grow(node, size, err);
	}
	graph_end(&e->graph);
	return rc;
}

static int block_status(struct node *node, uint64_t off, uint64_t *len,
			bool *zero)
{
	struct extent x;
	size_t n;
	int rc = extents_find(node, off, *len, &x, 1, &n);

	if (rc)
		return rc;
	*len = x.len;
	*zero = x.zero;
	return 0;
}

int engine_block_status(struct engine *e, const char *device, uint64_t off,
			uint64_t *len, bool *zero, struct err *err)
{
	uint64_t wanted = *len;
	struct node *node;
	int rc = -1;

	rwlock_read(&e->graph.lock);
	node = engine_find(e, device, NULL, err);
	if (node)
		rc = failed("map", device, off, wanted,
			    block_status(node, off, len, zero), err);
	rwlock_drop(&e->graph.lock);
	return rc;
}
