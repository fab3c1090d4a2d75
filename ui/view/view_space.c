/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file systems that images are on. */
#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "ui/draw/text.h"
#include "ui/view/view.h"

static void space_has(struct shape *shape, int space, const json_t *nodes)
{
	json_t *node;
	size_t i;
	int at = -1;

	json_array_foreach(nodes, i, node) {
		at = shape_find_near(shape, json_string_value(node), at);
		if (at >= 0)
			shape->images[at].space = space;
	}
}

void shape_add_spaces(struct shape *shape, const json_t *spaces)
{
	size_t i;
	json_t *entry;

	shape->spaces = mem_alloc((json_array_size(spaces) + 1) *
				  sizeof(*shape->spaces));
	json_array_foreach(spaces, i, entry) {
		shape->spaces[shape->space_count++] = (struct view_space) {
			.path = text_safe(field_str(entry, "path")),
			.free = field_u64(entry, "free"),
			.size = field_u64(entry, "size"),
		};
		space_has(shape, (int)i, json_object_get(entry, "nodes"));
	}
}
