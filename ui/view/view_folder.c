/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of the folders that nobody has opened here: each lies on what its
 * header names, as far as that is seen.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "ui/view/view_impl.h"

static enum view_role view_role_of(const json_t *entry)
{
	static const struct {
		const char *name;
		enum view_role role;
	} roles[] = {
		{ "overlay", VIEW_OVERLAY }, { "orphan", VIEW_ORPHAN },
		{ "below", VIEW_BELOW }, { "held", VIEW_HELD },
		{ "unused", VIEW_UNUSED },
	};

	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		if (!strcmp(field_str(entry, "role"), roles[i].name))
			return roles[i].role;
	return VIEW_OPEN;
}

/* The answer may be older than the list of what is open. */
static bool view_is_open(const struct builder *b, const char *path,
			 const char *full, size_t open)
{
	for (size_t i = 0; i < open; i++)
		if (!strcmp(b->list[i].image.file, path) ||
		    !strcmp(b->list[i].image.full, full))
			return true;
	return false;
}

/* From the root on, where that can be said. The caller's. */
static char *view_full_path(const char *path)
{
	char *full = *path == '/' ? NULL : realpath(path, NULL);

	return full ? full : mem_dup(path);
}

static enum view_group view_group_of(enum view_role role)
{
	if (role == VIEW_UNUSED)
		return GROUP_UNUSED;
	return role == VIEW_BELOW || role == VIEW_HELD ? GROUP_OTHERS :
		GROUP_TREE;
}

/* Takes @full. */
static void view_add_file(struct builder *b, const json_t *entry, char *full)
{
	struct view_image *v = &view_add(b)->image;

	view_set_names(v, "", field_str(entry, "path"));
	free(v->full);
	v->full = full;
	v->format = mem_dup(field_str(entry, "format"));
	v->role = view_role_of(entry);
	v->group = view_group_of(v->role);
	v->entry = entry;
	v->size = field_u64(entry, "virtual-size");
	v->disk = field_u64(entry, "disk-size");
	v->written = field_u64(entry, "modified");
	v->snapshots = (unsigned)field_u64(entry, "snapshots");
	v->left = field_bool(entry, "left") ||
		*field_str(entry, "merged-into");
}

/* Where the image of @entry stands in the list; -1: it is not there. */
static int view_take_entry(struct builder *b, const json_t *entry, size_t open)
{
	const char *path = field_str(entry, "path");
	char *full;

	if (view_role_of(entry) == VIEW_OPEN)
		return view_find(b, field_str(entry, "node-name"), false, 0);
	if (!*path || field_bool(entry, "outside"))
		return -1;
	full = view_full_path(path);
	if (view_is_open(b, path, full, open)) {
		free(full);
		return -1;
	}
	view_add_file(b, entry, full);
	return (int)b->n - 1;
}

/* What nothing uses stands for itself. */
static int view_below(const struct builder *b, const struct view_image *v,
		      const json_t *places)
{
	const char *path = field_str(json_object_get(v->entry, "backing"),
				     "path");
	const json_t *at = json_object_get(places, path);
	const char *node = field_str(v->entry, "overlay-of-node");

	if (v->role == VIEW_UNUSED)
		return -1;
	if (at)
		return (int)json_integer_value(at);
	return *node ? view_find(b, node, false, 0) : -1;
}

void view_add_closed(struct builder *b, const json_t *folder)
{
	json_t *places = json_object(), *entry;
	size_t open = b->n, i;

	json_array_foreach(json_object_get(folder, "images"), i, entry) {
		int at = view_take_entry(b, entry, open);

		if (at >= 0)
			json_object_set_new(places, field_str(entry, "path"),
					    json_integer(at));
	}
	for (i = open; i < b->n; i++)
		b->list[i].backing = view_below(b, &b->list[i].image, places);
	json_decref(places);
}
