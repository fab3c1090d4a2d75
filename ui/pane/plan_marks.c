/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan in the tree: which images it is about, and where data comes to lie
 * that was not there.
 */
#include <string.h>

#include "src/console/fields.h"
#include "src/console/plan_text.h"
#include "ui/pane/sheet.h"

#define PLAN_SOURCES 16u	/* images whose maps are looked at */

static const char *plan_role_of(const struct sheet *s, const char *node)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(s->plan.shown, "layers"), i, entry)
		if (*node && !strcmp(field_str(entry, "node-name"), node))
			return field_str(entry, "role");
	return "";
}

const char *plan_mark(const struct sheet *s, const struct view_image *v)
{
	const char *role = plan_role_of(s, v->node);

	if (!strcmp(role, "top"))
		return "T";
	return strcmp(role, "base") ? "" : "B";
}

bool plan_spoils(const struct sheet *s, const struct view_image *v)
{
	const json_t *hits = json_object_get(s->plan.shown, "hits");
	json_t *path;
	size_t i;

	json_array_foreach(json_object_get(hits, "siblings"), i, path) {
		const char *name = plan_file(path);

		if (v->role != VIEW_OPEN && (!strcmp(name, v->path) ||
					     !strcmp(name, v->full)))
			return true;
	}
	return false;
}

/* Where what the plan moves is written. */
static bool plan_fills(const struct sheet *s, const struct view_image *v)
{
	const char *kind = field_str(s->plan.shown, "kind");
	const char *into = !strcmp(kind, "stream") ? "top" :
			   strstr(kind, "commit") ? "base" : "none";

	return !strcmp(plan_role_of(s, v->node), into);
}

/* Cells that an image has data in, from those that it is moved from. */
static unsigned plan_add_sources(const struct sheet *s,
				 const struct view_image *into, bool *held)
{
	static struct strip_cell cells[STRIP_CELLS];
	unsigned n = 0, got, sources = 0;
	struct map_sum sum;
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(s->plan.shown, "layers"), i, entry) {
		const char *node = field_str(entry, "node-name");
		const char *role = field_str(entry, "role");

		if (!strcmp(node, into->node) || ++sources > PLAN_SOURCES ||
		    (strcmp(role, "top") && strcmp(role, "between")))
			continue;
		got = client_map(s->client, node, cells, &sum);
		for (unsigned k = 0; k < got; k++)
			held[k] |= cells[k].data || cells[k].compressed;
		n = got > n ? got : n;
	}
	return n;
}

void plan_draw_cells(struct sheet *s, const struct view_image *v, unsigned x,
		     unsigned y, unsigned w)
{
	static struct strip_cell cells[STRIP_CELLS];
	bool held[STRIP_CELLS] = { 0 };
	struct map_sum sum;
	unsigned n, from;

	if (!s->plan.shown || !plan_fills(s, v))
		return;
	from = plan_add_sources(s, v, held);
	n = client_map(s->client, v->node, cells, &sum);
	for (unsigned i = 0; i < w && n && from == n; i++) {
		unsigned first = i * n / w, last = (i + 1) * n / w;

		for (unsigned k = first; k < last || k == first; k++)
			if (held[k] && !cells[k].data && !cells[k].compressed)
				canvas_put(&s->canvas, x + i, y, 1, STYLE_GOOD,
					   "+");
	}
}
