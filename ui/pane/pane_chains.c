/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree of images: what is selected, and how that moves. */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/pane/place_row.h"
#include "ui/pane/rows.h"
#include "ui/pane/sheet.h"

static size_t chains_count(const struct sheet *s)
{
	return s->shape ? s->shape->n : 0;
}

const struct view_image *chains_selected(const struct sheet *s)
{
	const struct chains_pane *p = &s->chains;

	return p->image < chains_count(s) && p->row_count && !p->on_fold &&
		!p->place ? &s->shape->images[p->image] : NULL;
}

const struct view_image *chains_selected_fold(const struct sheet *s, size_t *n)
{
	const struct chains_pane *p = &s->chains;
	const struct chain_row *row = p->rows + p->selected;

	if (!p->on_fold || p->selected >= p->row_count ||
	    row->image + row->count > chains_count(s))
		return NULL;
	*n = row->count;
	return &s->shape->images[row->image];
}

static void chains_choose(struct sheet *s, size_t i)
{
	struct chains_pane *p = &s->chains;
	const struct view_image *v;

	if (!chains_count(s))
		return;
	p->image = i < chains_count(s) ? i : chains_count(s) - 1;
	p->on_fold = false;
	free(p->place);
	p->place = NULL;
	v = &s->shape->images[p->image];
	free(p->key);
	free(p->drive);
	p->key = mem_dup(view_key(v));
	p->drive = mem_dup(v->drive);
}

static void chains_choose_place(struct sheet *s, int place)
{
	free(s->chains.place);
	s->chains.place = mem_dup(place_row_name(s, place));
	s->chains.on_fold = false;
}

/* A row: an image, a fold as a whole, or the head of a place. */
static void chains_choose_row(struct sheet *s, size_t row)
{
	struct chains_pane *p = &s->chains;

	if (!p->row_count)
		return;
	p->selected = row < p->row_count ? row : p->row_count - 1;
	chains_choose(s, p->rows[p->selected].image);
	p->on_fold = p->rows[p->selected].count > 1;
	if (p->rows[p->selected].place >= 0)
		chains_choose_place(s, p->rows[p->selected].place);
}

static int chains_find_drive(const struct sheet *s, const char *drive)
{
	for (size_t i = 0; i < chains_count(s); i++)
		if (s->shape->images[i].drive &&
		    (!drive || !strcmp(s->shape->images[i].drive, drive)))
			return (int)i;
	return -1;
}

/* The newest job on the chain under @top is a stream. */
static bool was_streamed(const struct sheet *s, const struct view_image *top)
{
	for (size_t i = s->jobs.n; i--; )
		if (!strcmp(s->jobs.list[i].top, top->node) ||
		    (top->drive && !strcmp(s->jobs.list[i].id, top->drive)))
			return !strcmp(s->jobs.list[i].type, "stream");
	return false;
}

/* Which image has taken in @key of the shape before: a stream pulls up, a
 * commit pushes down. -1: none that is there. Of files that are not open, the
 * one in its place. */
static int heir_of(const struct sheet *s, const struct shape *before,
		   const char *key)
{
	int at = shape_find_key(before, key), top, heir = -1;

	if (at < 0)
		return -1;
	if (before->images[at].role != VIEW_OPEN)
		return at < (int)s->shape->n ? at : (int)s->shape->n - 1;
	top = before->images[at].top;
	if (top >= 0 && was_streamed(s, &before->images[top]))
		heir = shape_find(s->shape, before->images[top].node);
	for (; heir < 0 && at >= 0; at = before->images[at].backing)
		heir = shape_find(s->shape, before->images[at].node);
	return heir >= 0 || top < 0 ? heir :
		chains_find_drive(s, before->images[top].drive);
}

/* The same image stays selected; a drive's active layer goes on to be that
 * (a snapshot puts another in its place). Where it has gone, the one that took
 * it in is; else an active layer is a good place to be. */
void chains_update(struct sheet *s, const struct shape *before)
{
	int at = s->chains.drive ? chains_find_drive(s, s->chains.drive) : -1;
	bool on_fold = s->chains.on_fold;
	char *place = s->chains.place;

	s->chains.place = NULL;
	if (at < 0 && s->chains.key)
		at = shape_find_key(s->shape, s->chains.key);
	if (at < 0 && s->chains.key)
		at = heir_of(s, before, s->chains.key);
	if (at < 0)
		at = chains_find_drive(s, NULL);
	chains_choose(s, at < 0 ? s->chains.image : (size_t)at);
	s->chains.on_fold = on_fold;
	s->chains.place = place;
}

static void chains_move(struct sheet *s, int64_t by)
{
	int64_t to = (int64_t)s->chains.selected + by;

	chains_choose_row(s, to < 0 ? 0 : (size_t)to);
}

static void chains_sort(struct sheet *s)
{
	s->chains.sort = (s->chains.sort + 1) % SORT_COUNT;
	sheet_message(s, "sorted by %s", rows_sort_name(s->chains.sort));
}

static void chains_fold(struct sheet *s)
{
	if (s->chains.sort != SORT_TREE)
		sheet_message(s, "only the tree folds: %s goes on to it",
			      keys_name(ACTION_SORT));
	else if (!rows_fold(s))
		sheet_message(s, "nothing to fold here");
}

static bool chains_act_here(struct sheet *s, enum action action)
{
	const struct view_image *v = chains_selected(s);

	switch (action) {
	case ACTION_LEFT:
		if (v && v->backing >= 0)
			chains_choose(s, (size_t)v->backing);
		else if (v && place_row_of_image(s, s->chains.image) >= 0)
			chains_choose_place(s, place_row_of_image(
					    s, s->chains.image));
		return true;
	case ACTION_RIGHT:
		if (v && v->top >= 0)
			chains_choose(s, (size_t)v->top);
		return true;
	case ACTION_FOLD:
		chains_fold(s);
		return true;
	case ACTION_SORT:
		chains_sort(s);
		return true;
	case ACTION_MAP:
		s->chains.whole = !s->chains.whole;
		return true;
	case ACTION_DETAILS:
		if (s->chains.on_fold || s->chains.place)
			chains_fold(s);
		return !v;
	default:
		return false;
	}
}

bool chains_act(struct sheet *s, enum action action)
{
	int64_t page = chains_rows(s) > 1 ? chains_rows(s) - 1 : 1;

	switch (action) {
	case ACTION_UP:
		chains_move(s, -1);
		return true;
	case ACTION_DOWN:
		chains_move(s, 1);
		return true;
	case ACTION_PAGE_UP:
		chains_move(s, -page);
		return true;
	case ACTION_PAGE_DOWN:
		chains_move(s, page);
		return true;
	case ACTION_FIRST:
		chains_choose_row(s, 0);
		return true;
	case ACTION_LAST:
		chains_choose_row(s, s->chains.row_count);
		return true;
	default:
		return chains_act_here(s, action);
	}
}

void chains_click(struct sheet *s, unsigned row)
{
	if (s->chains.first + row < s->chains.row_count)
		chains_choose_row(s, s->chains.first + row);
}

/* --- looking for some --- */

bool chains_matches(const struct view_image *v, const char *text)
{
	return text_find(v->path, text) || text_find(v->node, text) ||
		(v->drive && text_find(v->drive, text));
}

/* From image @from on, itself included, round the list; -1: none. */
static int chains_next_match(const struct sheet *s, size_t from, int step)
{
	size_t n = chains_count(s);

	for (size_t i = 0; i < n && s->chains.filter; i++) {
		size_t at = (from + (step > 0 ? i : n - i)) % n;

		if (chains_matches(&s->shape->images[at], s->chains.filter))
			return (int)at;
	}
	return -1;
}

void chains_filter(struct sheet *s, const char *text)
{
	struct chains_pane *p = &s->chains;
	int at;

	free(p->filter);
	p->filter = text && *text ? mem_dup(text) : NULL;
	at = chains_next_match(s, p->image, 1);
	if (at >= 0)
		chains_choose(s, (size_t)at);
}

void chains_search(struct sheet *s, const char *text, int step)
{
	size_t n = chains_count(s);
	int at;

	if (!s->chains.filter)
		chains_filter(s, text);
	at = n ? chains_next_match(s, (s->chains.image + n +
				       (size_t)(int64_t)step) % n, step) : -1;
	if (at >= 0)
		chains_choose(s, (size_t)at);
	else
		sheet_message(s, "no image matches '%s'", text);
}
