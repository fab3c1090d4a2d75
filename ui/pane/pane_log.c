/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scrollback, drawn from its last visible line upward: a long line takes
 * as many rows as it needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

#define TIME_COLUMNS 9u

static enum style line_style(enum log_kind kind)
{
	static const enum style styles[] = {
		[LOG_COMMAND] = STYLE_COMMAND, [LOG_OUTPUT] = STYLE_TEXT,
		[LOG_ERROR] = STYLE_BAD, [LOG_NOTICE] = STYLE_WARN,
		[LOG_EVENT] = STYLE_EVENT, [LOG_FAILURE] = STYLE_BAD,
		[LOG_SCREEN] = STYLE_DIM,
	};

	return styles[kind];
}

/* In front of the text, so that the kind shows without colour. */
static const char *line_sign(enum log_kind kind)
{
	switch (kind) {
	case LOG_EVENT:
		return "* ";
	case LOG_FAILURE:
		return "! ";
	default:
		return "";
	}
}

static void time_text(const struct sheet *s, uint64_t wall_us, char *buf,
		      size_t len)
{
	time_t t = (time_t)(wall_us / 1000000);
	struct tm tm;

	if (s->fixed_time)
		snprintf(buf, len, "%s", s->fixed_time);
	else
		strftime(buf, len, "%H:%M:%S", localtime_r(&t, &tm));
}

static unsigned text_width_of_log(const struct sheet *s)
{
	unsigned w = s->layout.pane[PANE_LOG].w;

	return w > TIME_COLUMNS + 4 ? w - TIME_COLUMNS - 2 : 1;
}

/* Draws the rows of a line whose last is at @y; those above @top are left
 * out. */
static void logpane_draw_line(struct sheet *s, const struct log_line *line,
			      const char *text, int y, int top)
{
	unsigned width = text_width_of_log(s);
	unsigned x = s->layout.pane[PANE_LOG].x + 1;
	char when[16];

	for (bool first = true; *text || first; first = false, y++) {
		size_t len = text_row(text, width);
		char *row = mem_printf("%.*s", (int)len, text);

		if (y >= top) {
			if (first) {
				time_text(s, line->wall_us, when,
					  sizeof(when));
				canvas_put(&s->canvas, x, (unsigned)y, 8,
					   STYLE_DIM, when);
			}
			canvas_put(&s->canvas, x + TIME_COLUMNS, (unsigned)y,
				   width, line_style(line->kind), row);
			if (s->search && s->search_pane == PANE_LOG)
				canvas_mark(&s->canvas, x + TIME_COLUMNS,
					    (unsigned)y, row, s->search);
		}
		free(row);
		text += len;
	}
}

static uint64_t bottom(const struct sheet *s)
{
	return s->log_pane.follow || s->log_pane.bottom > log_end(&s->log) ?
		log_end(&s->log) : s->log_pane.bottom;
}

/* 0: the filter leaves it out. */
static unsigned line_rows(const struct sheet *s, const struct log_line *line)
{
	char *text;
	unsigned rows;

	if (!log_passes(&s->log, line))
		return 0;
	text = mem_printf("%s%s", line_sign(line->kind), line->text);
	rows = text_rows(text, text_width_of_log(s));
	free(text);
	return rows;
}

const char *log_last(const struct sheet *s)
{
	uint64_t at = bottom(s) - 1;

	if (!bottom(s) || !log_seek(&s->log, &at, -1, NULL))
		return NULL;
	return log_line(&s->log, at)->text;
}

/* Where what stands above the last line does not fill @h rows, those below
 * come up, so that no filter and no search leaves rows empty. */
static void fill_rows(struct sheet *s, unsigned h)
{
	uint64_t at = bottom(s);
	const struct log_line *line;
	unsigned used = 0;

	while (!s->log_pane.follow && used < h && at &&
	       (line = log_line(&s->log, at - 1))) {
		used += line_rows(s, line);
		at--;
	}
	for (at = bottom(s); used < h && (line = log_line(&s->log, at)); at++)
		if (log_passes(&s->log, line)) {
			used += line_rows(s, line);
			s->log_pane.bottom = at + 1;
		}
}

static void draw_lines(struct sheet *s, unsigned first, unsigned h)
{
	uint64_t at = bottom(s);
	int y = (int)(first + h), top = (int)first;

	s->log_pane.page = 0;
	while (at && y > top && log_line(&s->log, at - 1)) {
		const struct log_line *line = log_line(&s->log, --at);
		char *text;

		if (!log_passes(&s->log, line))
			continue;
		text = mem_printf("%s%s", line_sign(line->kind), line->text);
		y -= (int)text_rows(text, text_width_of_log(s));
		logpane_draw_line(s, line, text, y, top);
		free(text);
		s->log_pane.page++;
	}
}

static char *logpane_head_note(const struct sheet *s)
{
	struct str note = STR_INIT;
	uint64_t later = log_end(&s->log) - bottom(s);

	if (s->log.filter != LOG_ALL)
		str_addf(&note, "%s only  ", log_filter_name(s->log.filter));
	if (s->search && *s->search && s->search_pane == PANE_LOG)
		str_addf(&note, "/%s  ", s->search);
	if (s->log_pane.follow)
		str_add(&note, "following");
	else
		str_addf(&note, "FROZEN, %llu more below: %s follows",
			 (unsigned long long)later, keys_name(ACTION_LAST));
	return str_detach(&note);
}

void log_draw(struct sheet *s)
{
	struct area area = s->layout.pane[PANE_LOG];
	char *note;

	if (!area.h)
		return;
	fill_rows(s, area.h - 1);
	note = logpane_head_note(s);
	layout_head(s, PANE_LOG, "Log", note);
	free(note);
	draw_lines(s, area.y + 1, area.h - 1);
}

/* --- moving --- */

/* By @n lines that pass the filter; at the end it follows again. */
static void logpane_scroll(struct sheet *s, int64_t n)
{
	struct log_pane *p = &s->log_pane;
	uint64_t at = bottom(s);
	int step = n < 0 ? -1 : 1;

	if (!s->log.n || (n > 0 && p->follow))
		return;
	for (; n; n -= step) {
		uint64_t next = step < 0 ? at - 2 : at;

		if ((step < 0 && at < s->log.number + 2) ||
		    !log_seek(&s->log, &next, step, NULL))
			break;
		at = next + 1;
	}
	p->bottom = at;
	p->follow = at == log_end(&s->log);
	/* At the end of what the filter shows there is nothing more. */
	if (step > 0 && n)
		p->follow = true;
}

static void first_page(struct sheet *s)
{
	struct log_pane *p = &s->log_pane;
	uint64_t at = s->log.number;

	for (unsigned i = 0; i < p->page; i++) {
		if (!log_seek(&s->log, &at, 1, NULL))
			return;
		at++;
	}
	p->bottom = at;
	p->follow = at == log_end(&s->log);
}

static void toggle_follow(struct sheet *s)
{
	struct log_pane *p = &s->log_pane;

	p->bottom = bottom(s);
	p->follow = !p->follow;
}

static bool logpane_act(struct sheet *s, enum action action)
{
	int64_t page = s->log_pane.page > 1 ? s->log_pane.page - 1 : 1;

	switch (action) {
	case ACTION_UP:
		logpane_scroll(s, -1);
		return true;
	case ACTION_DOWN:
		logpane_scroll(s, 1);
		return true;
	case ACTION_PAGE_UP:
		logpane_scroll(s, -page);
		return true;
	case ACTION_PAGE_DOWN:
		logpane_scroll(s, page);
		return true;
	case ACTION_FIRST:
		first_page(s);
		return true;
	case ACTION_LAST:
		s->log_pane.follow = true;
		return true;
	case ACTION_FOLLOW:
		toggle_follow(s);
		return true;
	case ACTION_FILTER:
		s->log.filter = (s->log.filter + 1) % LOG_FILTERS;
		return true;
	default:
		return false;
	}
}

bool log_act(struct sheet *s, enum action action)
{
	bool moved = logpane_act(s, action);

	if (moved)
		s->log_pane.found = 0;
	return moved;
}

/* Backward is the natural way: what is looked for has been. @step 1 goes
 * backward, -1 forward. */
void log_search(struct sheet *s, const char *text, int step, bool here)
{
	uint64_t at = bottom(s), found;

	if (!here && s->log_pane.found)
		at = s->log_pane.found;
	if (!at)
		return;
	found = here ? at - 1 : step > 0 ? at - 2 : at;
	if ((!here && step > 0 && at < 2) ||
	    !log_seek(&s->log, &found, -step, text)) {
		sheet_message(s, "no %s line of the log matches '%s'",
			       step > 0 ? "earlier" : "later", text);
		return;
	}
	s->log_pane.bottom = s->log_pane.found = found + 1;
	s->log_pane.follow = found + 1 == log_end(&s->log);
}
