/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that nobody has opened here: how they stand to what is open. */
#include <string.h>

#include "src/console/fields.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

/* "not open: kvm[123] has it" */
static void role_holder(const struct view_image *v, struct str *out)
{
	const json_t *holder = json_object_get(v->entry, "holder");

	if (!field_bool(v->entry, "held"))
		return;
	str_add(out, ", ");
	if (holder) {
		str_add_safe(out, field_str(holder, "name"));
		str_addf(out, "[%llu] has it", (unsigned long long)field_u64(
			 holder, "pid"));
	} else {
		str_add(out, "another program has it");
	}
}

/* The broken one of its two links. */
static const json_t *missing_link(const struct view_image *v, bool *data)
{
	const json_t *link = json_object_get(v->entry, "backing");

	*data = !field_bool(link, "missing");
	return *data ? json_object_get(v->entry, "data-file") : link;
}

const char *chains_lacks(const struct view_image *v)
{
	bool data;
	const json_t *link = missing_link(v, &data);

	return *field_str(link, "path") ? field_str(link, "path") :
		field_str(link, "file");
}

static void role_missing(const struct view_image *v, struct str *out)
{
	bool data;

	missing_link(v, &data);
	str_addf(out, "its %s file is missing: ", data ? "data" : "backing");
	str_add_safe(out, chains_lacks(v));
}

void chains_role_words(const struct view_image *v, struct str *out)
{
	if (field_bool(v->entry, "spoilt"))
		str_add(out, "SPOILT: a forced commit changed what it reads");
	else if (v->role == VIEW_ORPHAN)
		role_missing(v, out);
	else if (v->role == VIEW_UNUSED)
		str_add(out, v->left ? "left by a job, nothing uses it" :
			"nothing uses it");
	else if (v->role == VIEW_BELOW)
		str_add(out, "not open, others lie on it");
	else if (v->role != VIEW_OPEN)
		str_add(out, "not open");
	role_holder(v, out);
}

/* --- in the tree --- */

static void closed_keys(const struct chain_row *row,
			const struct view_image *v, unsigned room,
			struct str *out)
{
	bool unused = row->count > 1 ? v->group == GROUP_UNUSED :
		v->role == VIEW_UNUSED;

	if (row->count > 1)
		str_add(out, keys_name(ACTION_FOLD));
	if (row->count > 1 && (!unused || room >= 32))
		str_add(out, " lists");
	if (unused)
		str_addf(out, "%s%s deletes", out->len ? ", " : "",
			 keys_name(ACTION_DELETE));
}

static void closed_words(const struct view_image *v, struct str *out)
{
	if (v->role != VIEW_ORPHAN) {
		chains_role_words(v, out);
		return;
	}
	str_add(out, "missing: ");
	str_add_safe(out, chains_lacks(v));
}

/* Of a row of files that are not open, what stands where others have their
 * map: how it stands to what is open, or names and what can be done. */
static void closed_note(const struct sheet *s, const struct chain_row *row,
			unsigned room, struct str *out)
{
	const struct view_image *v = &s->shape->images[row->image];
	struct str names = STR_INIT, keys = STR_INIT;
	unsigned used;

	closed_keys(row, v, room, &keys);
	used = text_columns(str_get(&keys)) + 2;
	if (row->count == 1)
		closed_words(v, &names);
	for (size_t i = 0; row->count > 1 && i < row->count &&
	     names.len < room; i++) {
		str_add(&names, i ? ", " : "");
		names_fit(&names, v[i].name, v[i].cut, room / 2,
			  s->canvas.ascii);
	}
	if (!keys.len && v->role == VIEW_ORPHAN) {
		text_fit_middle(out, str_get(&names), room, s->canvas.ascii);
	} else if (!keys.len) {
		text_fit(out, str_get(&names), room, s->canvas.ascii);
	} else if (room >= used + 8) {
		text_fit(out, str_get(&names), room - used, s->canvas.ascii);
		str_addf(out, "%*s%s", (int)(room - used + 2 -
			 text_columns(str_get(out))), "", str_get(&keys));
	} else {
		text_fit(out, str_get(&keys), room, s->canvas.ascii);
	}
	str_release(&names);
	str_release(&keys);
}

void closed_draw(struct sheet *s, const struct chain_row *row, unsigned x,
		 unsigned w, unsigned y)
{
	const struct view_image *v = &s->shape->images[row->image];
	bool spoils = false, orphan = v->role == VIEW_ORPHAN && row->count == 1;
	struct str note = STR_INIT;

	for (size_t i = 0; i < row->count; i++)
		spoils |= plan_spoils(s, &v[i]);
	if (spoils)
		text_fit(&note, row->count > 1 ? "SOME ARE SPOILT by this" :
			 "IS SPOILT by this", w, s->canvas.ascii);
	else
		closed_note(s, row, w, &note);
	spoils |= row->count == 1 && field_bool(v->entry, "spoilt");
	canvas_put(&s->canvas, x, y, w, spoils || orphan ? STYLE_BAD :
		   STYLE_DIM, str_get(&note));
	str_release(&note);
}
