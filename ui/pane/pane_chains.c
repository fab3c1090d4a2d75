/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

#define HEAD_ROWS 2u	/* title and names of the columns */
#define MAP_LEAST 20u
#define NAME_ENOUGH 32u
#define NOTE_NAME 16u		/* of the name in the title, at least */
#define CHAINS_TITLE "Chains"

/* Where the columns begin; w 0: not shown. */
struct columns {
	struct column {
		unsigned x, w;
	} name, marks, format, size, disk, holds, strip;
};

static size_t chains_count(const struct sheet *s)
{
	return s->shape ? s->shape->n : 0;
}

/* Below the images, who uses them: what those leave, or half of all. */
static unsigned use_rows(const struct sheet *s)
{
	unsigned h = s->layout.pane[PANE_CHAINS].h;
	unsigned all = h > HEAD_ROWS ? h - HEAD_ROWS : 0;
	unsigned left =
		all > chains_count(s) ? all - (unsigned)chains_count(s) : 0;
	unsigned most = left > all / 2 ? left : all / 2;

	return s->uses.n < most ? (unsigned)s->uses.n : most;
}

static unsigned rows(const struct sheet *s)
{
	unsigned h = s->layout.pane[PANE_CHAINS].h;

	return h > HEAD_ROWS ? h - HEAD_ROWS - use_rows(s) : 0;
}

const struct view_image *chains_selected(const struct sheet *s)
{
	return s->chains.selected < chains_count(s)
		       ? &s->shape->images[s->chains.selected]
		       : NULL;
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

static struct columns columns(const struct sheet *s)
{
	struct columns k = { 0 };
	unsigned w = s->canvas.w, x = 1, marks = w < 80 ? 3 : 4;
	/* All that stands between name and map, and the map's edges. */
	bool formats = w >= 72 && s->shape && s->shape->formats;
	bool sizes = w >= 66 && s->shape && s->shape->sizes;
	unsigned others = 1 + 1 + marks + 1 + 12 + 3 + (formats ? 7 : 0) +
		(sizes ? 6 : 0);

	chains_take(&k.name, &x, name_columns(s, others));
	chains_take(&k.marks, &x, marks);
	if (formats)
		chains_take(&k.format, &x, 6);
	if (sizes)
		chains_take(&k.size, &x, 5);
	chains_take(&k.disk, &x, 5);
	chains_take(&k.holds, &x, 5);
	k.strip = (struct column) { x + 1, w > x + 3 ? w - x - 3 : 1 };
	if (k.strip.w > STRIP_CELLS)
		k.strip.w = STRIP_CELLS;
	return k;
}

/* --- what is to be known of an image --- */

struct mark {
	char letter;
	const char *words;
};

static bool is_job_image(const struct sheet *s, const struct view_image *v,
			 bool top, const char **id)
{
	for (size_t i = 0; i < s->jobs.n; i++) {
		const struct view_job *job = &s->jobs.list[i];

		if (job->end != JOB_LIVES || !*v->node ||
		    strcmp(top ? job->top : job->base, v->node))
			continue;
		*id = job->id;
		return true;
	}
	return false;
}

/* The most urgent first. */
static size_t marks(const struct view_image *v, struct mark *out)
{
	size_t n = 0;

	if (v->missing)
		out[n++] = (struct mark) { '!', "not open: missing or "
					   "unreadable" };
	if (v->corrupt)
		out[n++] = (struct mark) { 'X', "marked CORRUPT" };
	if (v->dirty)
		out[n++] = (struct mark) { 'd', "dirty" };
	if (v->no_format)
		out[n++] = (struct mark) { '?', "its header does not say the "
					   "format of its backing file" };
	if (v->read_only)
		out[n++] = (struct mark) { 'r', "read-only" };
	if (v->snapshots)
		out[n++] = (struct mark) { 's', "internal snapshots" };
	if (v->compressed)
		out[n++] = (struct mark) { 'z', "compressed clusters" };
	if (v->encrypted)
		out[n++] = (struct mark) { 'e', "encrypted" };
	return n;
}

static void add_words(struct str *out, const char *fmt, const char *arg)
{
	if (out->len)
		str_add(out, ", ");
	str_addf(out, "%s%s", fmt, arg);
}

void chains_words(const struct sheet *s, const struct view_image *v,
		  struct str *out)
{
	struct mark list[16];
	const char *id;
	size_t n = marks(v, list);

	if (v->drive)
		add_words(out, "active layer of ", v->drive);
	if (is_job_image(s, v, true, &id))
		add_words(out, "top of job ", id);
	if (is_job_image(s, v, false, &id))
		add_words(out, "base of job ", id);
	for (size_t i = 0; i < n; i++)
		add_words(out, list[i].words, "");
}

/* --- drawing --- */

static void draw_marks(struct sheet *s, const struct view_image *v,
		       const struct column *at, unsigned y)
{
	struct mark list[16];
	size_t n = marks(v, list);
	unsigned x = at->x;
	const char *id;

	if (is_job_image(s, v, true, &id))
		x += canvas_put(&s->canvas, x, y, 1, STYLE_GOOD, "T");
	if (is_job_image(s, v, false, &id))
		x += canvas_put(&s->canvas, x, y, 1, STYLE_GOOD, "B");
	for (size_t i = 0; i < n && x < at->x + at->w; i++) {
		char text[2] = { list[i].letter, '\0' };

		x += canvas_put(&s->canvas, x, y, 1,
				strchr("!X?d", *text) ? STYLE_BAD :
				STYLE_MARK, text);
	}
}

/* Tree, name and drive in one column; the drive is never cut off, the tree
 * shows its end. */
static void draw_name(struct sheet *s, const struct view_image *v,
		      const struct column *at, unsigned y)
{
	struct canvas *c = &s->canvas;
	const char *tree = c->ascii ? v->tree_ascii : v->tree;
	unsigned x = at->x, end = at->x + at->w, tag = 0, width;
	struct str name = STR_INIT;
	wchar_t wc;

	if (v->drive)
		tag = text_columns(v->drive) + 3;
	if (tag > at->w / 2)
		tag = at->w / 2;
	width = text_columns(tree);
	while (width > at->w / 3)
		width -= text_next(&tree, &wc);
	x += canvas_put(c, x, y, at->w, STYLE_TREE, tree) + 1;
	names_fit(&name, v->name, v->cut, end - x - tag, c->ascii);
	x += canvas_put(c, x, y, end - x, v->missing ? STYLE_BAD :
			v->drive ? STYLE_STRONG : STYLE_TEXT, str_get(&name));
	str_clear(&name);
	if (v->drive) {
		str_add_char(&name, ' ');
		str_add(&name, theme_glyph(GLYPH_DRIVE, c->ascii));
		text_fit(&name, v->drive, end - x - 3, c->ascii);
		canvas_put(c, x, y, end - x, STYLE_DRIVE, str_get(&name));
	}
	str_release(&name);
}

static void draw_holds(struct sheet *s, const struct column *at, unsigned y,
		       uint64_t held, uint64_t size)
{
	double percent = size ? (double)held * 100 / (double)size : 0;
	char *text = percent > 0 && percent < 1 ? mem_dup("<1%") :
		mem_printf("%.0f%%", percent > 99 && held < size ? 99 :
			   percent);

	canvas_put_right(&s->canvas, at->x + at->w, y, at->w, STYLE_TEXT,
			 text);
	free(text);
}

static void draw_strip(struct sheet *s, const struct view_image *v,
		       const struct columns *k, unsigned y)
{
	static struct strip_cell cells[STRIP_CELLS];
	struct canvas *c = &s->canvas;
	uint64_t size = 0, held = 0;
	unsigned n = client_map(s->client, v->node, cells, &size);
	enum style style;

	canvas_glyph(c, k->strip.x - 1, y, STYLE_HOLE, GLYPH_STRIP_LEFT);
	canvas_glyph(c, k->strip.x + k->strip.w, y, STYLE_HOLE,
		     GLYPH_STRIP_RIGHT);
	if (!n) {
		canvas_put(c, k->holds.x + k->holds.w - 1, y, 1, STYLE_DIM,
			   "?");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		held += cells[i].data + cells[i].zero + cells[i].compressed;
	draw_holds(s, &k->holds, y, held, size);
	for (unsigned i = 0; i < k->strip.w; i++) {
		struct strip_cell cell = strip_scaled(cells, n, i,
						      k->strip.w);
		const char *glyph = strip_glyph(&cell, size / n, c->ascii,
						&style);

		canvas_put(c, k->strip.x + i, y, 1, style, glyph);
	}
}

static void draw_row(struct sheet *s, size_t i, const struct columns *k,
		     unsigned y)
{
	const struct view_image *v = &s->shape->images[i];
	struct canvas *c = &s->canvas;
	bool selected = i == s->chains.selected;
	char buf[16];

	if (selected)
		canvas_put(c, 0, y, 1, STYLE_DRIVE, c->ascii ? ">" : "▸");
	draw_name(s, v, &k->name, y);
	draw_marks(s, v, &k->marks, y);
	if (k->format.w)
		canvas_put(c, k->format.x, y, k->format.w, STYLE_DIM,
			   v->format);
	if (!v->missing) {
		if (k->size.w)
			canvas_put_right(c, k->size.x + k->size.w, y,
					 k->size.w, STYLE_DIM,
					 text_size(v->size, buf,
						   sizeof(buf)));
		canvas_put_right(c, k->disk.x + k->disk.w, y, k->disk.w,
				 STYLE_TEXT, text_size(v->disk, buf,
						       sizeof(buf)));
		draw_strip(s, v, k, y);
	}
	if (selected && s->focus == PANE_CHAINS)
		canvas_select(c, 0, y, c->w);
}

/* "map of 40.0G: ...": where all disks are of one size, it stands here. */
static void draw_legend(struct sheet *s, const struct columns *k, unsigned y)
{
	struct canvas *c = &s->canvas;
	const char *signs = c->ascii ? ": # data  0 zero  Z packed" :
		": █ data  0 zero  ▓ packed";
	struct str text = STR_INIT;
	char size[16];

	str_add(&text, "map");
	if (s->shape && s->shape->size && !s->shape->sizes)
		str_addf(&text, " of %s", text_size(s->shape->size, size,
						    sizeof(size)));
	if (text_columns(str_get(&text)) + text_columns(signs) <= k->strip.w)
		str_add(&text, signs);
	canvas_put(c, k->strip.x, y, k->strip.w, STYLE_DIM, str_get(&text));
	str_release(&text);
}

static void draw_column_names(struct sheet *s, const struct columns *k,
			      unsigned y)
{
	struct canvas *c = &s->canvas;

	canvas_put(c, k->name.x, y, k->name.w, STYLE_DIM, "image");
	if (k->format.w)
		canvas_put(c, k->format.x, y, k->format.w, STYLE_DIM, "format");
	if (k->size.w)
		canvas_put_right(c, k->size.x + k->size.w, y, k->size.w,
				 STYLE_DIM, "size");
	canvas_put_right(c, k->disk.x + k->disk.w, y, k->disk.w, STYLE_DIM,
			 "disk");
	canvas_put_right(c, k->holds.x + k->holds.w, y, k->holds.w,
			 STYLE_DIM, "holds");
	draw_legend(s, k, y);
}

/* The maps that will be seen. */
static void want_maps(struct sheet *s, unsigned cells, size_t n)
{
	const char **nodes = mem_alloc((n + 1) * sizeof(*nodes));
	size_t wanted = 0;

	for (size_t i = s->chains.first; i < s->chains.first + n; i++)
		if (*s->shape->images[i].node)
			nodes[wanted++] = s->shape->images[i].node;
	client_show(s->client, nodes, wanted, cells);
	free(nodes);
}

/* "disk0  read 12.1M/s  write 0/s  310 req/s  0.41 ms each" */
static void draw_use(struct sheet *s, const struct view_use *use,
		     unsigned y)
{
	struct canvas *c = &s->canvas;
	struct str text = STR_INIT, name = STR_INIT;
	char rd[16], wr[16];
	unsigned used;

	str_addf(&text, "read %s/s  write %s/s  %ju req/s",
		 text_size(use->rd, rd, sizeof(rd)),
		 text_size(use->wr, wr, sizeof(wr)), (uintmax_t)use->ops);
	if (use->latency_ns)
		str_addf(&text, "  %.2f ms each",
			 (double)use->latency_ns / 1e6);
	used = canvas_put_right(c, c->w - 1, y, c->w - 20, STYLE_TEXT,
				str_get(&text));
	text_fit(&name, *use->client ? use->client : use->drive,
		 c->w - used - 6, c->ascii);
	canvas_put(c, *use->client ? 4 : 2, y, c->w, *use->client ?
		   STYLE_DIM : STYLE_DRIVE, str_get(&name));
	str_release(&name);
	str_release(&text);
}

static void draw_uses(struct sheet *s, unsigned y)
{
	for (unsigned i = 0; i < use_rows(s); i++)
		draw_use(s, &s->uses.list[i], y + i);
}

/* Name and words of the selected image, and where it stands if not all can be
 * seen. Of what is too long, the name is cut first, then the words. */
static char *chains_head_note(const struct sheet *s)
{
	const struct view_image *v = chains_selected(s);
	unsigned room = layout_note_room(s, CHAINS_TITLE), place, used;
	struct str note = STR_INIT, words = STR_INIT, at = STR_INIT;

	if (chains_count(s) > rows(s))
		str_addf(&at, "%zu/%zu", s->chains.selected + 1,
			 chains_count(s));
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

void chains_draw(struct sheet *s)
{
	struct area area = s->layout.pane[PANE_CHAINS];
	struct columns k = columns(s);
	size_t visible;
	char *note;

	if (!area.h)
		return;
	s->chains.first = sheet_scroll(s->chains.first, s->chains.selected,
				       chains_count(s), rows(s));
	note = chains_head_note(s);
	layout_head(s, PANE_CHAINS, CHAINS_TITLE, note);
	free(note);
	if (area.h > 1)
		draw_column_names(s, &k, area.y + 1);
	if (!chains_count(s)) {
		if (rows(s) && s->shape)
			canvas_put(&s->canvas, 1, area.y + HEAD_ROWS,
				   s->canvas.w, STYLE_DIM, "no images: give "
				   "them as arguments, or see help");
		return;
	}
	visible = chains_count(s) - s->chains.first;
	if (visible > rows(s))
		visible = rows(s);
	want_maps(s, k.strip.w, visible);
	s->chains.strip_x = k.strip.x;
	s->chains.strip_w = k.strip.w;
	for (size_t i = 0; i < visible; i++)
		draw_row(s, s->chains.first + i, &k,
			 area.y + HEAD_ROWS + (unsigned)i);
	draw_uses(s, area.y + area.h - use_rows(s));
}

/* --- moving --- */

static void chains_choose(struct sheet *s, size_t i)
{
	struct chains_pane *p = &s->chains;
	const struct view_image *v;

	if (!chains_count(s))
		return;
	p->selected = i < chains_count(s) ? i : chains_count(s) - 1;
	v = &s->shape->images[p->selected];
	free(p->node);
	free(p->drive);
	p->node = mem_dup(v->node);
	p->drive = mem_dup(v->drive);
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

/* Which image has taken in @node of the shape before: a stream pulls up, a
 * commit pushes down. -1: none that is there. */
static int heir_of(const struct sheet *s, const struct shape *before,
		   const char *node)
{
	int at = shape_find(before, node), top, heir = -1;

	if (at < 0)
		return -1;
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

	if (at < 0 && s->chains.node)
		at = shape_find(s->shape, s->chains.node);
	if (at < 0 && s->chains.node)
		at = heir_of(s, before, s->chains.node);
	if (at < 0)
		at = chains_find_drive(s, NULL);
	chains_choose(s, at < 0 ? s->chains.selected : (size_t)at);
}

static void chains_move(struct sheet *s, int64_t by)
{
	int64_t to = (int64_t)s->chains.selected + by;

	chains_choose(s, to < 0 ? 0 : (size_t)to);
}

bool chains_act(struct sheet *s, enum action action)
{
	const struct view_image *v = chains_selected(s);
	int64_t page = rows(s) > 1 ? rows(s) - 1 : 1;

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
		chains_choose(s, 0);
		return true;
	case ACTION_LAST:
		chains_choose(s, chains_count(s));
		return true;
	case ACTION_LEFT:
		if (v && v->backing >= 0)
			chains_choose(s, (size_t)v->backing);
		return true;
	case ACTION_RIGHT:
		if (v && v->top >= 0)
			chains_choose(s, (size_t)v->top);
		return true;
	default:
		return false;
	}
}

void chains_click(struct sheet *s, unsigned row)
{
	if (s->chains.first + row < chains_count(s))
		chains_choose(s, s->chains.first + row);
}

static bool chains_matches(const struct view_image *v, const char *text)
{
	return text_find(v->path, text) || text_find(v->node, text) ||
		(v->drive && text_find(v->drive, text));
}

/* Round the list, from the selected one on: itself included if @here. */
void chains_search(struct sheet *s, const char *text, int step, bool here)
{
	size_t n = chains_count(s);

	for (size_t i = here ? 0 : 1; i < n + !here; i++) {
		size_t at = (s->chains.selected + n +
			     (step > 0 ? i : n - i % n)) % n;

		if (!chains_matches(&s->shape->images[at], text))
			continue;
		chains_choose(s, at);
		return;
	}
	sheet_message(s, "no image matches '%s'", text);
}
