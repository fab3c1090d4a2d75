/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Maps of images that a process of this host has open: read from their files,
 * without locks, for people to look at. Its files are opened only where it is
 * sure that they are what it has open: its monitor is a socket here, it sees
 * the same mounts, we may see what it has open, and that very file is among
 * it. Everything else has no map.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "src/attach/far_impl.h"
#include "src/qmp/command.h"

#define FAR_PROC 64

struct far_file {
	dev_t dev;
	ino_t ino;
};

struct far_map {
	pid_t pid;
	const struct far_names *names;
	struct far_file *open;		/* what the process has open */
	size_t n_open;
	struct tree_file *files;	/* of one tree, what lies below first */
	char **paths;			/* of these */
	size_t n;
};

/* --- whose files they are --- */

static bool far_map_same(pid_t pid, const char *what)
{
	char path[2][FAR_PROC];
	struct stat st[2];

	snprintf(path[0], FAR_PROC, "/proc/%d/%s", (int)pid, what);
	snprintf(path[1], FAR_PROC, "/proc/self/%s", what);
	return !stat(path[0], &st[0]) && !stat(path[1], &st[1]) &&
		st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
}

/* The process whose files are this host's, or 0. */
static pid_t far_map_peer(struct far *f)
{
	struct wire_status status;

	if (f->address.kind != ADDRESS_UNIX)
		return 0;
	wire_status(f->wire, &status);
	if (status.peer <= 0 || !far_map_same(status.peer, "ns/mnt") ||
	    !far_map_same(status.peer, "root/."))
		return 0;
	return status.peer;
}

static bool far_map_is_file(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode);
}

static void far_map_take_open(struct far_map *m)
{
	char path[FAR_PROC];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)m->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) ||
		    !far_map_is_file(&st))
			continue;
		m->open = mem_grow(m->open, m->n_open + 1, sizeof(*m->open));
		m->open[m->n_open++] = (struct far_file) {
			st.st_dev, st.st_ino,
		};
	}
	if (dir)
		closedir(dir);
}

static bool far_map_has_open(const struct far_map *m, const char *path)
{
	struct stat st;

	if (stat(path, &st) || !far_map_is_file(&st))
		return false;
	for (size_t i = 0; i < m->n_open; i++)
		if (m->open[i].dev == st.st_dev && m->open[i].ino == st.st_ino)
			return true;
	return false;
}

/* From the root on; its folder is not ours. The caller's. */
static char *far_map_path(const struct far_map *m, const char *file)
{
	char link[FAR_PROC], folder[4096];
	ssize_t n;

	if (*file == '/')
		return mem_dup(file);
	snprintf(link, sizeof(link), "/proc/%d/cwd", (int)m->pid);
	n = readlink(link, folder, sizeof(folder));
	if (n <= 0 || n == (ssize_t)sizeof(folder))
		return mem_dup("");
	return mem_printf("%.*s/%s", (int)n, folder, file);
}

/* --- which images can be read --- */

/* Its bytes are those of a file, from the first to the last. */
static bool far_map_lies_in_file(const struct far_map *m, const json_t *node)
{
	const char *file = far_arg(node, "file");
	json_t *entry;
	size_t i;

	json_array_foreach(m->names->nodes, i, entry)
		if (!strcmp(far_arg(entry, "file"), file) &&
		    (!strcmp(far_arg(entry, "drv"), "file") ||
		     !strcmp(far_arg(entry, "drv"), "host_device")))
			return *file;
	return false;
}

static bool far_map_is_readable(const struct far_map *m, const json_t *node)
{
	const json_t *image = json_object_get(node, "image");
	const json_t *data = json_object_get(json_object_get(image,
					     "format-specific"), "data");
	const char *format = far_arg(node, "drv");

	return (!strcmp(format, "qcow2") || !strcmp(format, "raw")) &&
		!json_object_get(data, "data-file") &&
		!json_is_true(json_object_get(node, "encrypted")) &&
		far_map_lies_in_file(m, node);
}

/* By others than the images on it: a drive, an export, or whoever has the file
 * open once more. */
static bool far_map_is_used(const struct far_map *m, const json_t *node)
{
	const char *name = far_arg(node, "node-name");
	json_t *entry;
	size_t i;

	for (i = 0; i < m->names->n; i++)
		if (!strcmp(m->names->drives[i].node, name))
			return true;
	json_array_foreach(m->names->exports, i, entry)
		if (!strcmp(far_arg(entry, "node-name"), name))
			return true;
	json_array_foreach(m->names->nodes, i, entry)
		if (entry != node &&
		    !strcmp(far_arg(entry, "drv"), far_arg(node, "drv")) &&
		    !strcmp(far_arg(entry, "file"), far_arg(node, "file")))
			return true;
	return false;
}

/* @backing: number of what lies below, or its own. */
static void far_map_add(struct far_map *m, const json_t *node, size_t backing)
{
	char *path = far_map_path(m, far_arg(node, "file"));
	bool readable = far_map_is_readable(m, node) &&
		far_map_has_open(m, path);

	m->files = mem_grow(m->files, m->n + 1, sizeof(*m->files));
	m->paths = mem_grow(m->paths, m->n + 1, sizeof(*m->paths));
	m->paths[m->n] = path;
	m->files[m->n++] = (struct tree_file) {
		.node = far_arg(node, "node-name"),
		.path = readable ? path : "",
		.format = far_arg(node, "drv"), .backing = backing,
		.used = far_map_is_used(m, node),
	};
}

/* The image that lies on none, below @node. */
static const char *far_map_root(const struct far_map *m, const char *node)
{
	size_t steps = json_array_size(m->names->nodes);
	const char *below;

	while (steps-- && *(below = far_names_below(m->names, node)))
		node = below;
	return node;
}

/* Node name -> what lies on it. The caller's. */
static json_t *far_map_overlays(const struct far_map *m)
{
	json_t *by_name = json_object(), *overlays = json_object(), *entry;
	size_t i;

	json_array_foreach(m->names->nodes, i, entry)
		json_object_set(by_name, far_arg(entry, "node-name"), entry);
	json_array_foreach(m->names->links, i, entry) {
		const char *below = far_arg(entry, "backing");
		json_t *node = json_object_get(by_name, far_arg(entry,
								"node-name"));
		json_t *list = json_object_get(overlays, below);

		if (!*below || !node || far_names_is_filter(node))
			continue;
		if (!list) {
			list = json_array();
			json_object_set_new(overlays, below, list);
		}
		json_array_append(list, node);
	}
	json_decref(by_name);
	return overlays;
}

/* Those that lie on number @below, and so on. */
static void far_map_take_tree(struct far_map *m, const char *root)
{
	const json_t *node = far_names_node(m->names, root);
	size_t most = json_array_size(m->names->nodes), i;
	json_t *overlays = far_map_overlays(m), *over;

	if (node)
		far_map_add(m, node, 0);
	for (size_t below = 0; below < m->n; below++)
		json_array_foreach(json_object_get(overlays,
				   m->files[below].node), i, over)
			if (m->n < most)
				far_map_add(m, over, below);
	json_decref(overlays);
}

static void far_map_release(struct far_map *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->paths[i]);
	free(m->paths);
	free(m->files);
	free(m->open);
}

/* The value of x-blkmon-tree-map of its files; NULL and err. Kept is what they
 * were before it and are after it. */
static json_t *far_map_read(const struct far_map *m, struct far *f,
			    const json_t *args, struct err *err)
{
	char *key = far_map_key(m->files, m->n, args), *after;
	json_t *map = far_map_kept(f, key);

	if (!map) {
		map = qmp_map_files(m->files, m->n, args, err);
		after = map && key ? far_map_key(m->files, m->n, args) : NULL;
		if (after && !strcmp(key, after))
			far_map_keep(f, key, map);
		free(after);
	}
	free(key);
	return map;
}

bool far_map_may(struct far *f)
{
	return f->address.kind == ADDRESS_UNIX && !far_speaks_dialect(f);
}

/* What lies in one cell, and is seen from above. */
static uint64_t far_map_seen(const json_t *image)
{
	static const char *const kinds[] = { "data", "compressed", "dead" };
	int64_t n[3];

	for (size_t i = 0; i < 3; i++)
		n[i] = json_integer_value(json_array_get(json_object_get(
			image, kinds[i]), 0));
	return n[0] + n[1] > n[2] ? (uint64_t)(n[0] + n[1] - n[2]) : 0;
}

static uint64_t far_map_sum(const json_t *map, const json_t *const *chain,
			    size_t n, size_t first)
{
	uint64_t sum = 0;
	json_t *image;
	size_t i;

	json_array_foreach(json_object_get(map, "images"), i, image)
		for (size_t k = first; k < n; k++)
			if (!strcmp(far_arg(image, "node-name"),
				    far_arg(chain[k], "node-name")))
				sum += far_map_seen(image);
	return sum;
}

bool far_map_moved(const struct far_call *call, const struct far_names *names,
		   const json_t *const *chain, size_t n, size_t first,
		   uint64_t *bytes)
{
	struct far_map m = { .pid = far_map_peer(call->far), .names = names };
	json_t *args, *map = NULL;
	struct err err = ERR_INIT;

	if (!m.pid || !n)
		return false;
	far_map_take_open(&m);
	for (size_t i = n; i--; ) {
		far_map_add(&m, chain[i], m.n ? m.n - 1 : 0);
		m.files[m.n - 1].used = false;
	}
	args = json_pack("{s:s, s:i, s:b}", "node-name",
			 far_arg(chain[0], "node-name"), "cells", 1, "whole",
			 1);
	map = far_map_read(&m, call->far, args, &err);
	/* One that cannot be read is missing in it. */
	n -= json_array_size(json_object_get(map, "images"));
	if (!n)
		*bytes = far_map_sum(map, chain, m.n, first);
	json_decref(args);
	json_decref(map);
	far_map_release(&m);
	return !n;
}

json_t *far_map(const struct far_call *call, const char *name, json_t *args,
		struct err *err)
{
	struct far_map m = { .pid = far_map_peer(call->far) };
	struct far_names names;
	json_t *value;

	if (far_can(call->far, name))
		return far_ask(call, name, json_incref(args), err);
	if (!m.pid) {
		err_set(err, ERR_GENERIC, "its files are not known to be this "
			"host's");
		return NULL;
	}
	if (far_names_load(&names, call, err))
		return NULL;
	m.names = &names;
	far_map_take_open(&m);
	far_map_take_tree(&m, far_map_root(&m, far_arg(args, "node-name")));
	value = far_map_read(&m, call->far, args, err);
	far_map_release(&m);
	far_names_release(&names);
	return value;
}
