/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where things stand: panes one above the other over the full width, since
 * strips and bars say more the longer they are.
 */
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

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
static void share(struct sheet *s, unsigned y, unsigned h)
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

void layout_make(struct sheet *s)
{
	const struct canvas *c = &s->canvas;
	struct layout *l = &s->layout;
	unsigned y = 1, h;
	enum pane shown = s->focus == PANE_PROMPT ? s->back : s->focus;

	*l = (struct layout) {
		.too_small = c->w < SHEET_COLUMNS || c->h < SHEET_ROWS,
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

unsigned layout_note_room(const struct sheet *s, const char *title)
{
	unsigned used = 3 + text_columns(title);

	return s->canvas.w > used + 6 ? s->canvas.w - used - 6 : 0;
}

void layout_head(struct sheet *s, enum pane pane, const char *title,
		 const char *note)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.pane[pane].y, room;
	bool focus = s->focus == pane;
	enum style style = focus ? STYLE_RULE_FOCUS : STYLE_RULE;
	struct str text = STR_INIT;

	canvas_repeat(c, 0, y, c->w, style, theme_glyph(focus ?
		      GLYPH_RULE_FOCUS : GLYPH_RULE, c->ascii));
	canvas_putf(c, 1, y, c->w, focus ? STYLE_RULE_FOCUS : STYLE_STRONG,
		    " %s ", title);
	room = layout_note_room(s, title);
	if (*note && room) {
		str_add_char(&text, ' ');
		text_fit(&text, note, room, c->ascii);
		str_add_char(&text, ' ');
		canvas_put_right(c, c->w - 1, y, room + 2, focus ?
				 STYLE_TEXT : STYLE_DIM, str_get(&text));
	}
	str_release(&text);
}
