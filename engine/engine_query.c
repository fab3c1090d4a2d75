/* engine_query.c - copies of what is there, for those who look. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/drive.h"
#include "engine/engine.h"
#include "engine/engine_impl.h"
#include "engine/chain/graph.h"
#include "engine/image/image_info.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

static char *full_name(const struct node *node)
{
	if (chain_is_remote(chain_local_name(node->backing_name)))
		return mem_dup(node->backing_name);
	return chain_resolve(node->file->path, node->backing_name);
}

static void fill_image(struct image_info *image, struct node *node)
{
	image->filename = mem_dup(node->file->path);
	image->format = node->drv->name;
	image->virtual_size = node->size;
	image->actual_size = file_disk_bytes(node->file);
	if (node->backing_name) {
		image->backing_filename = mem_dup(node->backing_name);
		image->full_backing_filename = full_name(node);
		image->backing_format = mem_dup(node->backing_format);
	}
	node->drv->info(node, image);
	if (node->protocol)
		image->format = node->protocol;
}

static void fill_node(struct node_info *info, struct node *node)
{
	memcpy(info->name, node->name, sizeof(info->name));
	info->file = mem_dup(node->file->path);
	info->driver = node->protocol ? node->protocol : node->drv->name;
	info->read_only = node->read_only;
	info->active = drive_of(node);
	info->cache = node->file->cache;
	info->write_threshold = node->write_threshold;
	info->backing_depth = chain_depth(node);
	if (node->backing)
		memcpy(info->backing, node->backing->name,
		       sizeof(info->backing));
	if (node->claim)
		snprintf(info->job, sizeof(info->job), "%s", node->claim->id);
	info->wr_highest_offset = node->file->write_highest;
	info->written = file_written(node->file);
	info->path = file_path(node->file);
	info->dev = node->file->dev;
	fill_image(&info->image, node);
}

static void fill_protocol(struct node_info *info, const struct protocol *p,
			  const struct node *user)
{
	memcpy(info->name, p->name, sizeof(info->name));
	info->bytes = true;
	info->file = mem_dup(p->path);
	info->driver = p->driver;
	info->read_only = p->read_only || !user || user->read_only;
	info->cache = p->cache;
	info->image.filename = mem_dup(p->path);
	info->image.format = p->driver;
	if (!user)
		return;
	info->image.virtual_size = user->file->size;
	info->image.actual_size = file_disk_bytes(user->file);
	info->wr_highest_offset = user->file->write_highest;
}

static void fill_filter(struct node_info *info, const struct node *node)
{
	memcpy(info->name, node->filter, sizeof(info->name));
	memcpy(info->backing, node->name, sizeof(info->backing));
	info->filter = true;
	info->file = mem_dup(node->file->path);
	info->driver = node->filter_driver;
	info->read_only = node->read_only;
	info->cache = node->file->cache;
	info->backing_depth = chain_depth(node) + 1;
	info->image.filename = mem_dup(node->file->path);
	info->image.format = node->filter_driver;
	info->image.virtual_size = node->size;
	info->image.actual_size = file_disk_bytes(node->file);
}

/* How many. The file of a node that is still being opened is not shown. */
static size_t fill_nodes(struct engine *e, struct node_info *info)
{
	size_t n = 0;

	list_for_each(link, &e->graph.nodes) {
		const struct node *node = container_of(link, struct node,
						       link);

		if (node->filter[0])
			fill_filter(&info[n++], node);
	}
	list_for_each(link, &e->graph.nodes)
		fill_node(&info[n++], container_of(link, struct node, link));
	list_for_each(link, &e->protocols) {
		struct protocol *p = container_of(link, struct protocol, link);
		struct node *user = graph_find(&e->graph, p->user);

		if (user || !p->nested)
			fill_protocol(&info[n++], p, user);
	}
	return n;
}

int engine_query_nodes(struct engine *e, struct node_info **out, size_t *n)
{
	*n = 0;
	rwlock_read(&e->graph.lock);
	list_for_each(link, &e->graph.nodes)
		*n += 2;
	list_for_each(link, &e->protocols)
		++*n;
	*out = mem_try(*n + 1, sizeof(**out));
	*n = *out ? fill_nodes(e, *out) : 0;
	rwlock_drop(&e->graph.lock);
	return *out ? 0 : -ENOMEM;
}

void node_info_free(struct node_info *info, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(info[i].file);
		free(info[i].path);
		image_info_release(&info[i].image);
	}
	free(info);
}

static void fill_drive(struct drive_info *info, const struct drive *d)
{
	snprintf(info->id, sizeof(info->id), "%s", d->root.id);
	if (d->root.node) {
		memcpy(info->node, d->root.node->name, sizeof(info->node));
		memcpy(info->filter, d->root.node->filter,
		       sizeof(info->filter));
	}
	info->read_only = d->read_only;
	info->io_status = io_status_name(d->io_status);
}

int engine_query_drives(struct engine *e, struct drive_info **out, size_t *n)
{
	size_t i = 0;

	*n = 0;
	rwlock_read(&e->graph.lock);
	list_for_each(link, &e->graph.roots)
		++*n;
	*out = mem_try(*n + 1, sizeof(**out));
	list_for_each(link, &e->graph.roots) {
		const struct drive *d = drive_linked(link);

		if (*out && *d->root.id)
			fill_drive(&(*out)[i++], d);
	}
	*n = i;
	rwlock_drop(&e->graph.lock);
	return *out ? 0 : -ENOMEM;
}

static void fill_counts(struct io_counts *out, const struct node_stats *s)
{
	uint64_t last = s->last_ns;

	*out = (struct io_counts){
		.rd_bytes = s->rd_bytes, .wr_bytes = s->wr_bytes,
		.unmap_bytes = s->unmap_bytes, .rd_ops = s->rd_ops,
		.wr_ops = s->wr_ops, .unmap_ops = s->unmap_ops,
		.flush_ops = s->flush_ops, .rd_ns = s->rd_ns,
		.wr_ns = s->wr_ns, .unmap_ns = s->unmap_ns,
		.flush_ns = s->flush_ns, .rd_failed = s->rd_failed,
		.wr_failed = s->wr_failed, .unmap_failed = s->unmap_failed,
		.flush_failed = s->flush_failed, .rd_invalid = s->rd_invalid,
		.wr_invalid = s->wr_invalid, .unmap_invalid = s->unmap_invalid,
		.flush_invalid = s->flush_invalid, .used = last,
		.idle_ns = last ? clock_ns() - last : 0,
	};
}

int engine_query_io(struct engine *e, const char *device, bool by_node,
		    struct io_counts *out, struct err *err)
{
	struct node *node = NULL;
	struct drive *d = NULL;

	rwlock_read(&e->graph.lock);
	if (by_node) {
		node = graph_find(&e->graph, device);
	} else {
		d = drive_find(&e->graph, device);
		node = d ? d->root.node : NULL;
	}
	if (node || d) {
		fill_counts(out, d ? &d->stats : &node->stats);
		out->wr_highest_offset = node ?
			node->file->write_highest : 0;
	} else {
		err_set(err, ERR_DEVICE_NOT_FOUND, "Device '%s' not found",
			device);
	}
	rwlock_drop(&e->graph.lock);
	return node || d ? 0 : -1;
}

/* --- latency --- */

_Static_assert(LATENCY_STEPS == LATENCY_BINS, "each has its place");

static void fill_latency(struct latency_info *info, const struct drive *d)
{
	snprintf(info->id, sizeof(info->id), "%s", d->root.id);
	for (unsigned i = 0; i < LATENCY_BINS; i++) {
		uint64_t count = d->latency.bin[i];

		if (!count)
			continue;
		info->step[info->steps].most_ns = latency_most(i);
		info->step[info->steps++].count = count;
	}
}

int engine_query_latency(struct engine *e, struct latency_info **out,
			 size_t *n)
{
	*n = 0;
	rwlock_read(&e->graph.lock);
	list_for_each(link, &e->graph.roots)
		++*n;
	*out = mem_try(*n + 1, sizeof(**out));
	*n = 0;
	list_for_each(link, &e->graph.roots) {
		const struct drive *d = drive_linked(link);

		if (*out && *d->root.id)
			fill_latency(&(*out)[(*n)++], d);
	}
	rwlock_drop(&e->graph.lock);
	return *out ? 0 : -ENOMEM;
}
