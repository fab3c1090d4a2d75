/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where things stand: panes one above the other over the full width, since
 * strips and bars say more the longer they are. Where the log would be empty
 * for the most part, what is selected is told beside it.
 */
#include "ui/draw/text.h"
#include "ui/pane/rows.h"
#include "ui/pane/sheet.h"

#define LOG_LEAST 4u		/* rows, with its head */
#define CHAINS_LEAST 6u		/* the same */
#define JOBS_FROM 18u		/* rows of the screen to have a pane of them */
#define DETAILS_COLUMNS 100u	/* of the screen, to have them */
#define DETAILS_ROWS 30u
#define DETAILS_LEAST 6u	/* rows of the log */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

bool layout_has_jobs(const struct sheet *s)
{
	return s->canvas.h >= JOBS_FROM;
}

static unsigned jobs_wanted(const struct sheet *s, unsigned h)
{
	unsigned want = 1 + jobs_rows(s);

	if (!layout_has_jobs(s))
		return 0;
	return least(want, h / 3 < 3 ? 3 : h / 3);
}

static unsigned guests_wanted(const struct sheet *s, unsigned h)
{
	unsigned want = s->uses.n ? 1 + (unsigned)s->uses.n : 0;

	return want < 2 ? 0 : least(want, h / 4 < 2 ? 2 : h / 4);
}

/* Jobs and guests get what they need up to a part, chains what they need up to
 * what leaves a third to the log, the log all the rest. */
static void share(struct sheet *s, unsigned y, unsigned h)
{
	struct layout *l = &s->layout;
	unsigned jobs = jobs_wanted(s, h), guests = guests_wanted(s, h);
	unsigned log = h / 3 > LOG_LEAST ? h / 3 : LOG_LEAST;
	unsigned room, chains;

	if (s->plan.rows)
		log = least(1 + s->plan.rows > log ? 1 + s->plan.rows : log,
			    h - CHAINS_LEAST);
	else if (jobs + guests + log + CHAINS_LEAST > h)
		log = LOG_LEAST;
	if (s->plan.rows && jobs + guests + log + CHAINS_LEAST > h)
		jobs = 0;
	if (jobs + guests + log + CHAINS_LEAST > h)
		guests = 0;
	room = h - jobs - guests - log;
	rows_make(s, room - CHAINS_HEAD);
	chains = s->chains.row_count ? (unsigned)s->chains.row_count : 1;
	chains = least(CHAINS_HEAD + chains, room);
	l->pane[PANE_CHAINS] = (struct area) { y, chains, 0, 0 };
	y += chains;
	l->guests = (struct area) { y, guests, 0, s->canvas.w };
	y += guests;
	l->pane[PANE_JOBS] = (struct area) { y, jobs, 0, 0 };
	y += jobs;
	l->pane[PANE_LOG] = (struct area) { y, h - chains - guests - jobs, 0,
					    0 };
}

static void zoom(struct sheet *s, enum pane pane, unsigned y, unsigned h)
{
	rows_make(s, h - CHAINS_HEAD);
	s->layout.pane[pane] = (struct area) { y, h, 0, 0 };
}

/* Takes the left of the log. */
static void split_log(struct sheet *s)
{
	struct area *log = &s->layout.pane[PANE_LOG];
	unsigned w = s->canvas.w;

	if (w < DETAILS_COLUMNS || s->canvas.h < DETAILS_ROWS || s->zoom ||
	    log->h < DETAILS_LEAST || !s->shape || !s->shape->n ||
	    s->plan.rows)
		return;
	s->layout.details = (struct area) { log->y, log->h, 0, w * 9 / 20 };
	log->x = s->layout.details.w + 1;
	log->w = w - log->x;
}

/* What has no place can't have the focus. */
static void settle_focus(struct sheet *s)
{
	if (s->focus == PANE_JOBS && !s->layout.pane[PANE_JOBS].h)
		s->focus = PANE_CHAINS;
	if (s->back == PANE_JOBS && !s->layout.pane[PANE_JOBS].h)
		s->back = PANE_CHAINS;
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
	if (l->too_small) {
		rows_make(s, 1);
		return;
	}
	l->hints = (struct area) { c->h - 1, 1, 0, c->w };
	l->pane[PANE_PROMPT] = (struct area) { c->h - 2, 1, 0, 0 };
	l->tour = (struct area) { c->h - 2 - tour_rows(s), tour_rows(s), 0,
				  c->w };
	h = l->tour.y - y;
	if (s->zoom && shown != PANE_PROMPT && !s->plan.rows)
		zoom(s, shown, y, h);
	else
		share(s, y, h);
	split_log(s);
	for (int i = 0; i < PANE_COUNT; i++)
		if (!l->pane[i].w)
			l->pane[i].w = c->w;
	settle_focus(s);
}

unsigned layout_note_room(const struct area *area, const char *title)
{
	unsigned used = 3 + text_columns(title);

	return area->w > used + 6 ? area->w - used - 6 : 0;
}

void layout_rule(struct sheet *s, const struct area *area, bool focus,
		 const char *title, const char *note)
{
	struct canvas *c = &s->canvas;
	enum style style = focus ? STYLE_RULE_FOCUS : STYLE_RULE;
	struct str text = STR_INIT;
	unsigned room = layout_note_room(area, title);

	canvas_repeat(c, area->x, area->y, area->w, style, theme_glyph(focus ?
		      GLYPH_RULE_FOCUS : GLYPH_RULE, c->ascii));
	str_add_char(&text, ' ');
	text_fit(&text, title, area->w > 6 ? area->w - 6 : 1, c->ascii);
	str_add_char(&text, ' ');
	canvas_put(c, area->x + 1, area->y, area->w - 1, focus ?
		   STYLE_RULE_FOCUS : STYLE_STRONG, str_get(&text));
	str_clear(&text);
	if (*note && room) {
		str_add_char(&text, ' ');
		text_fit(&text, note, room, c->ascii);
		str_add_char(&text, ' ');
		canvas_put_right(c, area->x + area->w - 1, area->y, room + 2,
				 focus ? STYLE_TEXT : STYLE_DIM,
				 str_get(&text));
	}
	str_release(&text);
}

void layout_head(struct sheet *s, enum pane pane, const char *title,
		 const char *note)
{
	layout_rule(s, &s->layout.pane[pane], s->focus == pane, title, note);
}
