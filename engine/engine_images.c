/* engine_images.c - the facade's part on single images: what their headers
 * say, thresholds, internal snapshots.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/engine_impl.h"
#include "engine/chain/graph.h"
#include "engine/image/image_info.h"
#include "engine/chain/node_open.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

int engine_set_write_threshold(struct engine *e, const char *node_name,
			       uint64_t threshold, struct err *err)
{
	struct node *node;

	rwlock_read(&e->graph.lock);
	node = graph_find(&e->graph, node_name);
	if (node)
		node->write_threshold = threshold;
	rwlock_drop(&e->graph.lock);
	return node ? 0 : err_set(err, ERR_DEVICE_NOT_FOUND,
				  "Device '%s' not found", node_name);
}

/* --- another backing file in a header --- */

static struct node *find_image(struct engine *e, const char *device,
			       const char *node_name, struct err *err)
{
	struct drive *drive;
	struct node *top = engine_find_root(e, device, &drive, err), *image;

	if (!top)
		return NULL;
	image = graph_find(&e->graph, node_name);
	if (!image && !protocol_find(e, node_name))
		err_set(err, ERR_DEVICE_NOT_FOUND, "Cannot find device='' "
			"nor node-name='%s'", node_name);
	else if (!image || !image->backing)
		err_set(err, ERR_GENERIC, "not allowing backing file change "
			"on an image without a backing file");
	else if (!chain_has(top, image))
		err_set(err, ERR_GENERIC, "'%s' and image file are not in "
			"the same chain", device);
	else if (!graph_check_free(image, err))
		return image;
	return NULL;
}

/* What is open below is known; of another image no more than what the header
 * says, which may speak of that one. */
static const char *format_below(const struct node *node, const char *words)
{
	return !node->backing_name ||
	       chain_leads_to(node->file->path, words, node->backing->file) ?
	       node->backing->drv->name : node->backing_format;
}

/* A lower image is writable for this one write. */
static int write_backing(struct node *node, const char *words, struct err *err)
{
	bool was_read_only = node->read_only;
	struct err back = ERR_INIT;
	int rc = node_set_writable(node, true, err);

	if (rc)
		return rc;
	graph_hold(node);
	rc = node->drv->set_backing(node, words, format_below(node, words),
				    err);
	if (was_read_only && node_set_writable(node, false, &back) && !rc) {
		*err = back;
		rc = -1;
	}
	return rc;
}

int engine_change_backing_file(struct engine *e, const char *device,
			       const char *node_name, const char *name,
			       bool force, struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	struct node *image;
	char *words = NULL;
	int rc = -1;

	if (!force)
		engine_look(e, device, &s);
	graph_begin(&e->graph);
	image = find_image(e, device, node_name, err);
	if (image)
		words = chain_name_given(image, image->backing, name);
	if (image && !force &&
	    siblings_check_headers(&s, image, image->backing, words,
				   "another backing file below it", err))
		image = NULL;
	if (image)
		rc = write_backing(image, words, err);
	graph_end(&e->graph);
	siblings_release(&s);
	free(words);
	return rc;
}

/* --- internal snapshots --- */

struct node *internal_node(struct engine *e, const char *device,
			   struct drive **drive, struct err *err)
{
	struct node *node = engine_find_root(e, device, drive, err);

	if (!node || graph_check_free(node, err))
		return NULL;
	if (!node->drv->snapshot_create)
		err_set(err, ERR_GENERIC, "Block format '%s' used by device "
			"'%s' does not support internal snapshots",
			node->drv->name, device);
	else if (node->read_only)
		err_set(err, ERR_GENERIC, "Device '%s' is read only", device);
	else
		return node;
	return NULL;
}

static bool images_matches(const struct snapshot_info *s, const char *id,
			   const char *name)
{
	return (!id || !strcmp(s->id, id)) &&
	       (!name || !strcmp(s->name, name));
}

static bool snapshot_find(struct node *node, const char *id, const char *name,
			  struct snapshot_info *out)
{
	struct image_info image = { 0 };
	bool found = false;

	node->drv->info(node, &image);
	for (size_t i = 0; i < image.snapshot_count && !found; i++) {
		found = images_matches(&image.snapshots[i], id, name);
		if (!found)
			continue;
		*out = image.snapshots[i];
		out->id = mem_dup(out->id);
		out->name = mem_dup(out->name);
	}
	image_info_release(&image);
	return found;
}

int internal_there(const char *device, const char *name, struct err *err)
{
	return err_set(err, ERR_GENERIC, "Snapshot with name '%s' already "
		       "exists on device '%s'", name, device);
}

int internal_take(struct node *node, const char *device, const char *name,
		  bool dry, struct err *err)
{
	struct snapshot_wish wish = { .name = name, .dry = dry,
				      .wall_us = clock_wall_us() };
	struct snapshot_info other;

	if (!snapshot_find(node, NULL, name, &other))
		return node->drv->snapshot_create(node, &wish, err);
	snapshot_info_release(&other);
	return internal_there(device, name, err);
}

int internal_take_back(struct node *node, const char *name, struct err *err)
{
	struct snapshot_info info;
	int rc;

	if (!snapshot_find(node, NULL, name, &info))
		return 0;
	rc = node->drv->snapshot_delete(node, info.id, err);
	snapshot_info_release(&info);
	return rc;
}

int engine_snapshot_internal(struct engine *e, const char *device,
			     const char *name, struct err *err)
{
	struct snapshot_options o = { .device = device, .internal = name };

	return engine_snapshot(e, &o, NULL, err);
}

static int images_snapshot_delete(struct node *node, const char *device,
				  const char *id, const char *name,
				  struct snapshot_info *out, struct err *err)
{
	int rc;

	if (!snapshot_find(node, id, name, out))
		return err_set(err, ERR_GENERIC, "Snapshot with id '%s' and "
			       "name '%s' does not exist on device '%s'",
			       id ? id : "null", name ? name : "null",
			       device);
	rc = node->drv->snapshot_delete(node, out->id, err);
	if (rc)
		snapshot_info_release(out);
	return rc;
}

int engine_snapshot_delete(struct engine *e, const char *device,
			   const char *id, const char *name,
			   struct snapshot_info *out, struct err *err)
{
	struct drive *drive;
	struct node *node;
	int rc = -1;

	graph_begin(&e->graph);
	node = internal_node(e, device, &drive, err);
	if (node && !id && !name) {
		err_set(err, ERR_GENERIC, "Name or id must be provided");
	} else if (node) {
		graph_hold(node);
		graph_pause(&e->graph);
		rc = images_snapshot_delete(node, device, id, name, out, err);
	}
	graph_end(&e->graph);
	return rc;
}
