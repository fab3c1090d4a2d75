/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/fields.h"
#include "src/console/plan_ask.h"
#include "ui/draw/text.h"
#include "ui/screen/called.h"
#include "ui/screen/panel.h"

#define PANEL_MARGIN (PLAN_LABEL + 1)
#define TITLE_NAME_LEAST 8u
#define TITLE_RULE 9u	/* columns of its line, see layout_rule() */

/* --- the text --- */

__attribute__((format(printf, 3, 4)))
static void panel_add(struct str *out, const char *label, const char *fmt, ...)
{
	va_list ap;

	str_addf(out, "%-*s", PLAN_LABEL, label);
	va_start(ap, fmt);
	str_addv(out, fmt, ap);
	va_end(ap);
	str_add_char(out, '\n');
}

static void panel_add_plan(const struct panel *p, const struct sheet *s,
		     struct str *out)
{
	struct called called = { s, s->canvas.w / 3 };
	struct plan_names names = called_names(&called);
	char *text = plan_text_of(panel_plan(p), &names);
	const char *rest = strchr(text, '\n');

	str_add(out, rest ? rest + 1 : "");
	free(text);
}

/* "b plans this first: rebase clone onto golden" */
static void panel_add_way(const struct panel *p, const struct sheet *s,
			  struct str *out)
{
	struct called called = { s, s->canvas.w / 3 };
	struct plan_names names = called_names(&called);
	const json_t *args = panel_way(p);
	const char *base = field_str(args, "base");
	struct str text = STR_INIT;

	if (!args)
		return;
	plan_name_add(&names, field_str(args, "file"), &text);
	str_add(&text, " onto ");
	if (*base)
		plan_name_add(&names, base, &text);
	else
		str_add(&text, "nothing");
	panel_add(out, "way out", "b plans this first: rebase %s",
		  str_get(&text));
	str_release(&text);
}

static void panel_add_refusal(const struct panel *p, const struct sheet *s,
			      struct str *out)
{
	const char *error = panel_refused(p);
	struct str safe = STR_INIT;

	if (!error)
		return;
	str_add_safe(&safe, error);
	panel_add(out, "refused", "%s", str_get(&safe));
	panel_add_way(p, s, out);
	if (p->forced)
		panel_add(out, "", "f does it nevertheless, and this would "
			  "be:");
	str_release(&safe);
}

/* Unless the plan says it: another end's may not. */
static void panel_add_undo(const struct panel *p, struct str *out)
{
	if (p->keep && panel_refused(p))
		panel_add(out, "undo", "u goes on without");
	else if (panel_plan(p) && json_object_get(panel_plan(p), "undo"))
		return;
	else if (p->keep)
		panel_add(out, "undo", "a clone of base is kept; undo takes "
			  "it back, until somebody else writes to base");
	else if (panel_can_keep(p))
		panel_add(out, "undo", "none: base changes; u keeps a clone of "
			  "it, if the file system can");
}

static void panel_add_line(const struct panel *p, struct str *out)
{
	char *line = panel_line(p, p->force), *safe = text_safe(line);
	char speed[16];

	panel_add_undo(p, out);
	if (p->speed)
		panel_add(out, "speed", "at most %s/s", size_short(p->speed,
			  speed, sizeof(speed)));
	panel_add(out, "line", "%s", safe);
	free(line);
	free(safe);
}

/* Errors come first, the line last. */
static void panel_text(const struct panel *p, const struct sheet *s,
		       struct str *out)
{
	if (!p->asked) {
		panel_add(out, "asking", "what that would do");
	} else {
		panel_add_refusal(p, s, out);
		if (panel_plan(p))
			panel_add_plan(p, s, out);
		else if (!panel_refused(p))
			panel_add(out, "", "%s; this end tells no more",
				  str_get(&p->draft.note));
	}
	panel_add_line(p, out);
}

/* In so many columns, if names can be cut so far that the rest has room. */
static char *panel_title(const struct panel *p, const struct sheet *s,
			 unsigned room)
{
	struct called called = { s, s->canvas.w / 4 };
	struct plan_names names = called_names(&called);
	struct str out = STR_INIT;

	for (;; called.columns--) {
		str_clear(&out);
		str_add(&out, p->force ? "FORCED: " : "Plan: ");
		if (panel_plan(p))
			plan_title(panel_plan(p), &names, &out);
		else
			str_add(&out, str_get(&p->draft.note));
		if (text_columns(str_get(&out)) <= room ||
		    called.columns <= TITLE_NAME_LEAST)
			return str_detach(&out);
	}
}

/* --- rows --- */

/* Of a line: the columns of the label, and what is behind it. */
static const char *panel_split(char *line, char label[PLAN_LABEL + 1])
{
	size_t len = strlen(line);

	if (len < PLAN_LABEL) {
		*label = '\0';
		return line;
	}
	memcpy(label, line, PLAN_LABEL);
	label[PLAN_LABEL] = '\0';
	return line + PLAN_LABEL;
}

static unsigned panel_width(const struct sheet *s)
{
	unsigned w = s->canvas.w;

	return w > PANEL_MARGIN + 2 ? w - PANEL_MARGIN - 1 : 1;
}

void panel_measure(struct panel *p, struct sheet *s)
{
	struct str text = STR_INIT;
	char label[PLAN_LABEL + 1], *rest, *line;

	if (!p->on)
		return;
	panel_text(p, s, &text);
	p->rows = 0;
	rest = text.s;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			p->rows += text_rows(panel_split(line, label),
					     panel_width(s));
	s->plan.rows = p->rows;
	str_release(&text);
}

static enum style panel_style(const char *label)
{
	if (str_has_prefix(label, "refused"))
		return STYLE_BAD;
	return *label == '!' ? STYLE_WARN : STYLE_TEXT;
}

/* Rows of the text from @*row on that lie in the area. */
static void draw_panel_line(struct panel *p, struct sheet *s,
			    const struct area *area, char *line, unsigned *row)
{
	char label[PLAN_LABEL + 1];
	const char *text = panel_split(line, label);
	enum style style = panel_style(label);
	unsigned w = panel_width(s), y;

	for (bool first = true; first || *text; first = false, ++*row) {
		size_t len = text_row(text, w);
		char *part = mem_printf("%.*s", (int)len, text);

		y = area->y + 1 + *row - p->first;
		if (*row >= p->first && y < area->y + area->h) {
			canvas_put(&s->canvas, 1, y, PLAN_LABEL,
				   first && style == STYLE_TEXT ? STYLE_DIM :
				   style, first ? label : "");
			canvas_put(&s->canvas, PANEL_MARGIN, y, w, style,
				   part);
		}
		free(part);
		text += len;
	}
}

static void draw_panel_text(struct panel *p, struct sheet *s,
			    const struct area *area)
{
	struct str text = STR_INIT;
	char *rest, *line;
	unsigned row = 0;

	panel_text(p, s, &text);
	rest = text.s;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			draw_panel_line(p, s, area, line, &row);
	str_release(&text);
}

/* --- keys --- */

static const struct panel_hint {
	int code;
	const char *key, *name;
} panel_hints[] = {
	{ KEY_RETURN, "Enter", "Run" },
	{ 'b', "b", "Rebase it" },
	{ 'f', "f", "Force" },
	{ 'u', "u", "Undo" },
	{ 'e', "e", "Edit line" },
	{ '-', "- +", "Speed" },
	{ 'y', "y", "Copy line" },
	{ KEY_ESC, "Esc", "Leave" },
};

#define PANEL_HINTS (sizeof(panel_hints) / sizeof(*panel_hints))

static bool hint_is_shown(const struct panel *p, const struct panel_hint *h)
{
	switch (h->code) {
	case KEY_RETURN:
		return p->asked && !panel_refused(p);
	case 'f':
		return p->forced || p->force;
	case 'b':
		return panel_way(p);
	case 'u':
		return panel_can_keep(p);
	case '-':
		return p->draft.speed_at;
	default:
		return true;
	}
}

static unsigned hint_columns(const struct panel_hint *h)
{
	return (unsigned)(strlen(h->key) + strlen(h->name)) + 3;
}

/* Where the hint from number *@i on, which is moved to it, stands; @x: behind
 * the one before it. Who has no room is left out, and the last, that leads out,
 * never. False: there are no more. */
static bool next_hint(const struct panel *p, unsigned w, size_t *i,
		      unsigned x)
{
	const struct panel_hint *out = &panel_hints[PANEL_HINTS - 1];

	for (; *i < PANEL_HINTS; ++*i) {
		const struct panel_hint *h = &panel_hints[*i];

		if (hint_is_shown(p, h) && (h == out || x + hint_columns(h) +
					    hint_columns(out) <= w + 2))
			return true;
	}
	return false;
}

int panel_hint_at(const struct panel *p, const struct sheet *s, unsigned at)
{
	unsigned x = 1;

	for (size_t i = 0; next_hint(p, s->canvas.w, &i, x); i++) {
		unsigned columns = hint_columns(&panel_hints[i]);

		if (at >= x && at < x + columns)
			return panel_hints[i].code;
		x += columns;
	}
	return 0;
}

static void draw_panel_hints(const struct panel *p, struct sheet *s)
{
	struct canvas *c = &s->canvas;
	unsigned x = 1, y = s->layout.hints.y;

	canvas_repeat(c, 0, y, c->w, STYLE_TEXT, " ");
	for (size_t i = 0; next_hint(p, c->w, &i, x); i++) {
		const struct panel_hint *h = &panel_hints[i];

		canvas_put(c, x, y, c->w, STYLE_KEY, h->key);
		canvas_put(c, x + (unsigned)strlen(h->key) + 1, y, c->w,
			   STYLE_HINT, p->force && h->code == 'f' ?
			   "Don't" : h->name);
		x += hint_columns(h);
	}
}

void panel_draw(struct panel *p, struct sheet *s)
{
	struct area area = s->layout.pane[PANE_LOG];
	char *title, note[32] = "";
	unsigned room;

	if (!p->on)
		return;
	p->page = area.h ? area.h - 1 : 0;
	if (p->first + p->page > p->rows)
		p->first = p->rows > p->page ? p->rows - p->page : 0;
	if (p->rows > p->page)
		snprintf(note, sizeof(note), "%u-%u/%u", p->first + 1,
			 p->first + p->page, p->rows);
	if (p->asking)
		snprintf(note, sizeof(note), "asking");
	room = TITLE_RULE + (unsigned)strlen(note);
	title = panel_title(p, s, area.w > room ? area.w - room : 0);
	layout_rule(s, &area, true, title, note);
	free(title);
	draw_panel_text(p, s, &area);
	if (!s->message)
		draw_panel_hints(p, s);
}
