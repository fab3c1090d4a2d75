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

/* What is known while they are added. */
struct closed_list {
	struct builder *b;
	json_t *nodes, *paths;	/* of what is open: where it stands */
	json_t *places;		/* the same of entries, by their paths */
};

static void closed_index(struct closed_list *l)
{
	for (size_t i = 0; i < l->b->n; i++) {
		const struct view_image *v = &l->b->list[i].image;
		json_t *at = json_integer((json_int_t)i);

		json_object_set(l->nodes, v->node, at);
		json_object_set(l->paths, v->file, at);
		json_object_set(l->paths, v->full, at);
		json_decref(at);
	}
}

static int closed_find(const json_t *index, const char *key)
{
	const json_t *at = json_object_get(index, key);

	return at ? (int)json_integer_value(at) : -1;
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

/* Where the image of @entry stands in the list; -1: it is not there. The
 * answer may be older than the list of what is open. */
static int closed_take(struct closed_list *l, const json_t *entry)
{
	const char *path = field_str(entry, "path");
	char *full;

	if (view_role_of(entry) == VIEW_OPEN)
		return closed_find(l->nodes, field_str(entry, "node-name"));
	if (!*path || field_bool(entry, "outside") ||
	    json_object_get(l->places, path))
		return -1;
	full = view_full_path(path);
	if (closed_find(l->paths, path) >= 0 ||
	    closed_find(l->paths, full) >= 0) {
		free(full);
		return -1;
	}
	view_add_file(l->b, entry, full);
	return (int)l->b->n - 1;
}

/* What nothing uses stands for itself. */
static int closed_below(const struct closed_list *l,
			const struct view_image *v)
{
	const char *path = field_str(json_object_get(v->entry, "backing"),
				     "path");
	int at;

	if (v->role == VIEW_UNUSED)
		return -1;
	at = closed_find(l->places, path);
	return at >= 0 ? at : closed_find(l->nodes,
					  field_str(v->entry,
						    "overlay-of-node"));
}

static void closed_add_all(struct closed_list *l, const json_t *images)
{
	size_t open = l->b->n, i;
	json_t *entry;

	closed_index(l);
	json_array_foreach(images, i, entry) {
		int at = closed_take(l, entry);

		if (at >= 0)
			json_object_set_new(l->places,
					    field_str(entry, "path"),
					    json_integer(at));
	}
	for (i = open; i < l->b->n; i++)
		l->b->list[i].backing = closed_below(l, &l->b->list[i].image);
}

void view_add_closed(struct builder *b, const json_t *folder)
{
	struct closed_list l = { .b = b };

	if (!folder)
		return;
	l.nodes = json_object();
	l.paths = json_object();
	l.places = json_object();
	closed_add_all(&l, json_object_get(folder, "images"));
	json_decref(l.nodes);
	json_decref(l.paths);
	json_decref(l.places);
}
