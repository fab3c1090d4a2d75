/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is called what over there. A drive has a name of its own, or only the
 * path of its device, or (a storage daemon) is what somebody exports; an image
 * has a node, and of what lies between images nothing is shown.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

/* "/machine/peripheral/virtio-disk0/virtio-backend" is virtio-disk0: the last
 * part is a thing inside of the device. */
char *far_names_shown(const char *device, const char *qdev, const char *node)
{
	const char *end = qdev + strlen(qdev), *begin;
	static const char backend[] = "/virtio-backend";
	size_t n = sizeof(backend) - 1;

	if (*device)
		return mem_dup(device);
	if (!*qdev)
		return mem_dup(node);
	if ((size_t)(end - qdev) > n && !strcmp(end - n, backend))
		end -= n;
	for (begin = end; begin > qdev && begin[-1] != '/'; begin--)
		;
	return mem_printf("%.*s", (int)(end - begin), begin);
}

static bool far_names_is_driver(const json_t *node, const char *const *list,
				size_t n)
{
	const char *drv = far_arg(node, "drv");

	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], drv))
			return true;
	return false;
}

bool far_names_is_filter(const json_t *node)
{
	static const char *const filters[] = {
		"commit_top", "mirror_top", "copy-on-read",
		"copy-before-write", "preallocate", "throttle", "blkdebug",
		"blklogwrites", "snapshot-access",
	};

	return far_names_is_driver(node, filters,
				   sizeof(filters) / sizeof(*filters));
}

bool far_names_is_protocol(const json_t *node)
{
	static const char *const protocols[] = {
		"file", "host_device", "host_cdrom", "nbd", "ssh", "iscsi",
		"rbd", "nfs", "gluster", "http", "https", "ftp", "ftps",
		"nvme", "nvme-io_uring", "io_uring", "virtio-blk-vfio-pci",
		"virtio-blk-vhost-user", "virtio-blk-vhost-vdpa",
	};

	return far_names_is_driver(node, protocols,
				   sizeof(protocols) / sizeof(*protocols));
}

/* libvirt-7-format, -storage, and what newer ones have besides. */
bool far_names_are_managed(const json_t *nodes)
{
	json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node) {
		const char *name = far_arg(node, "node-name");
		const char *number = name + 8;

		if (strncmp(name, "libvirt-", 8) ||
		    !isdigit((unsigned char)*number))
			continue;
		while (isdigit((unsigned char)*number))
			number++;
		if (*number == '-')
			return true;
	}
	return false;
}

#define FAR_FILTERS_MOST 16

/* --- the list --- */

static bool far_names_taken(const struct far_names *names, const char *shown)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->drives[i].shown, shown))
			return true;
	return false;
}

/* Takes @shown, to which a number is added if another has it. */
static struct far_drive *far_names_add(struct far_names *names, char *shown)
{
	struct far_drive *drive;
	char *other = shown;

	for (unsigned i = 2; far_names_taken(names, other); i++) {
		if (other != shown)
			free(other);
		other = mem_printf("%s-%u", shown, i);
	}
	if (other != shown)
		free(shown);
	names->drives = mem_grow(names->drives, names->n + 1,
				 sizeof(*names->drives));
	drive = &names->drives[names->n++];
	*drive = (struct far_drive) { .shown = other, .device = "",
				      .node = "", .qdev = "", .export = "" };
	return drive;
}

static void far_names_add_block(struct far_names *names, const json_t *block)
{
	const json_t *inserted = json_object_get(block, "inserted");
	const char *device = far_arg(block, "device");
	const char *qdev = far_arg(block, "qdev");
	const char *node = far_arg(inserted, "node-name");
	struct far_drive *drive;

	drive = far_names_add(names, far_names_shown(device, qdev, node));
	drive->device = device;
	drive->qdev = qdev;
	drive->node = node;
}

static bool far_names_exports_node(const struct far_names *names,
				   const char *node)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->drives[i].node, node))
			return true;
	return false;
}

/* The image that a node is, or that lies below what a job has put there. */
static const char *far_names_image_of(const struct far_names *names,
				      const char *node)
{
	const char *below = node;

	for (size_t i = 0; i < FAR_FILTERS_MOST && *below; i++) {
		if (!far_names_is_filter(far_names_node(names, below)))
			return below;
		below = far_names_below(names, below);
	}
	return node;
}

static void far_names_add_export(struct far_names *names, const json_t *export)
{
	const char *node = far_names_image_of(names, far_arg(export,
							     "node-name"));
	const char *id = far_arg(export, "id");
	struct far_drive *drive;

	if (!*node || far_names_exports_node(names, node))
		return;
	drive = far_names_add(names, mem_dup(id));
	drive->node = node;
	drive->export = id;
}

/* Exports are drives where there are no others. */
static void far_names_fill(struct far_names *names)
{
	json_t *entry;
	size_t i;

	json_array_foreach(names->blocks, i, entry)
		far_names_add_block(names, entry);
	if (names->n)
		return;
	json_array_foreach(names->exports, i, entry)
		far_names_add_export(names, entry);
}

int far_names_load(struct far_names *names, const struct far_call *call,
		   struct err *err)
{
	struct err lost = ERR_INIT;
	json_t *entry;
	size_t i;

	*names = (struct far_names) { 0 };
	names->blocks = far_ask(call, "query-block", NULL, err);
	json_array_foreach(names->blocks, i, entry)
		far_files_plain(json_object_get(entry, "inserted"));
	names->nodes = names->blocks ?
		far_nodes(call, true, err) : NULL;
	if (!names->nodes) {
		far_names_release(names);
		return -1;
	}
	if (far_can(call->far, "query-block-exports"))
		names->exports = far_ask(call, "query-block-exports", NULL,
					 &lost);
	names->links = far_links(call, names->nodes, &lost);
	far_names_fill(names);
	return 0;
}

void far_names_release(struct far_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->drives[i].shown);
	free(names->drives);
	json_decref(names->blocks);
	json_decref(names->nodes);
	json_decref(names->exports);
	json_decref(names->links);
	*names = (struct far_names) { 0 };
}

/* --- looking up --- */

const struct far_drive *far_names_find(const struct far_names *names,
				       const char *word)
{
	for (size_t i = 0; *word && i < names->n; i++)
		if (!strcmp(names->drives[i].shown, word))
			return &names->drives[i];
	for (size_t i = 0; *word && i < names->n; i++) {
		const struct far_drive *drive = &names->drives[i];

		if (!strcmp(drive->device, word) ||
		    !strcmp(drive->qdev, word) || !strcmp(drive->node, word))
			return drive;
	}
	return NULL;
}

const json_t *far_names_node(const struct far_names *names, const char *node)
{
	return args_entry(names->nodes, "node-name", node);
}

const char *far_names_below(const struct far_names *names, const char *node)
{
	return far_arg(args_entry(names->links, "node-name", node), "backing");
}

static const char *far_names_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* 0: not called so; 1: by the last part of its file name; 2: in full. */
static int far_names_fits(const json_t *node, const char *word)
{
	const char *file = far_arg(node, "file");
	const char *image = far_arg(json_object_get(node, "image"),
					   "filename");

	if (!strcmp(far_arg(node, "node-name"), word) ||
	    !strcmp(file, word) || !strcmp(image, word))
		return 2;
	if (strchr(word, '/'))
		return 0;
	return !strcmp(far_names_base(image), word) ||
		!strcmp(far_names_base(file), word);
}

const char *far_names_image(const struct far_names *names, const char *node,
			    const char *word)
{
	size_t steps = json_array_size(names->nodes), near = 0;
	const char *found = NULL;

	for (; *node && steps; steps--) {
		const json_t *entry = far_names_node(names, node);
		int fits = far_names_fits(entry, word);

		if (fits == 2)
			return node;
		if (fits && !near++)
			found = node;
		node = far_names_below(names, node);
	}
	return near == 1 ? found : NULL;
}
