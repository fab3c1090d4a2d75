/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/qmp/json/text.h"

#define US_PER_SEC 1000000ull
#define NS_PER_SECOND 1000000000ull

int nodes_init(struct nodes *nodes, struct engine *engine, struct err *err)
{
	int rc = engine_query_nodes(engine, &nodes->list, &nodes->n);

	nodes->chain = mem_try(nodes->n + 1, sizeof(*nodes->chain));
	if (!rc && nodes->chain)
		return 0;
	nodes_release(nodes);
	return err_sys(err, ENOMEM, "No list of images");
}

void nodes_release(struct nodes *nodes)
{
	for (size_t i = 0; nodes->chain && i < nodes->n; i++)
		json_decref(nodes->chain[i]);
	free(nodes->chain);
	node_info_free(nodes->list, nodes->n);
}

const struct node_info *nodes_find(const struct nodes *nodes,
				   const char *name)
{
	for (size_t i = 0; *name && i < nodes->n; i++)
		if (!strcmp(nodes->list[i].name, name))
			return &nodes->list[i];
	return NULL;
}

static void set_int(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, qmp_text(text));
}

static void set_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new(object, key, json_boolean(value));
}

json_t *nodes_snapshot(const struct snapshot_info *s)
{
	json_t *info = json_object();

	set_text(info, "id", s->id);
	set_text(info, "name", s->name);
	set_int(info, "vm-state-size", s->vm_state_bytes);
	set_int(info, "date-sec", s->wall_us / US_PER_SEC);
	set_int(info, "date-nsec", s->wall_us % US_PER_SEC * 1000);
	set_int(info, "vm-clock-sec", s->vm_clock_ns / NS_PER_SECOND);
	set_int(info, "vm-clock-nsec", s->vm_clock_ns % NS_PER_SECOND);
	if (s->icount != UINT64_MAX)
		set_int(info, "icount", s->icount);
	return info;
}

static void nodes_add_snapshots(json_t *info, const struct image_info *image)
{
	json_t *list;

	if (!image->snapshot_count)
		return;
	list = json_array();
	for (size_t i = 0; i < image->snapshot_count; i++)
		json_array_append_new(list,
				      nodes_snapshot(&image->snapshots[i]));
	json_object_set_new(info, "snapshots", list);
}

static void add_bitmaps(json_t *data, const struct image_info *image)
{
	json_t *list;

	if (!image->qcow2.bitmap_count)
		return;
	list = json_array();
	for (size_t i = 0; i < image->qcow2.bitmap_count; i++)
		json_array_append_new(list, json_pack("{s:o}", "name",
				      qmp_text(image->qcow2.bitmaps[i])));
	json_object_set_new(data, "bitmaps", list);
}

/* An image of version 2 ("0.10") has no place for the other members. */
static void nodes_add_specific(json_t *info, const struct image_info *image)
{
	json_t *data;

	if (!image->format || strcmp(image->format, "qcow2"))
		return;
	data = json_object();
	set_text(data, "compat", image->qcow2.compat);
	set_text(data, "compression-type", image->qcow2.compression);
	set_int(data, "refcount-bits", image->qcow2.refcount_bits);
	if (strcmp(image->qcow2.compat, "0.10")) {
		set_bool(data, "lazy-refcounts", image->qcow2.lazy_refcounts);
		set_bool(data, "corrupt", image->corrupt);
		set_bool(data, "extended-l2", image->qcow2.extended_l2);
	}
	if (image->qcow2.data_file) {
		set_text(data, "data-file", image->qcow2.data_file);
		set_bool(data, "data-file-raw", image->qcow2.data_file_raw);
	}
	add_bitmaps(data, image);
	json_object_set_new(info, "format-specific",
			    json_pack("{s:s, s:o}", "type", "qcow2", "data",
				      data));
}

static json_t *image_info(const struct image_info *image)
{
	json_t *info = json_object();

	set_text(info, "filename", image->filename);
	set_text(info, "format", image->format);
	set_int(info, "virtual-size", image->virtual_size);
	set_int(info, "actual-size", image->actual_size);
	if (image->cluster_size)
		set_int(info, "cluster-size", image->cluster_size);
	set_bool(info, "dirty-flag", image->dirty);
	if (image->encrypted)
		set_bool(info, "encrypted", true);
	if (image->compressed)
		set_bool(info, "compressed", true);
	set_text(info, "backing-filename", image->backing_filename);
	set_text(info, "full-backing-filename", image->full_backing_filename);
	set_text(info, "backing-filename-format", image->backing_format);
	nodes_add_snapshots(info, image);
	nodes_add_specific(info, image);
	return info;
}

/* The image and, nested in "backing-image", those below it; borrowed. Each is
 * made once: nested in all that stand on it they would be the square of the
 * chain's length. */
static json_t *image_chain(const struct nodes *nodes,
			   const struct node_info *node)
{
	json_t **made = &nodes->chain[node - nodes->list];
	const struct node_info *below;
	json_t *info = *made;

	if (info)
		return info;
	info = *made = image_info(&node->image);
	below = nodes_find(nodes, node->backing);
	if (below)
		json_object_set(info, "backing-image",
				image_chain(nodes, below));
	return info;
}

static void nodes_add_limits(json_t *info)
{
	static const char *const limits[] = {
		"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr",
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		set_int(info, limits[i], 0);
}

static json_t *cache_info(enum file_cache cache)
{
	return json_pack("{s:b, s:b, s:b}", "writeback", 1,
			 "direct", cache == FILE_CACHE_NONE,
			 "no-flush", cache == FILE_CACHE_UNSAFE);
}

json_t *nodes_device_info(const struct nodes *nodes,
			  const struct node_info *node, bool flat)
{
	const struct node_info *below = nodes_find(nodes, node->backing);
	json_t *info = json_object();

	set_text(info, "file", node->file);
	set_text(info, "node-name", node->name);
	set_bool(info, "ro", node->read_only);
	set_text(info, "drv", node->driver);
	if (below && !node->filter)
		set_text(info, "backing_file", below->file);
	set_int(info, "backing_file_depth", flat ? 0 : node->backing_depth);
	set_bool(info, "encrypted", node->image.encrypted);
	set_text(info, "detect_zeroes", "off");
	nodes_add_limits(info);
	json_object_set_new(info, "cache", cache_info(node->cache));
	set_int(info, "write_threshold", node->write_threshold);
	if (flat)
		json_object_set_new(info, "image", image_info(&node->image));
	else
		json_object_set(info, "image", image_chain(nodes, node));
	return info;
}
