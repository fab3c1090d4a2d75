/* snapshot.c - new overlays on top of drives, and snapshots inside of them,
 * several at one moment.
 *
 * The overlays are made, durable and open, before the guest notices anything;
 * only the switch itself holds the gates of the disks, all of them under one
 * hold, so they are of one point in time; inside an image a snapshot is taken
 * then. What can fail comes before the first link; if it does, what was made
 * is taken back, the last first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/drive.h"
#include "engine/engine.h"
#include "engine/engine_impl.h"
#include "engine/chain/format.h"
#include "engine/chain/graph.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/util/mem.h"
#include "engine/snapshot_impl.h"
#include "engine/util/str.h"

static const char *words(const char *s)
{
	return s ? s : "";
}

static struct node *find_node(struct snapshot *s, struct err *err)
{
	struct graph *g = &s->engine->graph;
	const char *name = s->o->node_name;
	struct node *node = NULL, *above;

	s->drive = NULL;
	if (s->o->device)
		s->drive = drive_find(g, s->o->device);
	if (!s->drive && name)
		node = graph_find(g, name);
	if (s->drive && !s->drive->root.node) {
		err_set(err, ERR_GENERIC, "Device '%s' has no medium",
			s->drive->root.id);
		return NULL;
	}
	if (s->drive)
		return s->drive->root.node;
	if (!node) {
		err_set(err, ERR_DEVICE_NOT_FOUND,
			"Cannot find device='%s' nor node-name='%s'",
			words(s->o->device), words(name));
		return NULL;
	}
	s->drive = drive_of(node);
	above = graph_overlay(node, 0);
	if (s->drive)
		return node;
	if (above)
		engine_lies_below(name, above->name, err);
	else
		err_set(err, ERR_GENERIC, "Node '%s' is not the active layer "
			"of a disk", name);
	return NULL;
}

static int check_format(const struct snapshot *s, struct err *err)
{
	const struct driver *drv = format_find(s->format);

	if (!drv)
		return err_set(err, ERR_GENERIC, "Unknown file format '%s'",
			       s->format);
	if (!drv->has_backing)
		return err_set(err, ERR_GENERIC, "Backing file not supported "
			       "for file format '%s'", s->format);
	return 0;
}

static int snapshot_check_name(const struct snapshot *s, struct err *err)
{
	const char *name = s->o->snapshot_node_name;

	if (s->o->overlay)
		return 0;
	if (!name && s->o->node_name)
		return err_set(err, ERR_GENERIC,
			       "New overlay node-name missing");
	if (name && (blockdev_has_name(s->engine, name) ||
		     drive_find(&s->engine->graph, name)))
		return err_set(err, ERR_GENERIC,
			       "New overlay node-name already in use");
	return node_check_name(name, err);
}

int snapshot_file_held(const struct snapshot *s, struct err *err)
{
	return err_set(err, ERR_GENERIC, "Failed to get \"write\" lock\n"
		       "Is another process using the image [%s]?", s->path);
}

/* The file must be none that is open here. */
static int snapshot_check_file(const struct snapshot *s, struct err *err)
{
	struct node *other;
	struct file id;

	if (s->path == s->o->file && chain_is_protocol(s->path))
		return err_set(err, ERR_GENERIC, "Unknown protocol '%.*s'",
			       (int)strcspn(s->path, ":"), s->path);
	if (!chain_identify(s->path, &id))
		return 0;
	other = graph_find_file(&s->engine->graph, &id);
	if (!other)
		return 0;
	if (other == s->old && !s->o->existing)
		return err_set(err, ERR_GENERIC, "Error: Trying to create an "
			       "image with the same filename as the backing "
			       "file");
	snapshot_file_held(s, err);
	chain_tell_place(other, err);
	return -1;
}

static int check_depth(const struct snapshot *s, struct err *err)
{
	if (chain_depth(s->old) + 2 <= CHAIN_DEPTH_MAX)
		return 0;
	return err_set(err, ERR_GENERIC, "The backing chain of '%s' has %u "
		       "images already", s->old->name, CHAIN_DEPTH_MAX);
}

/* What the switch asks again, for until then others may come. */
static int snapshot_check_still(const struct snapshot *s, struct err *err)
{
	if (s->drive->root.node != s->old || s->old->size != s->size)
		return err_set(err, ERR_GENERIC, "Node '%s' was changed "
			       "while the snapshot was made", s->old->name);
	return graph_check_free(s->old, err);
}

static int snapshot_check_new(struct snapshot *s, struct err *err)
{
	if (s->o->internal)
		return *s->o->internal ? 0 :
		       err_set(err, ERR_GENERIC, "Name is empty");
	if (snapshot_check_still(s, err) || check_format(s, err) ||
	    snapshot_check_name(s, err) || check_depth(s, err))
		return -1;
	return s->path ? snapshot_check_file(s, err) : 0;
}

/* Graph write-held. */
static int snapshot_look(struct snapshot *s, struct err *err)
{
	s->old = s->o->internal ? internal_node(s->engine, s->o->device,
						&s->drive, err) :
				  find_node(s, err);
	if (!s->old)
		return -1;
	s->size = s->old->size;
	if (snapshot_check_new(s, err)) {
		s->old = NULL;
		return -1;
	}
	graph_get(s->old);
	graph_add_gate(&s->engine->graph, &s->gate, &s->old);
	drive_get(s->drive);
	return 0;
}

/* --- the file --- */

static int open_old_file(struct snapshot *s, struct file **file,
			 struct err *err)
{
	struct file_options fo = {
		.path = s->path, .writable = true, .role = LOCKS_WRITE,
		.cache = s->drive->cache,
	};
	int rc;

	if (file_open(file, &fo, err))
		return -1;
	rc = (*file)->block_device ? -EINVAL : file_truncate(*file, 0);
	if (!rc)
		return 0;
	file_close(*file);
	return err_sys(err, rc, "Could not overwrite '%s'", s->path);
}

static int make_file(struct snapshot *s, struct file **file, struct err *err)
{
	enum file_cache cache = s->drive->cache;
	mode_t mode = (s->old->file->mode & 0777) | 0600;

	if (!file_create(file, s->path, mode, false, cache, err)) {
		s->created = true;
		file_adopt(*file, s->old->file);
		return 0;
	}
	if (err->errnum != EEXIST)
		return -1;
	if (s->o->overwrite)
		return open_old_file(s, file, err);
	s->filled = !file_create(file, s->path, mode, true, cache, err);
	return s->filled ? 0 : -1;
}

int snapshot_header(struct snapshot *s, struct qcow2_create *create,
		    struct err *err)
{
	const char *old = s->old->file->path;

	s->backing_name = chain_name_from(s->path, s->old, old,
					  *old != '/' && *s->path != '/', err);
	*create = (struct qcow2_create){
		.size = s->size, .backing_name = s->backing_name,
		.backing_format = s->old->drv->name,
	};
	return s->backing_name ? 0 : -1;
}

static int fill_file(struct snapshot *s, struct file *file, struct err *err)
{
	struct qcow2_create create;
	int rc;

	if (snapshot_header(s, &create, err))
		return -1;
	rc = qcow2_create(file, &create);
	if (!rc)
		rc = file_sync_dir(s->path);
	return rc ? err_sys(err, rc, "Could not create '%s'", s->path) : 0;
}

static int make_overlay(struct snapshot *s, const struct node_options *o,
			struct err *err)
{
	struct file *file;

	if (make_file(s, &file, err))
		return -1;
	if (fill_file(s, file, err) ||
	    (o->read_only && file_set_writable(file, false, LOCKS_READ, err))) {
		file_close(file);
		return -1;
	}
	return node_open_file(&s->overlay, file, o, err);
}

struct node_options snapshot_node(const struct snapshot *s)
{
	return (struct node_options){
		.path = s->path, .format = s->format,
		.node_name = s->o->snapshot_node_name,
		.read_only = s->drive->read_only, .cache = s->drive->cache,
	};
}

static int snapshot_open_overlay(struct snapshot *s, struct err *err)
{
	struct node_options o = snapshot_node(s);

	return s->o->existing ? node_open(&s->overlay, &o, err) :
				make_overlay(s, &o, err);
}

/* --- an overlay that is open already --- */

static int overlay_is_used(struct err *err)
{
	return err_set(err, ERR_GENERIC, "The overlay is already in use");
}

static int check_overlay(const struct snapshot *s, struct err *err)
{
	struct node *overlay = s->overlay;
	struct drive *user = drive_of(overlay);

	if (user && (*user->root.id || user->users))
		return overlay_is_used(err);
	if (overlay->backing)
		return err_set(err, ERR_GENERIC,
			       "The overlay already has a backing image");
	if (!overlay->drv->has_backing)
		return err_set(err, ERR_GENERIC,
			       "The overlay does not support backing images");
	if (chain_has(s->old, overlay))
		return err_set(err, ERR_GENERIC, "Making '%s' a backing child "
			       "of '%s' would create a cycle", s->old->name,
			       overlay->name);
	if (graph_overlay(overlay, 0))
		return overlay_is_used(err);
	return graph_check_free(overlay, err);
}

/* Graph write-held. */
static int look_up_overlay(struct snapshot *s, struct err *err)
{
	const char *name = s->o->overlay;
	struct node *overlay = graph_find(&s->engine->graph, name);

	if (!overlay && protocol_find(s->engine, name))
		return overlay_is_used(err);
	if (!overlay)
		return err_set(err, ERR_DEVICE_NOT_FOUND, "Cannot find "
			       "device='%s' nor node-name='%s'", name, name);
	s->overlay = graph_get(overlay);
	s->entered = true;
	return check_overlay(s, err);
}

/* --- the switch; graph write-held --- */

/* All that can fail; from here on no request of the disk is under way. */
static int admit(struct snapshot *s, struct err *err)
{
	graph_hold(s->old);
	if (snapshot_check_still(s, err) || snapshot_check_name(s, err))
		return -1;
	if (s->o->overlay) {
		s->opened = s->overlay->read_only && !s->drive->read_only;
		if (check_overlay(s, err) ||
		    (s->opened && node_set_writable(s->overlay, true, err)))
			return -1;
	} else {
		if (graph_add(&s->engine->graph, s->overlay, err))
			return -1;
		s->entered = true;
	}
	s->closed_old = !s->old->read_only;
	if (!node_set_writable(s->old, false, err))
		return 0;
	s->closed_old = false;
	return -1;
}

/* Inside what will be the active layer once those before it are linked. Who
 * only looks at the graph need not wait for it. */
static int take_inside(const struct snapshot *all, struct snapshot *s,
		       struct err *err)
{
	struct node *node = s->old;
	int rc;

	graph_hold(s->old);
	if (snapshot_check_still(s, err))
		return -1;
	for (const struct snapshot *other = all; other < s; other++)
		if (other->drive == s->drive && other->overlay)
			node = other->overlay;
	graph_pause(&s->engine->graph);
	rc = internal_take(node, s->o->device, s->o->internal, false,
			   err);
	graph_resume(&s->engine->graph);
	if (!rc)
		s->inside = node;
	return rc;
}

static void snapshot_take_back(struct snapshot *s)
{
	struct err err = ERR_INIT;

	if (s->inside)
		internal_take_back(s->inside, s->o->internal, &err);
	if (s->opened)
		node_set_writable(s->overlay, false, &err);
	if (s->closed_old)
		node_set_writable(s->old, true, &err);
	if (err.class)
		event_notice(&s->engine->events, "%s", err.text);
}

static void link_overlay(struct snapshot *s)
{
	struct drive *own = drive_of(s->overlay);

	if (own)
		drive_remove(own);
	s->overlay->look_first = false;
	graph_link(s->overlay, s->old);
	s->drive->root.node = s->overlay;
	graph_put(s->old);
	s->overlay = NULL;
}

static int switch_all(struct snapshot *s, size_t n, struct err *err)
{
	size_t i = 0;

	while (i < n && !(s[i].o->internal ? take_inside(s, &s[i], err) :
			  admit(&s[i], err)))
		i++;
	if (i < n) {
		do
			snapshot_take_back(&s[i]);
		while (i-- > 0);
		return -1;
	}
	for (i = 0; i < n; i++)
		if (s[i].overlay)
			link_overlay(&s[i]);
	return 0;
}

/* The bulk of the flush, while the guest still works, as if it were one of its
 * requests; but who stops the guest need not wait for it. */
static int flush_old(struct snapshot *s, struct err *err)
{
	int rc = 0;

	gate_enter(&s->gate);
	if (!s->old->read_only)
		rc = node_flush(s->old);
	gate_leave(&s->gate);
	return rc ? err_sys(err, rc, "Could not flush '%s'",
			    s->old->file->path) : 0;
}

static void snapshot_add_value(struct str *line, const char *value)
{
	for (; *value; value++) {
		if (*value == ',')
			str_add_char(line, ',');
		str_add_char(line, *value);
	}
}

static char *formatting_line(const struct snapshot *s)
{
	struct str line = STR_INIT;

	if (s->o->existing || s->o->overlay || s->o->internal)
		return NULL;
	str_addf(&line, "Formatting '%s', fmt=%s cluster_size=65536 "
		 "extended_l2=off compression_type=zlib size=%llu "
		 "backing_file=", s->o->file, s->format,
		 (unsigned long long)s->size);
	snapshot_add_value(&line, s->backing_name);
	str_addf(&line, " backing_fmt=%s lazy_refcounts=off refcount_bits=16",
		 s->old->drv->name);
	return str_detach(&line);
}

/* --- all together --- */

static const char *name_above(const struct snapshot_options *o)
{
	return o->overlay ? o->overlay :
	       o->snapshot_node_name ? o->snapshot_node_name : o->file;
}

/* One guest's disk with two overlays of one moment makes no sense. */
static int check_twice(const struct snapshot *all, const struct snapshot *s,
		       struct err *err)
{
	for (const struct snapshot *other = all; other < s; other++)
		if (other->drive == s->drive && !other->o->internal &&
		    !s->o->internal)
			return engine_lies_below(s->old->name,
						 name_above(other->o), err);
	return 0;
}

/* A file that is there already is going to be written, or to be made anew;
 * what was made before it may read from it. */
static int snapshot_look_first(const struct snapshot *s, struct err *err)
{
	struct graph *g = &s->engine->graph;
	struct siblings found = SIBLINGS_INIT;
	int rc = 0;

	rwlock_read(&g->lock);
	if (s->o->overlay && !s->overlay->forced && !s->drive->read_only)
		siblings_note(&found, s->overlay);
	rwlock_drop(&g->lock);
	if (s->o->existing || s->o->overwrite)
		siblings_note_path(&found, s->path);
	siblings_look(&found, g);
	graph_begin(g);
	if (s->path)
		rc = siblings_check_path(&found, g, s->path,
					 "a snapshot into it", err);
	else if (s->overlay)
		rc = siblings_check(&found, s->overlay, "to write to it", err);
	graph_end(g);
	siblings_release(&found);
	return rc;
}

int snapshot_examine(struct snapshot *all, struct snapshot *s, struct err *err)
{
	struct graph *g = &s->engine->graph;
	int rc;

	if (s->o->abort)
		return err_set(err, ERR_GENERIC, "Transaction aborted using "
			       "Abort action");
	if (!s->o->overlay && !s->o->internal && !*words(s->o->file))
		return err_set(err, ERR_GENERIC,
			       "Parameter 'snapshot-file' is missing");
	s->format = s->o->format ? s->o->format : "qcow2";
	s->path = s->o->file ? chain_local_name(s->o->file) : NULL;
	graph_begin(g);
	rc = snapshot_look(s, err);
	if (!rc)
		rc = check_twice(all, s, err);
	if (!rc && s->o->overlay)
		rc = look_up_overlay(s, err);
	graph_end(g);
	if (!rc && !s->o->force && !s->o->internal)
		rc = snapshot_look_first(s, err);
	return rc;
}

static int snapshot_prepare(struct snapshot *all, struct snapshot *s,
			    struct err *err)
{
	int rc = snapshot_examine(all, s, err);

	if (!rc && s->path)
		rc = snapshot_open_overlay(s, err);
	return rc ? -1 : flush_old(s, err);
}

void snapshot_let_go(struct snapshot *s)
{
	if (s->overlay && s->entered)
		graph_put(s->overlay);
	else if (s->overlay)
		graph_close(&s->engine->graph, s->overlay);
	if (s->old)
		graph_remove_gate(&s->gate);
	graph_put(s->old);
}

void snapshot_release(struct snapshot *s, bool failed)
{
	if (s->old)
		drive_put(s->drive);
	if (failed && s->created)
		unlink(s->path);
	else if (failed && s->filled && truncate(s->path, 0))
		event_notice(&s->engine->events, "'%s' was empty, and is not "
			     "any more", s->path);
	free(s->backing_name);
}

int engine_snapshots(struct engine *e, const struct snapshot_options *o,
		     size_t n, char **formatting, struct err *err)
{
	struct snapshot *s = mem_try(n + 1, sizeof(*s));
	size_t i;
	int rc = 0;

	if (!s)
		return err_sys(err, ENOMEM, "No snapshot");
	for (i = 0; i < n; i++) {
		s[i].engine = e;
		s[i].o = &o[i];
		formatting[i] = NULL;
	}
	for (i = 0; i < n && !rc; i++)
		rc = snapshot_prepare(s, &s[i], err);
	graph_begin(&e->graph);
	if (!rc)
		rc = switch_all(s, n, err);
	for (i = 0; i < n; i++) {
		if (!rc)
			formatting[i] = formatting_line(&s[i]);
		snapshot_let_go(&s[i]);
	}
	graph_end(&e->graph);
	for (i = 0; i < n; i++)
		snapshot_release(&s[i], rc);
	free(s);
	return rc;
}

int engine_snapshot(struct engine *e, const struct snapshot_options *o,
		    char **formatting, struct err *err)
{
	char *line = NULL;
	int rc = engine_snapshots(e, o, 1, &line, err);

	if (formatting)
		*formatting = line;
	else
		free(line);
	return rc;
}
