/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/pane/rows.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/pane/place_row.h"

#define FOLD_LEAST 2u		/* images */

/* While the rows are made: of each image. */
struct row_facts {
	unsigned children;
	bool kept;		/* it is what is looked for, or lies below */
	bool matches;		/* the same, itself */
	int place;		/* place_row.h */
};

struct row_maker {
	struct sheet *s;
	struct row_facts *of;
	size_t n, kept;
	bool is_short;		/* of room */
};

static const struct view_image *row_image(const struct row_maker *m, size_t i)
{
	return &m->s->shape->images[i];
}

/* --- what is looked for --- */

static void rows_narrow(struct row_maker *m)
{
	const char *text = m->s->chains.filter;

	for (size_t i = 0; i < m->n; i++) {
		const struct view_image *v = row_image(m, i);
		int at = (int)i;

		m->of[i].place = place_row_of_image(m->s, i);
		if (v->backing >= 0)
			m->of[v->backing].children++;
		m->of[i].matches = text && chains_matches(v, text);
		if (text && !m->of[i].matches)
			continue;
		for (; at >= 0 && !m->of[at].kept;
		     at = row_image(m, (size_t)at)->backing) {
			m->of[at].kept = true;
			m->kept += text || v->group == GROUP_TREE || !i ||
				v[-1].group != v->group;
		}
	}
}

/* --- folds --- */

/* Nothing is to be seen of it but that it is there. */
static bool is_quiet(const struct row_maker *m, size_t i)
{
	const struct view_image *v = row_image(m, i);

	if (v->group != GROUP_TREE)
		return !m->of[i].matches;
	if (v->role == VIEW_OVERLAY)
		return !m->of[i].matches && !m->of[i].children;
	return v->read_only && v->role == VIEW_OPEN && v->backing >= 0 &&
		m->of[i].children == 1 && !m->of[i].matches && !v->drive &&
		!*plan_mark(m->s, v) && !v->missing && !v->corrupt &&
		!v->dirty && !v->no_format && !v->snapshots &&
		!chains_job(m->s, v);
}

static bool is_held_open(const struct row_maker *m, size_t i)
{
	const struct chains_pane *p = &m->s->chains;
	const struct view_image *v = row_image(m, i);
	const json_t *state = json_object_get(p->folds, view_key(v));

	if (i == p->image && !p->on_fold)
		return true;
	return state ? json_is_true(state) : v->group == GROUP_TREE &&
		!m->is_short && !m->s->chains.filter;
}

/* It goes on with what the image before it began: a chain, overlays of one
 * image that are not open, or a part of other files that are not. */
static bool row_goes_on(const struct row_maker *m, size_t i)
{
	const struct view_image *v = row_image(m, i);

	if (v->group != GROUP_TREE || v[-1].group != GROUP_TREE)
		return v[-1].group == v->group;
	return v[-1].role == v->role && v->backing == (v->role == VIEW_OPEN ?
						       (int)i - 1 :
						       v[-1].backing);
}

/* How many images from @i on are one fold; 0 or 1: none is. */
static size_t fold_length(const struct row_maker *m, size_t i)
{
	size_t end = i;

	while (end < m->n && m->of[end].kept && is_quiet(m, end) &&
	       !is_held_open(m, end) && m->of[end].place == m->of[i].place &&
	       (end == i || row_goes_on(m, end)))
		end++;
	return end - i;
}

static void rows_add(struct row_maker *m, size_t image, size_t count)
{
	struct chains_pane *p = &m->s->chains;

	p->rows = mem_grow(p->rows, p->row_count + 1, sizeof(*p->rows));
	p->rows[p->row_count++] = (struct chain_row) { image, count, -1 };
}

/* Images of that place; -1: of none. */
static void rows_of_place(struct row_maker *m, int place)
{
	for (size_t i = 0; i < m->n; i++) {
		size_t fold;

		if (m->of[i].place != place)
			continue;
		fold = fold_length(m, i);
		if (fold >= FOLD_LEAST) {
			rows_add(m, i, fold);
			i += fold - 1;
		} else if (m->of[i].kept) {
			rows_add(m, i, 1);
		}
	}
}

/* The first image of a place that is shown; the number of images: none is. */
static size_t rows_first(const struct row_maker *m, int place)
{
	size_t i = 0;

	while (i < m->n && (m->of[i].place != place || !m->of[i].kept))
		i++;
	return i;
}

/* What is open below the heads of places, then files that are not. */
static void rows_of_tree(struct row_maker *m)
{
	for (size_t k = 0; k < place_row_count(m->s); k++) {
		size_t first = rows_first(m, (int)k);

		if (m->s->chains.filter && first == m->n)
			continue;
		rows_add(m, first, 0);
		m->s->chains.rows[m->s->chains.row_count - 1].place = (int)k;
		if (!place_row_is_folded(m->s, (int)k))
			rows_of_place(m, (int)k);
	}
	rows_of_place(m, -1);
}

/* --- other orders --- */

struct sorted_row {
	uint64_t key;
	size_t image;
};

static int sorted_order(const void *a, const void *b)
{
	const struct sorted_row *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return x->image < y->image ? -1 : x->image > y->image;
}

/* The largest first; of files the oldest. */
static uint64_t sort_key(const struct row_maker *m, size_t i)
{
	const struct view_image *v = row_image(m, i);
	struct map_sum sum;

	if (m->s->chains.sort == SORT_DISK)
		return v->disk;
	if (m->s->chains.sort == SORT_AGE)
		return v->written ? UINT64_MAX - v->written : 0;
	client_map(m->s->client, v->node, NULL, &sum);
	return sum.dead;
}

static void rows_sorted(struct row_maker *m)
{
	struct sorted_row *list = mem_alloc((m->n + 1) * sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->of[i].matches || !m->s->chains.filter)
			list[n++] = (struct sorted_row) { sort_key(m, i), i };
	qsort(list, n, sizeof(*list), sorted_order);
	for (size_t i = 0; i < n; i++)
		rows_add(m, list[i].image, 1);
	free(list);
}

const char *rows_sort_name(enum chain_sort sort)
{
	static const char *const names[] = {
		[SORT_TREE] = "tree", [SORT_DISK] = "disk",
		[SORT_DEAD] = "dead", [SORT_AGE] = "age",
	};

	return names[sort];
}

/* --- all of it --- */

static struct row_maker row_maker_new(struct sheet *s)
{
	struct row_maker m = { .s = s, .n = s->shape ? s->shape->n : 0 };

	m.of = mem_alloc((m.n + 1) * sizeof(*m.of));
	rows_narrow(&m);
	return m;
}

static int rows_of_head(const struct sheet *s, int place)
{
	const struct chains_pane *p = &s->chains;

	for (size_t i = 0; i < p->row_count && place >= 0; i++)
		if (p->rows[i].place == place)
			return (int)i;
	return -1;
}

/* The row that is selected, or -1. What a folded place has is selected with
 * it. */
static int rows_selected(const struct row_maker *m)
{
	struct chains_pane *p = &m->s->chains;
	int at = p->place ? rows_of_head(m->s, place_row_find(m->s, p->place)) :
		rows_of_image(m->s, p->image);

	if (at < 0 && p->image < m->n)
		at = rows_of_head(m->s, m->of[p->image].place);
	free(p->place);
	p->place = NULL;
	return at;
}

void rows_make(struct sheet *s, size_t room)
{
	struct chains_pane *p = &s->chains;
	struct row_maker m = row_maker_new(s);
	int at;

	p->row_count = 0;
	m.is_short = m.kept + place_row_count(s) > room;
	if (p->sort == SORT_TREE)
		rows_of_tree(&m);
	else
		rows_sorted(&m);
	at = rows_selected(&m);
	/* What is not looked for any more can't be selected. */
	if (at < 0 && p->row_count) {
		p->selected = p->selected < p->row_count ? p->selected :
			p->row_count - 1;
		if (p->rows[p->selected].image < m.n)
			p->image = p->rows[p->selected].image;
	} else if (at >= 0) {
		p->selected = (size_t)at;
	}
	p->on_fold = p->row_count && p->rows[p->selected].count > 1;
	if (p->row_count && p->rows[p->selected].place >= 0)
		p->place = mem_dup(place_row_name(
			s, p->rows[p->selected].place));
	free(m.of);
}

void rows_release(struct sheet *s)
{
	free(s->chains.rows);
	free(s->chains.filter);
	free(s->chains.place);
	json_decref(s->chains.folds);
}

int rows_of_image(const struct sheet *s, size_t image)
{
	const struct chains_pane *p = &s->chains;

	for (size_t i = 0; i < p->row_count; i++)
		if (image >= p->rows[i].image &&
		    image < p->rows[i].image + p->rows[i].count)
			return (int)i;
	return -1;
}

/* --- by hand --- */

static void set_folds(struct sheet *s, size_t from, size_t n, bool open)
{
	if (!s->chains.folds)
		s->chains.folds = json_object();
	for (size_t i = from; i < from + n; i++)
		json_object_set_new(s->chains.folds,
				    view_key(&s->shape->images[i]),
				    json_boolean(open));
}

/* The quiet run that @i is in; 0 images: none. */
static size_t run_around(const struct row_maker *m, size_t i, size_t *from)
{
	size_t end = i;

	if (i >= m->n || !is_quiet(m, i))
		return 0;
	*from = i;
	while (*from && row_goes_on(m, *from) && is_quiet(m, *from - 1))
		--*from;
	for (end++; end < m->n && is_quiet(m, end) && row_goes_on(m, end);
	     end++)
		;
	return end - *from;
}

static bool fold_around(struct sheet *s)
{
	struct chains_pane *p = &s->chains;
	struct row_maker m = row_maker_new(s);
	size_t from = 0, n = run_around(&m, p->image, &from);

	if (n < FOLD_LEAST && p->image)
		n = run_around(&m, p->image - 1, &from);
	if (n < FOLD_LEAST)
		n = run_around(&m, p->image + 1, &from);
	free(m.of);
	if (n < FOLD_LEAST)
		return false;
	set_folds(s, from, n, false);
	if (p->image >= from && p->image < from + n) {
		p->image = from;
		p->on_fold = true;
	}
	return true;
}

/* Its head is what one sees of it then. */
static bool rows_fold_place(struct sheet *s, int place)
{
	struct chains_pane *p = &s->chains;

	if (place < 0)
		return false;
	place_row_fold(s, place, !place_row_is_folded(s, place));
	free(p->place);
	p->place = mem_dup(place_row_name(s, place));
	return true;
}

bool rows_fold(struct sheet *s)
{
	struct chains_pane *p = &s->chains;

	if (!p->row_count || p->sort != SORT_TREE)
		return false;
	if (p->place)
		return rows_fold_place(s, place_row_find(s, p->place));
	if (p->rows[p->selected].count == 1)
		return fold_around(s) ||
			rows_fold_place(s, place_row_of_image(s, p->image));
	set_folds(s, p->rows[p->selected].image, p->rows[p->selected].count,
		  true);
	p->on_fold = false;
	return true;
}
