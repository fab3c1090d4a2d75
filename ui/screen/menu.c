/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/menu.h"

#include <stdlib.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/screen/compose.h"

#define MENU_NOTE 18u		/* column of what it would do */

struct menu_row {
	enum action action;
	int code;			/* 0: the action's own key */
	const char *key, *name, *note;	/* note NULL: the draft's */
};

static const struct menu_row image_rows[] = {
	{ ACTION_SNAPSHOT, 0, NULL, "Snapshot", NULL },
	{ ACTION_STREAM, 0, NULL, "Stream", NULL },
	{ ACTION_COMMIT, 0, NULL, "Commit", NULL },
	{ ACTION_CANCEL, 0, NULL, "Cancel", NULL },
	{ ACTION_PAUSE, 0, NULL, "Pause", NULL },
	{ ACTION_COMPLETE, 0, NULL, "Complete", NULL },
	{ ACTION_SLOWER, 0, NULL, "Slower", NULL },
	{ ACTION_UNLIMITED, 0, NULL, "No limit", NULL },
	{ ACTION_DELETE, 0, NULL, "Delete", NULL },
	{ ACTION_COPY, 0, NULL, "Copy", "its path, to the terminal's "
	  "clipboard" },
	{ ACTION_FOLD, 0, NULL, "Fold", "the run of quiet layers here" },
};

static const struct menu_row job_rows[] = {
	{ ACTION_CANCEL, 0, NULL, "Cancel", NULL },
	{ ACTION_PAUSE, 0, NULL, "Pause", NULL },
	{ ACTION_COMPLETE, 0, NULL, "Complete", NULL },
	{ ACTION_FASTER, 0, NULL, "Faster", NULL },
	{ ACTION_SLOWER, 0, NULL, "Slower", NULL },
	{ ACTION_UNLIMITED, 0, NULL, "No limit", NULL },
	{ ACTION_DISMISS, 0, NULL, "Dismiss", NULL },
	{ ACTION_COPY, 0, NULL, "Copy", "the line that starts such a job" },
};

static const struct menu_row all_rows[] = {
	{ ACTION_SNAPSHOT_ALL, 's', "s", "Snapshot", NULL },
	{ ACTION_PAUSE_ALL, 'p', "p", "Pause", NULL },
	{ ACTION_RESUME_ALL, 'g', "g", "Go on", NULL },
	{ ACTION_DISMISS, 'd', "d", "Dismiss", NULL },
};

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

static void menu_add(struct menu *m, const struct sheet *s,
		     const struct menu_row *row)
{
	struct menu_entry *e = &m->entry[m->n++];
	struct draft d = DRAFT_INIT;

	*e = (struct menu_entry) {
		.action = row->action, .key = row->key, .name = row->name,
		.code = row->code, .can = true,
	};
	if (!e->code) {
		e->code = keys_code(row->action);
		e->key = e->code ? keys_name(row->action) : "";
	}
	if (row->note) {
		e->note = mem_dup(row->note);
		return;
	}
	compose_draft(s, row->action, &d);
	e->can = d.line.len || (row->action == ACTION_DISMISS &&
				jobs_living(s) < s->jobs.n);
	e->note = str_detach(&d.note);
	draft_release(&d);
}

static void menu_fill(struct menu *m, const struct sheet *s,
		      const char *title, const struct menu_row *rows, size_t n)
{
	menu_close(m);
	m->title = title;
	for (size_t i = 0; i < n; i++)
		menu_add(m, s, &rows[i]);
	while (m->selected + 1 < m->n && !m->entry[m->selected].can)
		m->selected++;
}

void menu_open(struct menu *m, const struct sheet *s)
{
	if (s->focus == PANE_JOBS)
		menu_fill(m, s, "What can be done with this job", job_rows,
			  COUNT(job_rows));
	else
		menu_fill(m, s, "What can be done here", image_rows,
			  COUNT(image_rows));
}

void menu_open_all(struct menu *m, const struct sheet *s)
{
	menu_fill(m, s, "All drives and jobs", all_rows, COUNT(all_rows));
}

void menu_close(struct menu *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->entry[i].note);
	*m = (struct menu) { 0 };
}

/* --- keys --- */

static enum action menu_take(struct menu *m, struct sheet *s, size_t i)
{
	enum action action = m->entry[i].action;

	if (!m->entry[i].can) {
		sheet_message(s, "%s: %s", m->entry[i].name, m->entry[i].note);
		return ACTION_NONE;
	}
	menu_close(m);
	return action;
}

static enum action menu_move(struct menu *m, struct sheet *s,
			     const struct key *key)
{
	switch (key_action(key->code, PANE_CHAINS)) {
	case ACTION_UP:
		m->selected -= m->selected > 0;
		return ACTION_NONE;
	case ACTION_DOWN:
		m->selected += m->selected + 1 < m->n;
		return ACTION_NONE;
	case ACTION_DETAILS:
		return menu_take(m, s, m->selected);
	case ACTION_HELP:
		menu_close(m);
		return ACTION_HELP;
	case ACTION_MENU:
	case ACTION_ALL:
	case ACTION_QUIT:
	case ACTION_INTERRUPT:
		menu_close(m);
		return ACTION_NONE;
	default:
		sheet_message(s, "no such key here; Esc leaves");
		return ACTION_NONE;
	}
}

enum action menu_key(struct menu *m, struct sheet *s, const struct key *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->entry[i].code && m->entry[i].code == key->code)
			return menu_take(m, s, i);
	if (key->code == KEY_ESC || key->code == KEY_MOUSE ||
	    key->code == KEY_PASTE) {
		menu_close(m);
		return ACTION_NONE;
	}
	return menu_move(m, s, key);
}

/* --- drawing --- */

static void draw_entry(const struct menu *m, struct sheet *s, size_t i,
		       unsigned y)
{
	const struct menu_entry *e = &m->entry[i];
	struct canvas *c = &s->canvas;
	struct str note = STR_INIT;

	canvas_put(c, 2, y, 6, e->can ? STYLE_KEY : STYLE_DIM, e->key);
	canvas_put(c, 8, y, 9, e->can ? STYLE_TEXT : STYLE_DIM, e->name);
	if (!e->can)
		str_add(&note, c->ascii ? "- " : "✗ ");
	text_fit(&note, e->note, c->w - MENU_NOTE - 3, c->ascii);
	canvas_put(c, MENU_NOTE, y, c->w - MENU_NOTE - 1, STYLE_DIM,
		   str_get(&note));
	if (i == m->selected)
		canvas_select(c, 0, y, c->w);
	str_release(&note);
}

void menu_draw(const struct menu *m, struct sheet *s)
{
	struct canvas *c = &s->canvas;
	unsigned bottom = s->layout.pane[PANE_PROMPT].y;
	unsigned room = bottom > 2 ? bottom - 2 : 0, shown;
	size_t first;
	struct area area;

	if (!m->n || !room)
		return;
	shown = m->n < room ? (unsigned)m->n : room;
	first = sheet_scroll(0, m->selected, m->n, shown);
	area = (struct area) { bottom - shown - 1, shown + 1, 0, c->w };
	for (unsigned y = area.y; y < bottom; y++)
		canvas_repeat(c, 0, y, c->w, STYLE_TEXT, " ");
	layout_rule(s, &area, true, m->title, "");
	for (unsigned i = 0; i < shown; i++)
		draw_entry(m, s, first + i, area.y + 1 + i);
	if (s->message)
		return;
	canvas_repeat(c, 0, c->h - 1, c->w, STYLE_TEXT, " ");
	canvas_put(c, 1, c->h - 1, c->w, STYLE_HINT,
		   c->ascii ? "Up Down choose  Enter does it  Esc leaves" :
		   "↑ ↓ choose  Enter does it  Esc leaves");
}
