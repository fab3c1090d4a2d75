/* blockdev.c - nodes that are opened and deleted by name (blockdev-add).
 *
 * Here an image holds its file itself; there is no layer of nodes for bytes
 * below the formats. A node of driver file is a raw image like any other
 * until a format takes it for its file: then its struct file moves over, and
 * its name is kept in a list, so that it can be shown, is not given twice,
 * and comes back when the format is deleted.
 *
 * Whoever opens a node may want to use it as a disk, so it gets an anonymous
 * drive (the gate of stop and cont, mirrored writes), until it becomes a
 * layer below another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/chain/chain.h"
#include "engine/engine_impl.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"
#include "engine/util/mem.h"

static const char *constant_name(const char *driver)
{
	return !strcmp(driver, "host_device") ? "host_device" : "file";
}

static int not_found(const char *name, struct err *err)
{
	return err_set(err, ERR_DEVICE_NOT_FOUND,
		       "Cannot find device='%s' nor node-name='%s'", name,
		       name);
}

/* --- names of files that became parts --- */

struct protocol *protocol_find(struct engine *e, const char *name)
{
	list_for_each(link, &e->protocols) {
		struct protocol *p = container_of(link, struct protocol, link);

		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

struct protocol *protocol_of(struct engine *e, const struct node *node)
{
	list_for_each(link, &e->protocols) {
		struct protocol *p = container_of(link, struct protocol, link);

		if (!strcmp(p->user, node->name))
			return p;
	}
	return NULL;
}

/* Whose part it is, is not known yet. */
static struct protocol *protocol_add(struct engine *e, const char *name,
				     const char *driver,
				     const struct file *file)
{
	struct protocol *p = mem_alloc(sizeof(*p));

	strncpy(p->name, name, sizeof(p->name) - 1);
	p->driver = constant_name(driver);
	p->path = mem_dup(file->path);
	p->no_lock = file->role == LOCKS_NONE;
	p->cache = file->cache;
	list_add(&e->protocols, &p->link);
	return p;
}

static void protocol_free(struct protocol *p)
{
	list_del(&p->link);
	free(p->path);
	free(p);
}

bool blockdev_has_name(struct engine *e, const char *name)
{
	return graph_find(&e->graph, name) || protocol_find(e, name);
}

static int blockdev_duplicate(const char *name, struct err *err)
{
	return err_set(err, ERR_GENERIC,
		       "Duplicate nodes with node-name='%s'", name);
}

int blockdev_check_name(struct engine *e, const char *name, struct err *err)
{
	if (!name)
		return 0;
	if (node_check_name(name, err))
		return -1;
	return blockdev_has_name(e, name) ? blockdev_duplicate(name, err) : 0;
}

/* --- disks --- */

/* What lies on top may be used as a disk. */
static void make_disk(struct engine *e, struct node *node)
{
	struct node_options o = { .cache = node->file->cache };
	struct err err = ERR_INIT;

	if (!node->monitor || drive_of(node) || graph_overlay(node, 0))
		return;
	if (node->monitor_writable && node_set_writable(node, true, &err))
		event_notice(&e->events, "%s", err.text);
	o.read_only = node->read_only;
	drive_add(&e->graph, NULL, graph_get(node), &o, &err);
	node->look_first = !node->forced;
	if (!vm_runs(&e->vm))
		drive_stop(drive_of(node));
}

int blockdev_unmake_disk(struct node *node, struct err *err)
{
	struct drive *drive = drive_of(node);

	if (graph_check_free(node, err))
		return -1;
	if (drive && (*drive->root.id || drive->users))
		return err_set(err, ERR_GENERIC, "Node %s is in use",
			       node->name);
	if (node_set_writable(node, false, err))
		return -1;
	if (drive)
		drive_remove(drive);
	return 0;
}

/* --- opening --- */

static struct node_options node_options(const struct blockdev_options *o)
{
	return (struct node_options){
		.path = o->filename,
		.format = blockdev_is_bytes(o->driver) ? "raw" : o->driver,
		.node_name = o->node_name,
		.data_file = o->data_file,
		.read_only = o->read_only, .no_lock = o->force_share,
		.cache = o->cache,
	};
}

/* A node of driver file that can become a part; NULL and *err. */
static struct node *find_bytes(struct engine *e,
			       const struct blockdev_options *o,
			       struct err *err)
{
	struct node *node = graph_find(&e->graph, o->file_node);
	struct protocol *p = protocol_find(e, o->file_node);

	if (p)
		err_set(err, ERR_GENERIC, "Node '%s' is busy: node is used as "
			"file of '%s'", p->name, p->user);
	else if (!node)
		not_found(o->file_node, err);
	else if (!node->protocol || !blockdev_is_bytes(node->protocol))
		err_set(err, ERR_NOT_SUPPORTED, "Node '%s' is an image; the "
			"file of a node has to be of driver file or "
			"host_device", o->file_node);
	else if (!node->monitor_writable && !o->read_only)
		err_set(err, ERR_GENERIC, "Block node is read-only");
	else if (!blockdev_unmake_disk(node, err))
		return node;
	return NULL;
}

/* The node goes, its file stays, with the lock that the new user needs. NULL
 * and *err where somebody else has that by now: it is a disk again then. */
static struct file *take_bytes(struct engine *e, struct node *node,
			       bool read_only, struct err *err)
{
	struct file *file;

	if (!read_only &&
	    file_set_writable(node->file, true, LOCKS_WRITE, err)) {
		make_disk(e, node);
		return NULL;
	}
	graph_leave(node);
	graph_pause(&e->graph);
	file = node_detach(node);
	graph_resume(&e->graph);
	return file;
}

/* Where it fails the node comes back with the others that have no user. */
static int open_on_bytes(struct engine *e, const struct blockdev_options *o,
			 struct node **out, struct err *err)
{
	struct node_options options = node_options(o);
	struct node *bytes = find_bytes(e, o, err);
	struct protocol *p;
	struct file *file;
	int rc;

	if (!bytes || blockdev_check_name(e, o->node_name, err) ||
	    blockdev_check_files(o, err))
		return -1;
	p = protocol_add(e, bytes->name, bytes->protocol, bytes->file);
	p->read_only = !bytes->monitor_writable;
	p->no_discard = bytes->no_discard;
	file = take_bytes(e, bytes, o->read_only, err);
	if (!file) {
		protocol_free(p);
		return -1;
	}
	graph_pause(&e->graph);
	rc = node_open_file(out, file, &options, err);
	graph_resume(&e->graph);
	if (rc)
		return -1;
	(*out)->file_read_only = p->read_only;
	(*out)->file_no_discard = p->no_discard;
	return 0;
}

/* A disk of zeroes without a file. */
static int open_null(const struct blockdev_options *o, struct node **out,
		     struct err *err)
{
	struct node_options options = node_options(o);
	int fd = memfd_create("null-co", MFD_CLOEXEC);
	char *path = mem_printf("/proc/self/fd/%d", fd);
	int rc = 0;

	options.path = path;
	options.format = "raw";
	if (fd < 0 || ftruncate(fd, (off_t)o->size))
		rc = err_sys(err, errno, "Could not make '%s'", o->driver);
	if (!rc)
		rc = node_open(out, &options, err);
	if (!rc) {
		free((*out)->file->path);
		(*out)->file->path = mem_dup("null-co://");
		(*out)->protocol = "null-co";
	}
	free(path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int open_file(struct engine *e, const struct blockdev_options *o,
		     struct node **out, struct err *err)
{
	struct node_options options = node_options(o);
	int rc;

	graph_pause(&e->graph);
	rc = blockdev_check_files(o, err) ||
	     blockdev_check_beside(e, &options, err) ? -1 : 0;
	if (rc)
		goto out;
	rc = node_open(out, &options, err);
	if (rc && o->auto_read_only && !o->read_only &&
	    (err->errnum == EACCES || err->errnum == EPERM ||
	     err->errnum == EROFS)) {
		*err = (struct err)ERR_INIT;
		options.read_only = true;
		rc = node_open(out, &options, err);
	}
	if (!rc) {
		(*out)->file_read_only = o->file_read_only;
		(*out)->file_no_discard = o->file_no_discard;
	}
out:
	graph_resume(&e->graph);
	return rc;
}

static void add_nested(struct engine *e, const struct blockdev_options *o,
		       const struct node *user)
{
	struct protocol *p = protocol_add(e, o->file_name, o->file_driver,
					  user->file);

	p->read_only = user->file_read_only;
	p->no_discard = user->file_no_discard;
	p->nested = true;
}

static int open_node(struct engine *e, const struct blockdev_options *o,
		     struct node **out, struct err *err)
{
	if (blockdev_check_name(e, o->file_name, err))
		return -1;
	if (o->file_name && o->node_name &&
	    !strcmp(o->file_name, o->node_name))
		return blockdev_duplicate(o->node_name, err);
	if (o->file_node)
		return open_on_bytes(e, o, out, err);
	if (blockdev_check_name(e, o->node_name, err))
		return -1;
	if (!strcmp(o->driver, "null-co"))
		return open_null(o, out, err);
	if (open_file(e, o, out, err))
		return -1;
	if (blockdev_is_bytes(o->driver))
		(*out)->protocol = constant_name(o->driver);
	else if (o->file_name)
		add_nested(e, o, *out);
	return 0;
}

/* --- what lies below --- */

static int open_as_header(struct engine *e, struct node *node, bool no_lock,
			  struct node **below, struct err *err)
{
	const char *name = chain_local_name(node->backing_name);
	struct node_options o = {
		.format = node->backing_format, .read_only = true,
		.no_lock = no_lock, .cache = node->file->cache,
	};
	char *path;
	int rc;

	if (chain_is_remote(name))
		return err_set(err, ERR_GENERIC, "'%s' has a backing file "
			       "that is no local file: name one with "
			       "'backing'", node->file->path);
	if (chain_check_meaning(node->file->path, node->backing_name, err))
		return -1;
	if (!o.format)
		return err_set(err, ERR_GENERIC, "'%s' has a backing file but "
			       "does not record its format: name it with "
			       "'backing'", node->file->path);
	path = chain_resolve(node->file->path, name);
	o.path = path;
	rc = chain_open(&e->graph, &o, below, err);
	if (rc)
		chain_explain_missing(node, path, err);
	free(path);
	return rc;
}

static int use_node(struct engine *e, const char *name, struct node **below,
		    struct err *err)
{
	struct node *node = graph_find(&e->graph, name);

	if (!node)
		return not_found(name, err);
	if (blockdev_unmake_disk(node, err))
		return -1;
	*below = graph_get(node);
	return 0;
}

static int open_with_backing(struct engine *e,
			     const struct blockdev_options *o,
			     struct node **out, struct err *err);

static int open_named_backing(struct engine *e,
			      const struct blockdev_options *o,
			      struct node **below, struct err *err)
{
	const char *name = o->backing_node;
	int rc;

	if (name && o->node_name && !strcmp(name, o->node_name))
		return err_set(err, ERR_GENERIC, "Making '%s' a backing child "
			       "of '%s' would create a cycle", name, name);
	rc = name ? use_node(e, name, below, err) :
	     open_with_backing(e, o->backing_options, below, err);
	if (rc)
		err_prefix(err, "Could not open backing file: ");
	return rc;
}

/* *below NULL: nothing. Else a reference. */
static int open_backing(struct engine *e, const struct blockdev_options *o,
			struct node *node, struct node **below,
			struct err *err)
{
	*below = NULL;
	if (o->backing == BLOCKDEV_BACKING && !node->drv->has_backing)
		return err_set(err, ERR_GENERIC, "Driver '%s' has no backing "
			       "files", o->driver);
	if (o->backing == BLOCKDEV_BACKING)
		return open_named_backing(e, o, below, err);
	if (o->backing == BLOCKDEV_AS_HEADER && node->backing_name)
		return open_as_header(e, node, o->force_share, below,
				      err);
	return 0;
}

static int open_with_backing(struct engine *e,
			     const struct blockdev_options *o,
			     struct node **out, struct err *err)
{
	struct node *node, *below;

	if (open_node(e, o, &node, err))
		return -1;
	if (graph_announce(&e->graph, node, err)) {
		graph_close(&e->graph, node);
		return -1;
	}
	node->no_discard = o->no_discard;
	node->forced = o->force;
	if (o->file_name || o->file_node)
		memcpy(protocol_find(e, o->file_name ? o->file_name :
				     o->file_node)->user, node->name,
		       sizeof(node->name));
	if (open_backing(e, o, node, &below, err)) {
		graph_put(node);
		return -1;
	}
	if (below) {
		graph_link_new(node, below);
		graph_put(below);
	}
	graph_enter(node);
	*out = node;
	return 0;
}

/* NULL where it can't be opened any more. */
static struct node *open_again(struct engine *e, const struct protocol *p)
{
	struct node_options o = {
		.path = p->path, .format = "raw", .node_name = p->name,
		.read_only = p->read_only, .no_lock = p->no_lock,
		.cache = p->cache,
	};
	struct err err = ERR_INIT;
	struct node *node;
	int rc;

	graph_pause(&e->graph);
	rc = node_open(&node, &o, &err);
	graph_resume(&e->graph);
	if (!rc && graph_add(&e->graph, node, &err)) {
		graph_close(&e->graph, node);
		rc = -1;
	}
	return rc ? NULL : node;
}

/* Nodes of driver file whose user is gone come back, when that has let go of
 * their files; if one can't be opened any more its name is free. */
static void revive_bytes(struct engine *e)
{
	graph_close_gone(&e->graph);
	list_for_each_safe(link, &e->protocols) {
		struct protocol *p = container_of(link, struct protocol, link);
		struct node *node;

		if (graph_find(&e->graph, p->user))
			continue;
		node = p->nested ? NULL : open_again(e, p);
		if (node) {
			node->protocol = p->driver;
			node->monitor = true;
			node->monitor_writable = !p->read_only;
			node->no_discard = p->no_discard;
			make_disk(e, node);
		}
		protocol_free(p);
	}
}

void blockdev_settle(struct engine *e)
{
	revive_bytes(e);
	list_for_each(link, &e->graph.nodes)
		make_disk(e, container_of(link, struct node, link));
}

int engine_blockdev_add(struct engine *e, const struct blockdev_options *o,
			struct err *err)
{
	struct node *node;
	int rc;

	graph_begin(&e->graph);
	rc = open_with_backing(e, o, &node, err);
	if (!rc) {
		node->monitor = true;
		node->monitor_writable = !node->read_only;
		make_disk(e, node);
		engine_tell_marks_of(e, node);
	} else {
		revive_bytes(e);
	}
	graph_end(&e->graph);
	return rc;
}

/* --- deleting --- */

/* A job holds its images, and not the filter whose name may stand for one. */
static int check_delete(const struct node *node, const char *name,
			struct err *err)
{
	const struct drive *drive = drive_of(node);
	const struct node *above = graph_overlay((struct node *)node, 0);
	bool is_filter = strcmp(name, node->name);

	if (drive && (*drive->root.id || drive->users))
		return err_set(err, ERR_GENERIC, "Node %s is in use", name);
	if (!(above && is_filter) && graph_check_idle(node, err))
		return -1;
	if (above)
		return engine_lies_below(name, above->name, err);
	if (!node->monitor)
		return err_set(err, ERR_GENERIC, "Node %s is not owned by the "
			       "monitor", node->name);
	if (node->refs > 1 + !!drive)
		return err_set(err, ERR_GENERIC, "Block device %s is in use",
			       node->name);
	return 0;
}

/* What lay below is a disk again. */
static void delete_node(struct engine *e, struct node *node)
{
	struct drive *drive = drive_of(node);

	if (drive)
		drive_remove(drive);
	node->monitor = false;
	graph_put(node);
	blockdev_settle(e);
}

int engine_blockdev_del(struct engine *e, const char *name, struct err *err)
{
	const struct protocol *part;
	struct node *node;
	int rc = -1;

	graph_begin(&e->graph);
	node = graph_find(&e->graph, name);
	part = protocol_find(e, name);
	if (!node && part && part->nested)
		err_set(err, ERR_GENERIC, "Node %s is not owned by the monitor",
			name);
	else if (!node && part)
		err_set(err, ERR_GENERIC, "Block device %s is in use", name);
	else if (!node)
		err_set(err, ERR_GENERIC, "Failed to find node with "
			"node-name='%s'", name);
	else
		rc = check_delete(node, name, err);
	if (!rc)
		delete_node(e, node);
	graph_end(&e->graph);
	return rc;
}

void blockdev_release(struct engine *e)
{
	list_for_each_safe(link, &e->protocols)
		protocol_free(container_of(link, struct protocol, link));
	for (;;) {
		struct node *found = NULL;

		list_for_each(link, &e->graph.nodes) {
			struct node *node = container_of(link, struct node,
							 link);

			if (node->monitor)
				found = node;
		}
		if (!found)
			return;
		found->monitor = false;
		graph_put(found);
	}
}
