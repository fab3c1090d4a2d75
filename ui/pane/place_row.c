/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/pane/place_row.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "src/console/place_words.h"
#include "ui/draw/text.h"
#include "ui/view/view_place.h"

#define PLACES_OPEN 8u		/* so many start unfolded */

size_t place_row_count(const struct sheet *s)
{
	size_t n = json_array_size(s->places);

	return n > 1 && s->shape ? n : 0;
}

static const json_t *place_row_get(const struct sheet *s, int place)
{
	return place < 0 ? NULL : json_array_get(s->places, (size_t)place);
}

const char *place_row_name(const struct sheet *s, int place)
{
	return field_str(place_row_get(s, place), "name");
}

int place_row_find(const struct sheet *s, const char *name)
{
	for (size_t i = 0; i < place_row_count(s); i++)
		if (!strcmp(place_row_name(s, (int)i), name))
			return (int)i;
	return -1;
}

static bool place_row_has(const struct sheet *s, int place, const char *name)
{
	return place_has(place_row_get(s, place), name);
}

int place_row_of(const struct sheet *s, const char *name, int near)
{
	if (place_row_has(s, near, name))
		return near;
	for (size_t i = 0; i < place_row_count(s); i++)
		if (place_row_has(s, (int)i, name))
			return (int)i;
	return -1;
}

/* --- what is where --- */

/* One that is missing has no node: it is where the image on it is, which
 * stands next. */
static int place_find_image(const struct sheet *s, size_t image, int near)
{
	const struct view_image *v = &s->shape->images[image];

	if (v->group != GROUP_TREE)
		return -1;
	while (!*v->node && image + 1 < s->shape->n &&
	       v[1].backing == (int)image) {
		v++;
		image++;
	}
	return place_row_of(s, v->node, near);
}

static void place_sum_up(struct sheet *s, const struct view_image *v,
			 int place)
{
	struct place_sum *sum = &s->place_sums[place];

	sum->images += v->role == VIEW_OPEN;
	sum->drives += v->drive != NULL;
	sum->fault |= v->missing || v->corrupt;
}

/* Images of a place stand together, so the place of the one before is near. */
void place_row_index(struct sheet *s)
{
	int near = -1;

	free(s->place_of);
	free(s->place_sums);
	s->summed = place_row_count(s);
	s->placed = s->summed ? s->shape->n : 0;
	s->place_of = mem_alloc((s->placed + 1) * sizeof(*s->place_of));
	s->place_sums = mem_alloc((s->summed + 1) * sizeof(*s->place_sums));
	for (size_t i = 0; i < s->placed; i++) {
		s->place_of[i] = place_find_image(s, i, near);
		if (s->place_of[i] < 0)
			continue;
		near = s->place_of[i];
		place_sum_up(s, &s->shape->images[i], near);
	}
}

int place_row_of_image(const struct sheet *s, size_t image)
{
	return image < s->placed ? s->place_of[image] : -1;
}

static struct place_sum place_sum_of(const struct sheet *s, int place)
{
	const char *state = field_str(place_row_get(s, place), "state");
	struct place_sum sum = { 0 };

	if ((size_t)place < s->summed)
		sum = s->place_sums[place];
	sum.fault |= strcmp(state, "live") != 0;
	for (size_t i = 0; i < s->jobs.n; i++)
		sum.jobs += s->jobs.list[i].end == JOB_LIVES &&
			place_row_has(s, place, s->jobs.list[i].id);
	return sum;
}

/* --- folding --- */

/* No node is called so: those of places have a slash. */
static char *place_row_key(const struct sheet *s, int place)
{
	return mem_printf("place %s", place_row_name(s, place));
}

bool place_row_is_folded(const struct sheet *s, int place)
{
	char *key = place_row_key(s, place);
	const json_t *state = json_object_get(s->chains.folds, key);
	struct place_sum sum;

	free(key);
	if (s->chains.filter)
		return false;
	if (state)
		return !json_is_true(state);
	if (place_row_count(s) <= PLACES_OPEN)
		return false;
	sum = place_sum_of(s, place);
	return !sum.jobs && !sum.fault;
}

void place_row_fold(struct sheet *s, int place, bool folded)
{
	char *key = place_row_key(s, place);

	if (!s->chains.folds)
		s->chains.folds = json_object();
	json_object_set_new(s->chains.folds, key, json_boolean(!folded));
	free(key);
}

/* A head that is folded shows sums, which are good for a while. */
static bool place_row_sees(const struct sheet *s, const struct chain_row *row,
			   int place)
{
	return row->place >= 0 ? row->place == place &&
		!place_row_is_folded(s, place) :
		row->count && place_row_of_image(s, row->image) == place;
}

json_t *place_row_seen(const struct sheet *s, size_t n)
{
	const struct chain_row *row = &s->chains.rows[s->chains.first];
	json_t *names = json_array();

	for (size_t k = 0; k < place_row_count(s); k++)
		for (size_t i = 0; i < n; i++)
			if (place_row_sees(s, &row[i], (int)k)) {
				json_array_append_new(names, json_string(
					place_row_name(s, (int)k)));
				break;
			}
	return names;
}

/* --- drawing --- */

static void place_row_add(struct str *out, unsigned n, const char *what)
{
	if (n)
		str_addf(out, "%s%u %s%s", out->len ? ", " : "", n, what,
			 n == 1 ? "" : "s");
}

static void place_row_add_host(const json_t *place, struct str *out)
{
	if (field_bool(place, "here"))
		str_add(out, "this program");
	else
		place_add_host(place, out);
	if (field_bool(place, "look") || field_bool(place, "managed"))
		str_add(out, ", only looked at");
}

/* Two columns behind what stands there; returns where it ends. */
static unsigned place_row_put(struct sheet *s, unsigned x, unsigned y,
			      enum style style, struct str *text)
{
	unsigned w = s->canvas.w;

	if (text->len && x + 2 < w)
		x += 2 + canvas_put(&s->canvas, x + 2, y, w - x - 2, style,
				    str_get(text));
	str_clear(text);
	return x;
}

void place_row_draw(struct sheet *s, int place, unsigned y)
{
	const json_t *entry = place_row_get(s, place);
	struct place_sum sum = place_sum_of(s, place);
	bool folded = place_row_is_folded(s, place), ascii = s->canvas.ascii;
	struct str text = STR_INIT;
	unsigned x;

	canvas_put(&s->canvas, 1, y, 1, STYLE_TREE, !folded ?
		   theme_glyph(GLYPH_TREE_FIRST, ascii) : ascii ? ":" : "⋯");
	text_fit(&text, place_row_name(s, place), s->canvas.w / 3, ascii);
	x = place_row_put(s, 1, y, STYLE_STRONG, &text);
	view_place_add_run(entry, &text);
	x = place_row_put(s, x, y, strcmp(field_str(entry, "run"), "running") ?
			  STYLE_WARN : STYLE_DIM, &text);
	place_row_add_host(entry, &text);
	place_row_add(&text, sum.drives, "drive");
	place_row_add(&text, sum.images, "image");
	x = place_row_put(s, x, y, STYLE_DIM, &text);
	place_row_add(&text, sum.jobs, "job");
	x = place_row_put(s, x, y, STYLE_GOOD, &text);
	view_place_add_state(entry, s->fixed_time, &text);
	place_row_put(s, x, y, STYLE_BAD, &text);
	str_release(&text);
}

void place_row_words(const struct sheet *s, int place, struct str *out)
{
	const json_t *entry = place_row_get(s, place);

	str_add_safe(out, field_bool(entry, "here") ? "the images of this "
		     "program" : field_str(entry, "address"));
	str_add_char(out, '\n');
	view_place_add_state(entry, s->fixed_time, out);
	if (*field_str(entry, "why")) {
		str_add(out, ": ");
		str_add_safe(out, field_str(entry, "why"));
	}
	str_addf(out, "\n%s folds and unfolds it.", keys_name(ACTION_FOLD));
}
