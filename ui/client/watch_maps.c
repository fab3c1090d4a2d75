/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Maps of what is visible: one question for each tree that has some of it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "ui/client/client_impl.h"

/* What is asked for: images by name, as they were wanted. */
struct wish {
	json_t *nodes;		/* array: all that are wanted */
	json_t *stale;		/* object: those not known or not any more */
	unsigned cells;
	bool whole;
};

static struct wish wish_of(struct client *c, bool all)
{
	struct wish wish = { json_array(), json_object(), 0, false };

	lock_take(&c->lock);
	wish.cells = c->cells;
	wish.whole = c->whole;
	for (size_t i = 0; i < c->map_count; i++) {
		struct map *map = c->maps[i];

		map->stale |= all;
		if (!map->wanted)
			continue;
		json_array_append_new(wish.nodes, json_string(map->node));
		if (map->stale)
			json_object_set_new(wish.stale, map->node, json_true());
	}
	lock_drop(&c->lock);
	return wish;
}

static uint64_t cell_of(const json_t *image, const char *kind, size_t i)
{
	return (uint64_t)json_integer_value(json_array_get(json_object_get(
		image, kind), i));
}

/* No more is to be asked for that wish. */
static void map_is_new(struct map *map, const struct wish *wish)
{
	map->tried = wish->cells;
	map->whole = wish->whole;
	map->stale = false;
}

static void map_fill(struct map *map, const json_t *image, unsigned n)
{
	map->cells = mem_grow(map->cells, n, sizeof(*map->cells));
	map->n = n;
	for (unsigned i = 0; i < n; i++)
		map->cells[i] = (struct strip_cell) {
			.data = cell_of(image, "data", i),
			.zero = cell_of(image, "zero", i),
			.compressed = cell_of(image, "compressed", i),
			.dead = cell_of(image, "dead", i),
		};
}

/* What is dead is told of all. Lock held. */
static void map_take(struct client *c, const struct wish *wish,
		     const json_t *reply, const json_t *image)
{
	struct map *map = client_map_of(c, field_str(image, "node-name"));

	map->sum = (struct map_sum) {
		.size = field_u64(reply, "size"),
		.shown = field_u64(reply, "shown"),
		.dead = field_u64(image, "dead-bytes"), .known = true,
	};
	if (!json_object_get(image, "data"))
		return;
	map_fill(map, image, wish->cells);
	map_is_new(map, wish);
	json_object_del(wish->stale, map->node);
}

/* The image may have gone, or the map can't be read: then there is none. */
static void map_lost(struct client *c, const struct wish *wish,
		     const char *node)
{
	struct map *map = client_map_of(c, node);

	map->sum = (struct map_sum) { 0 };
	map->n = 0;
	map_is_new(map, wish);
}

/* The tree that the first stale image is in. */
static void look_at_tree(struct client *c, const struct wish *wish)
{
	const char *node = json_object_iter_key(json_object_iter(wish->stale));
	json_t *reply = channel_call(c->watch, "x-blkmon-tree-map", json_pack(
		"{s:s, s:i, s:b, s:O}", "node-name", node,
		"cells", (int)wish->cells, "whole", (int)wish->whole,
		"nodes", wish->nodes));
	const json_t *value = json_object_get(reply, "return"), *image;
	char *name = mem_dup(node);
	size_t i;

	lock_take(&c->lock);
	json_array_foreach(json_object_get(value, "images"), i, image)
		map_take(c, wish, value, image);
	if (json_object_get(wish->stale, name))
		map_lost(c, wish, name);
	lock_drop(&c->lock);
	json_object_del(wish->stale, name);
	free(name);
	json_decref(reply);
}

void client_watch_maps(struct client *c, bool all, bool there_are)
{
	struct wish wish = wish_of(c, all);
	const char *node;
	json_t *stale;

	while (there_are && json_object_size(wish.stale))
		look_at_tree(c, &wish);
	lock_take(&c->lock);
	json_object_foreach(wish.stale, node, stale)
		map_lost(c, &wish, node);
	lock_drop(&c->lock);
	json_decref(wish.nodes);
	json_decref(wish.stale);
}
