/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where things stand: panes one above the other over the full width, since
 * strips and bars say more the longer they are.
 */
#include <stdio.h>
#include <string.h>

#include "ui/draw/text.h"
#include "ui/screen/screen_impl.h"

#define LOG_LEAST 4u	/* rows, with its head */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void zoom(struct layout *l, enum pane pane, unsigned y, unsigned h)
{
	l->pane[pane] = (struct area) { y, h };
}

/* Jobs get what they need up to a third, chains what they need up to what
 * leaves a third to the log, the log all the rest. */
static void share(struct screen *s, unsigned y, unsigned h)
{
	struct layout *l = &s->layout;
	size_t images = s->shape && s->shape->n ? s->shape->n : 1;
	unsigned jobs = least(1 + 2 * (unsigned)s->jobs.n, h / 3 < 3 ? 3 :
			      h / 3 | 1);
	unsigned log = h / 3 > LOG_LEAST ? h / 3 : LOG_LEAST;
	unsigned chains = least(2 + (unsigned)(images + s->uses.n),
				h - jobs - log);

	l->pane[PANE_CHAINS] = (struct area) { y, chains };
	l->pane[PANE_JOBS] = (struct area) { y + chains, jobs };
	l->pane[PANE_LOG] = (struct area) { y + chains + jobs,
					    h - chains - jobs };
}

void layout_make(struct screen *s)
{
	const struct canvas *c = &s->canvas;
	struct layout *l = &s->layout;
	unsigned y = 1, h;
	enum pane shown = s->focus == PANE_PROMPT ? s->back : s->focus;

	*l = (struct layout) {
		.too_small = c->w < SCREEN_COLUMNS || c->h < SCREEN_ROWS,
	};
	if (l->too_small)
		return;
	l->hints = (struct area) { c->h - 1, 1 };
	l->pane[PANE_PROMPT] = (struct area) { c->h - 2, 1 };
	l->tour = (struct area) { c->h - 2 - tour_rows(s), tour_rows(s) };
	h = l->tour.y - y;
	if (s->zoom && shown != PANE_PROMPT)
		zoom(l, shown, y, h);
	else
		share(s, y, h);
}

void layout_head(struct screen *s, enum pane pane, const char *title,
		 const char *note)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.pane[pane].y, used, room;
	bool focus = s->focus == pane;
	enum style style = focus ? STYLE_RULE_FOCUS : STYLE_RULE;
	struct str text = STR_INIT;

	canvas_repeat(c, 0, y, c->w, style, theme_glyph(focus ?
		      GLYPH_RULE_FOCUS : GLYPH_RULE, c->ascii));
	used = 1 + canvas_putf(c, 1, y, c->w, focus ? STYLE_RULE_FOCUS :
			       STYLE_STRONG, " %s ", title);
	room = c->w > used + 6 ? c->w - used - 6 : 0;
	if (*note && room) {
		str_add_char(&text, ' ');
		text_fit(&text, note, room, c->ascii);
		str_add_char(&text, ' ');
		canvas_put_right(c, c->w - 1, y, room + 2, focus ?
				 STYLE_TEXT : STYLE_DIM, str_get(&text));
	}
	str_release(&text);
}

/* --- the first line --- */

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void job_summary(const struct screen *s, struct str *out)
{
	size_t n = jobs_living(s), ready = 0;

	for (size_t i = 0; i < s->jobs.n; i++)
		ready += s->jobs.list[i].end == JOB_LIVES &&
			s->jobs.list[i].ready;
	if (n)
		str_addf(out, "%zu job%s", n, plural(n));
	if (ready)
		str_addf(out, "%s READY", n > 1 ? " some" : "");
}

static void draw_title(struct screen *s)
{
	struct canvas *c = &s->canvas;
	struct str text = STR_INIT;
	size_t images = s->shape ? s->shape->n : 0;
	unsigned drives = s->shape ? s->shape->drives : 0;

	canvas_repeat(c, 0, 0, c->w, STYLE_BAR_TITLE, " ");
	str_addf(&text, " blkmon   %zu image%s, %u drive%s", images,
		 plural(images), drives, plural(drives));
	if (s->shape && !s->shape->running)
		str_add(&text, "   guest I/O STOPPED");
	canvas_put(c, 0, 0, c->w, STYLE_BAR_TITLE, str_get(&text));
	str_clear(&text);
	job_summary(s, &text);
	if (client_busy(s->client))
		str_addf(&text, "%s%s", text.len ? ", " : "",
			 "a command runs (C-c ends a wait)");
	if (text.len)
		str_add_char(&text, ' ');
	canvas_put_right(c, c->w, 0, c->w / 2, STYLE_BAR_TITLE,
			 str_get(&text));
	str_release(&text);
}

/* --- the last line --- */

/* Draws the hint of a row at @x; its columns, 0 if it has none there. */
static unsigned draw_hint(struct screen *s, const struct key_row *row,
			  unsigned x)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.hints.y, need;

	if (!row->hint || !(row->hint_where >> s->focus & 1))
		return 0;
	need = text_columns(row->name) + text_columns(row->hint) + 3;
	if (x + need > c->w + 2)
		return 0;
	x += canvas_put(c, x, y, c->w, STYLE_KEY, row->name) + 1;
	canvas_put(c, x, y, c->w, STYLE_HINT, row->hint);
	return need;
}

static void draw_prompt_hints(struct screen *s)
{
	const char *note = prompt_note();
	unsigned y = s->layout.hints.y, x = 1;
	struct canvas *c = &s->canvas;

	if (prompt_is_searching()) {
		canvas_put(c, 1, y, c->w, STYLE_HINT,
			   "Enter keeps the match, n and N go on; Esc goes "
			   "back");
		return;
	}
	if (!*note)
		return;
	x += canvas_put(c, x, y, c->w, STYLE_KEY, "Enter") + 1;
	canvas_put(c, x, y, c->w - x, STYLE_WARN, note);
}

static void draw_hints(struct screen *s)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.hints.y, x = 1;

	if (s->message) {
		canvas_put(c, 1, y, c->w - 1, STYLE_WARN, s->message);
		return;
	}
	if (s->focus == PANE_PROMPT &&
	    (prompt_is_searching() || *prompt_note())) {
		draw_prompt_hints(s);
		return;
	}
	if (s->focus == PANE_PROMPT) {
		x += canvas_put(c, x, y, c->w, STYLE_KEY, "Tab") + 1;
		x += canvas_put(c, x, y, c->w, STYLE_HINT, "Complete") + 2;
		x += canvas_put(c, x, y, c->w, STYLE_KEY, "Esc") + 1;
		x += canvas_put(c, x, y, c->w, STYLE_HINT, "Back") + 2;
		x += canvas_put(c, x, y, c->w, STYLE_KEY, "C-r") + 1;
		x += canvas_put(c, x, y, c->w, STYLE_HINT, "History") + 2;
	}
	for (unsigned i = 0; i < key_row_count; i++)
		x += draw_hint(s, &key_rows[i], x);
}

void layout_bars(struct screen *s)
{
	draw_title(s);
	draw_hints(s);
}

void layout_too_small(struct screen *s)
{
	struct canvas *c = &s->canvas;

	canvas_putf(c, 0, c->h / 2, c->w, STYLE_WARN,
		    "%ux%u is too small: %dx%d", c->w, c->h, SCREEN_COLUMNS,
		    SCREEN_ROWS);
}

/* --- the mouse --- */

static bool is_in(const struct area *area, unsigned y)
{
	return y >= area->y && y < area->y + area->h;
}

static void click_hint(struct screen *s, unsigned at)
{
	unsigned x = 1, need;

	if (s->message || s->focus == PANE_PROMPT)
		return;
	for (unsigned i = 0; i < key_row_count; i++) {
		const struct key_row *row = &key_rows[i];

		if (!row->hint || !(row->hint_where >> s->focus & 1))
			continue;
		need = text_columns(row->name) + text_columns(row->hint) + 3;
		if (x + need > s->canvas.w + 2)
			continue;
		if (at >= x && at < x + need) {
			action_run(s, row->action);
			return;
		}
		x += need;
	}
}

static void wheel(struct screen *s, enum pane pane, enum action action)
{
	enum pane focus = s->focus;

	s->focus = pane;
	for (int i = 0; i < 3; i++)
		action_run(s, action);
	s->focus = focus;
}

void layout_mouse(struct screen *s, const struct key *key)
{
	const struct layout *l = &s->layout;
	enum pane pane = 0;

	if (l->too_small || key->mouse == MOUSE_OTHER)
		return;
	if (is_in(&l->hints, key->y)) {
		if (key->mouse == MOUSE_PRESS)
			click_hint(s, key->x);
		return;
	}
	while (pane < PANE_COUNT && !is_in(&l->pane[pane], key->y))
		pane++;
	if (pane == PANE_COUNT)
		return;
	if (key->mouse != MOUSE_PRESS) {
		if (pane != PANE_PROMPT)
			wheel(s, pane, key->mouse == MOUSE_WHEEL_UP ?
			      ACTION_UP : ACTION_DOWN);
		return;
	}
	screen_focus(s, pane);
	if (pane == PANE_CHAINS && key->y >= l->pane[pane].y + 2)
		chains_click(s, key->y - l->pane[pane].y - 2);
	if (pane == PANE_JOBS && key->y > l->pane[pane].y)
		jobs_click(s, key->y - l->pane[pane].y - 1);
}
