/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree as columns. A column is there because rows differ in it, and a row
 * says what it does not share with the one above.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "ui/draw/text.h"
#include "ui/pane/job_row.h"
#include "ui/pane/place_row.h"
#include "ui/pane/rows.h"
#include "ui/pane/sheet.h"
#include "ui/view/view_place.h"

#define MAP_LEAST 20u
#define NAME_ENOUGH 32u
#define NOTE_NAME 16u		/* of the name in the title, at least */
#define FOLD_MAPS 16u		/* images of a fold whose maps are drawn */
#define CHAINS_TITLE "Chains"

/* Where the columns begin; w 0: not shown. */
struct columns {
	struct column {
		unsigned x, w;
	} name, marks, format, size, disk, dead, age, strip;
};

static size_t row_total(const struct sheet *s)
{
	return s->chains.row_count;
}

unsigned chains_rows(const struct sheet *s)
{
	unsigned h = s->layout.pane[PANE_CHAINS].h;

	return h > CHAINS_HEAD ? h - CHAINS_HEAD : 0;
}

static void chains_take(struct column *column, unsigned *x, unsigned w)
{
	*column = (struct column) { *x, w };
	*x += w + 1;
}

/* Names come first, and the map gets what they leave; but no less than twenty
 * cells, and where there is room for names of some length, two fifths. */
static unsigned name_columns(const struct sheet *s, unsigned others)
{
	unsigned w = s->canvas.w, usual = w < 80 ? 20 : w < 100 ? 22 : w / 4;
	unsigned left = w > others ? w - others : 0;
	unsigned most = left > MAP_LEAST ? left - MAP_LEAST : 0;
	unsigned need = s->shape ? s->shape->wide : 0;

	if (most > NAME_ENOUGH && most > left - w * 2 / 5)
		most = left - w * 2 / 5 > NAME_ENOUGH ? left - w * 2 / 5
						      : NAME_ENOUGH;
	if (need > most)
		need = most;
	return need > usual ? need : usual;
}

/* Is it wanted, and is there room for it and something to tell? */
static bool has_column(const struct sheet *s, enum chain_column column)
{
	unsigned w = s->canvas.w;

	if (s->chains.without >> column & 1)
		return false;
	switch (column) {
	case COLUMN_FORMAT:
		return w >= 72 && s->shape && s->shape->formats;
	case COLUMN_SIZE:
		return w >= 66 && s->shape && s->shape->sizes;
	case COLUMN_AGE:
		return w >= 66 && s->shape && s->shape->ages;
	default:
		return true;
	}
}

static struct columns columns(const struct sheet *s)
{
	static const unsigned widths[COLUMN_COUNT] = {
		[COLUMN_FORMAT] = 6, [COLUMN_SIZE] = 5, [COLUMN_DISK] = 5,
		[COLUMN_DEAD] = 5, [COLUMN_AGE] = 4,
	};
	struct columns k = { 0 };
	struct column *of[COLUMN_COUNT] = {
		&k.format, &k.size, &k.disk, &k.dead, &k.age,
	};
	unsigned w = s->canvas.w, marks = w < 80 ? 2 : 3;
	unsigned x = place_row_count(s) ? 1 + PLACE_INDENT : 1;
	/* All that stands between name and map, and the map's edges. */
	unsigned others = x + 1 + marks + 1 + 3;

	for (enum chain_column i = 0; i < COLUMN_COUNT; i++)
		others += has_column(s, i) ? widths[i] + 1 : 0;
	chains_take(&k.name, &x, name_columns(s, others));
	chains_take(&k.marks, &x, marks);
	for (enum chain_column i = 0; i < COLUMN_COUNT; i++)
		if (has_column(s, i))
			chains_take(of[i], &x, widths[i]);
	k.strip = (struct column) { x + 1, w > x + 3 ? w - x - 3 : 1 };
	if (k.strip.w > STRIP_CELLS)
		k.strip.w = STRIP_CELLS;
	return k;
}

/* --- names --- */

/* The tree, which shows its end where there is no room. Returns columns. */
static unsigned draw_tree(struct sheet *s, const char *tree,
			  const struct column *at, unsigned y)
{
	unsigned width = text_columns(tree);
	wchar_t wc;

	while (width > at->w / 3)
		width -= text_next(&tree, &wc);
	return canvas_put(&s->canvas, at->x, y, at->w, STYLE_TREE, tree) + 1;
}

static enum style name_style(const struct sheet *s,
			     const struct view_image *v)
{
	if (v->missing || v->role == VIEW_ORPHAN)
		return STYLE_BAD;
	if (v->role != VIEW_OPEN || view_place_is_lost(s->places, v->node))
		return STYLE_DIM;
	return v->drive ? STYLE_STRONG : STYLE_TEXT;
}

/* Tree, name and drive in one column; the drive is never cut off. */
static void draw_name(struct sheet *s, const struct view_image *v,
		      const struct column *at, unsigned y)
{
	struct canvas *c = &s->canvas;
	unsigned x = at->x, end = at->x + at->w, tag = 0;
	struct str name = STR_INIT;

	if (v->drive)
		tag = text_columns(v->drive) + 3;
	if (tag > at->w / 2)
		tag = at->w / 2;
	if (s->chains.sort == SORT_TREE)
		x += draw_tree(s, c->ascii ? v->tree_ascii : v->tree, at, y);
	else
		x++;
	names_fit(&name, v->name, v->cut, end - x - tag, c->ascii);
	x += canvas_put(c, x, y, end - x, name_style(s, v), str_get(&name));
	if (s->chains.filter)
		canvas_mark(c, at->x, y, str_get(&name), s->chains.filter);
	str_clear(&name);
	if (v->drive) {
		str_add_char(&name, ' ');
		str_add(&name, theme_glyph(GLYPH_DRIVE, c->ascii));
		text_fit(&name, v->drive, end - x - 3, c->ascii);
		canvas_put(c, x, y, end - x, STYLE_DRIVE, str_get(&name));
	}
	str_release(&name);
}

/* The tree in front of a fold ends with another sign. */
static char *fold_tree(const struct view_image *v, bool ascii)
{
	const char *tree = ascii ? v->tree_ascii : v->tree;
	size_t len = strlen(tree);

	if (v->group != GROUP_TREE)
		return mem_dup(theme_glyph(GLYPH_CLOSED, ascii));
	while (len && (tree[--len] & 0xc0) == 0x80)
		;
	return mem_printf("%.*s%s", (int)len, tree, ascii ? ":" : "⋯");
}

static const char *fold_words(const struct view_image *first)
{
	if (first->group == GROUP_UNUSED)
		return "files nothing uses";
	if (first->group == GROUP_OTHERS)
		return "others, not open";
	return first->role == VIEW_OPEN ? "layers" : "not open";
}

/* "⋯ 118 layers web-01…web-118", "○ 4 files nothing uses" */
static void draw_fold_name(struct sheet *s, const struct chain_row *row,
			   const struct columns *k, unsigned y)
{
	const struct view_image *first = &s->shape->images[row->image];
	const struct view_image *last = first + row->count - 1;
	char *tree = fold_tree(first, s->canvas.ascii);
	const struct column *at = first->group == GROUP_TREE ? &k->name :
		&k->marks;
	unsigned end = at->x + at->w;
	unsigned x = k->name.x + draw_tree(s, tree, &k->name, y);
	struct str name = STR_INIT;
	unsigned room;

	x += canvas_putf(&s->canvas, x, y, end - x, STYLE_STRONG,
			 "%zu %s ", row->count, fold_words(first));
	room = first->role == VIEW_OPEN && end > x + 3 ? (end - x - 3) / 2 :
		0;
	if (room >= 6) {
		names_fit(&name, first->name, first->cut, room,
			  s->canvas.ascii);
		str_add(&name, s->canvas.ascii ? " to " : " … ");
		names_fit(&name, last->name, last->cut, room, s->canvas.ascii);
		canvas_put(&s->canvas, x, y, end - x, STYLE_DIM,
			   str_get(&name));
	}
	str_release(&name);
	free(tree);
}

/* --- numbers --- */

static void draw_size(struct sheet *s, const struct column *at, unsigned y,
		      enum style style, uint64_t bytes)
{
	char buf[16];

	if (at->w)
		canvas_put_right(&s->canvas, at->x + at->w, y, at->w, style,
				 size_short(bytes, buf, sizeof(buf)));
}

/* With a fixed time the newest file is of now. */
static uint64_t present(const struct sheet *s)
{
	uint64_t newest = 0;

	if (!s->fixed_time)
		return clock_wall_us() / 1000000;
	for (size_t i = 0; i < s->shape->n; i++)
		if (s->shape->images[i].written > newest)
			newest = s->shape->images[i].written;
	return newest;
}

bool chains_age(const struct sheet *s, const struct view_image *v,
		uint64_t *age)
{
	uint64_t now = present(s);

	*age = now > v->written ? now - v->written : 0;
	return v->written;
}

static void draw_age(struct sheet *s, const struct view_image *v,
		     const struct column *at, unsigned y)
{
	uint64_t age;
	char buf[16];

	if (at->w && chains_age(s, v, &age))
		canvas_put_right(&s->canvas, at->x + at->w, y, at->w,
				 STYLE_TEXT, text_age(age, buf, sizeof(buf)));
}

/* --- maps --- */

static void draw_strip(struct sheet *s, const struct strip_cell *cells,
		       unsigned n, uint64_t shown, const struct columns *k,
		       unsigned y)
{
	struct canvas *c = &s->canvas;
	enum style style;

	canvas_glyph(c, k->strip.x - 1, y, STYLE_HOLE, GLYPH_STRIP_LEFT);
	canvas_glyph(c, k->strip.x + k->strip.w, y, STYLE_HOLE,
		     GLYPH_STRIP_RIGHT);
	for (unsigned i = 0; n && i < k->strip.w; i++) {
		struct strip_cell cell = strip_scaled(cells, n, i, k->strip.w);
		const char *glyph = strip_glyph(&cell, shown / n, c->ascii,
						&style);

		canvas_put(c, k->strip.x + i, y, 1, style, glyph);
	}
}

static void add_up(struct strip_cell *sum, const struct strip_cell *cells,
		   unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sum[i].data += cells[i].data;
		sum[i].zero += cells[i].zero;
		sum[i].compressed += cells[i].compressed;
		sum[i].dead += cells[i].dead;
	}
}

/* Of one image, or of those of a fold together. */
static void draw_held(struct sheet *s, const struct chain_row *row,
		      const struct columns *k, unsigned y)
{
	static struct strip_cell cells[STRIP_CELLS], sum[STRIP_CELLS];
	const struct view_image *v = &s->shape->images[row->image];
	struct map_sum of = { 0 };
	uint64_t dead = 0, shown = 0;
	unsigned n = 0, got;
	bool known = true;

	memset(sum, 0, sizeof(sum));
	for (size_t i = 0; i < row->count; i++) {
		got = client_map(s->client, v[i].node, row->count > FOLD_MAPS ?
				 NULL : cells, &of);
		known &= of.known;
		dead += of.dead;
		shown = of.shown;
		add_up(sum, cells, got);
		n = got ? got : n;
	}
	draw_strip(s, sum, n, shown, k, y);
	if (row->count == 1)
		plan_draw_cells(s, v, k->strip.x, y, k->strip.w);
	if (known)
		draw_size(s, &k->dead, y, dead ? STYLE_TEXT : STYLE_DIM, dead);
	else
		canvas_put(&s->canvas, k->dead.x + k->dead.w - 1, y, 1,
			   STYLE_DIM, "?");
}

/* The maps that will be seen; to sort by what is dead, some of each tree. */
static void want_maps(struct sheet *s, unsigned cells, size_t n)
{
	const char **nodes = mem_alloc((s->shape->n + 1) * sizeof(*nodes));
	const struct chain_row *row = &s->chains.rows[s->chains.first];
	size_t wanted = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < row[i].count &&
		     row[i].count <= FOLD_MAPS; k++)
			nodes[wanted++] =
				s->shape->images[row[i].image + k].node;
	for (size_t i = 0; i < s->shape->n && s->chains.sort == SORT_DEAD &&
	     wanted < s->shape->n; i++)
		if (s->shape->images[i].backing < 0)
			nodes[wanted++] = s->shape->images[i].node;
	for (size_t i = 0; i < wanted; )
		if (*nodes[i])
			i++;
		else
			nodes[i] = nodes[--wanted];
	client_show(s->client, nodes, wanted, cells, s->chains.whole);
	free(nodes);
}

/* --- rows --- */

/* The open image of the last row above that has one; NULL: none is seen. */
static const struct view_image *row_above(const struct sheet *s, size_t i)
{
	while (i-- > s->chains.first) {
		const struct view_image *v =
			&s->shape->images[s->chains.rows[i].image];

		if (s->chains.rows[i].place >= 0)
			return NULL;
		if (v->role == VIEW_OPEN)
			return v;
	}
	return NULL;
}

/* What differs from the row above. */
static void draw_own(struct sheet *s, size_t i, const struct columns *k,
		     unsigned y)
{
	const struct chain_row *row = &s->chains.rows[i];
	const struct view_image *v = &s->shape->images[row->image];
	const struct view_image *above = row_above(s, i);

	if (v->role != VIEW_OPEN)
		return;
	if (k->format.w && (!above || strcmp(above->format, v->format)))
		canvas_put(&s->canvas, k->format.x, y, k->format.w, STYLE_DIM,
			   v->format);
	if (!v->missing && (!above || above->size != v->size))
		draw_size(s, &k->size, y, STYLE_DIM, v->size);
}

static void draw_image_row(struct sheet *s, size_t i, const struct columns *k,
			   unsigned y)
{
	const struct chain_row *row = &s->chains.rows[i];
	const struct view_image *v = &s->shape->images[row->image];
	uint64_t disk = 0;

	if (row->count > 1)
		draw_fold_name(s, row, k, y);
	else
		draw_name(s, v, &k->name, y);
	if (v->role != VIEW_UNUSED && (row->count == 1 ||
				       v->role == VIEW_OPEN))
		chains_draw_marks(s, v, k->marks.x, y, k->marks.w);
	draw_own(s, i, k, y);
	for (size_t at = 0; at < row->count; at++)
		disk += v[at].disk;
	if (!v->missing) {
		draw_size(s, &k->disk, y, STYLE_TEXT, disk);
		if (row->count == 1 || v->role == VIEW_OPEN)
			draw_age(s, &v[row->count - 1], &k->age, y);
		if (v->role == VIEW_OPEN)
			draw_held(s, row, k, y);
		else
			closed_draw(s, row, k->strip.x, k->strip.w, y);
	}
	if (!layout_has_jobs(s) && chains_job(s, v))
		job_row_draw_brief(s, chains_job(s, v), k->strip.x - 1, y,
				   k->strip.w + 2);
}

static void draw_row(struct sheet *s, size_t i, const struct columns *k,
		     unsigned y)
{
	struct canvas *c = &s->canvas;

	if (i == s->chains.selected)
		canvas_put(c, 0, y, 1, STYLE_DRIVE, c->ascii ? ">" : "▸");
	if (s->chains.rows[i].place >= 0)
		place_row_draw(s, s->chains.rows[i].place, y);
	else
		draw_image_row(s, i, k, y);
	if (i == s->chains.selected && s->focus == PANE_CHAINS)
		canvas_select(c, 0, y, c->w);
}

/* --- heads --- */

/* As much as there is room for of what the cells are. */
static void legend_words(const struct sheet *s, const struct map_sum *sum,
			 unsigned room, struct str *out)
{
	const char *signs = s->canvas.ascii ?
		": # data  x dead  0 zero  Z packed" :
		": █ data  ░ dead  0 zero  ▓ packed";
	char shown[16], size[16];

	size_short(sum->shown, shown, sizeof(shown));
	size_short(sum->size, size, sizeof(size));
	if (!sum->known) {
		str_add(out, "map");
	} else if (sum->shown == sum->size) {
		str_addf(out, "map of %s", size);
	} else {
		str_addf(out, "map: %s of %s", shown, size);
		if (text_columns(str_get(out)) + 28 <= room)
			str_addf(out, ", what somebody holds; %s: all",
				 keys_name(ACTION_MAP));
		else if (text_columns(str_get(out)) + 6 <= room)
			str_add(out, " held");
		return;
	}
	if (text_columns(str_get(out)) + text_columns(signs) <= room)
		str_add(out, signs);
}

/* The scale is that of the selected image's tree. */
static void draw_legend(struct sheet *s, const struct columns *k, unsigned y)
{
	struct str text = STR_INIT;
	struct map_sum sum = { 0 };

	if (row_total(s) && s->chains.image < s->shape->n)
		client_map(s->client, s->shape->images[s->chains.image].node,
			   NULL, &sum);
	legend_words(s, &sum, k->strip.w, &text);
	canvas_put(&s->canvas, k->strip.x, y, k->strip.w, STYLE_DIM,
		   str_get(&text));
	str_release(&text);
}

static void draw_column_name(struct sheet *s, const struct column *at,
			     unsigned y, const char *name, bool sorted)
{
	if (at->w)
		canvas_put_right(&s->canvas, at->x + at->w, y, at->w, sorted ?
				 STYLE_STRONG : STYLE_DIM, name);
}

static void draw_column_names(struct sheet *s, const struct columns *k,
			      unsigned y)
{
	enum chain_sort sort = s->chains.sort;

	canvas_put(&s->canvas, k->name.x, y, k->name.w, STYLE_DIM, "image");
	if (k->format.w)
		canvas_put(&s->canvas, k->format.x, y, k->format.w, STYLE_DIM,
			   "format");
	draw_column_name(s, &k->size, y, "size", false);
	draw_column_name(s, &k->disk, y, "disk", sort == SORT_DISK);
	draw_column_name(s, &k->dead, y, "dead", sort == SORT_DEAD);
	draw_column_name(s, &k->age, y, "age", sort == SORT_AGE);
	draw_legend(s, k, y);
}

/* Where the selection stands, and what is not shown. */
static void add_place(const struct sheet *s, struct str *out)
{
	if (s->chains.filter)
		str_addf(out, "/%s  ", s->chains.filter);
	if (s->chains.sort != SORT_TREE)
		str_addf(out, "by %s  ", rows_sort_name(s->chains.sort));
	if (row_total(s))
		str_addf(out, "%zu/%zu", s->chains.image + 1, s->shape->n);
}

/* Name and words of the selected image, and where it stands. Of what is too
 * long, the name is cut first, then the words. */
static char *chains_head_note(const struct sheet *s)
{
	const struct view_image *v = chains_selected(s);
	unsigned room = layout_note_room(&s->layout.pane[PANE_CHAINS],
					 CHAINS_TITLE), place, used;
	struct str note = STR_INIT, words = STR_INIT, at = STR_INIT;

	add_place(s, &at);
	if (v)
		chains_words(s, v, &words);
	place = at.len ? text_columns(str_get(&at)) + 2 : 0;
	room = room > place ? room - place : 0;
	if (words.len) {
		used = text_columns(str_get(&words)) + 2;
		names_fit(&note, v->name, v->cut, room > used + NOTE_NAME ?
			  room - used : NOTE_NAME, s->canvas.ascii);
		str_addf(&note, ": ");
		used = text_columns(str_get(&note));
		text_fit(&note, str_get(&words), room > used ? room - used : 0,
			 s->canvas.ascii);
	}
	if (at.len)
		str_addf(&note, "%s%s", note.len ? "  " : "", str_get(&at));
	str_release(&words);
	str_release(&at);
	return str_detach(&note);
}

static void draw_nothing(struct sheet *s, unsigned y)
{
	if (!chains_rows(s) || !s->shape)
		return;
	if (s->chains.filter)
		canvas_putf(&s->canvas, 1, y, s->canvas.w, STYLE_DIM,
			    "no image matches '%s'; Esc shows all",
			    s->chains.filter);
	else
		canvas_put(&s->canvas, 1, y, s->canvas.w, STYLE_DIM,
			   "no images: give them as arguments, or see help");
}

void chains_draw(struct sheet *s)
{
	struct area area = s->layout.pane[PANE_CHAINS];
	struct columns k = columns(s);
	size_t visible;
	char *note;

	if (!area.h)
		return;
	s->chains.first = sheet_scroll(s->chains.first, s->chains.selected,
				       row_total(s), chains_rows(s));
	note = chains_head_note(s);
	layout_head(s, PANE_CHAINS, CHAINS_TITLE, note);
	free(note);
	if (area.h > 1)
		draw_column_names(s, &k, area.y + 1);
	if (!row_total(s)) {
		draw_nothing(s, area.y + CHAINS_HEAD);
		return;
	}
	visible = row_total(s) - s->chains.first;
	if (visible > chains_rows(s))
		visible = chains_rows(s);
	want_maps(s, k.strip.w, visible);
	if (place_row_count(s))
		client_attend(s->client, place_row_seen(s, visible));
	for (size_t i = 0; i < visible; i++)
		draw_row(s, s->chains.first + i, &k,
			 area.y + CHAINS_HEAD + (unsigned)i);
}
