/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The jobs: a row each, and a second one of the selected. */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/pane/job_row.h"
#include "ui/pane/sheet.h"

static unsigned visible(const struct sheet *s)
{
	unsigned h = s->layout.pane[PANE_JOBS].h;

	return h > 1 ? h - 1 : 0;
}

/* The selected one has a second row. */
static bool has_more(const struct sheet *s)
{
	return s->jobs.n;
}

unsigned jobs_rows(const struct sheet *s)
{
	return (unsigned)s->jobs.n + has_more(s);
}

const struct view_job *jobs_selected(const struct sheet *s)
{
	return s->jobs_pane.selected < s->jobs.n ?
		&s->jobs.list[s->jobs_pane.selected] : NULL;
}

const struct view_job *jobs_find(const struct sheet *s, const char *id)
{
	for (size_t i = s->jobs.n; i--; )
		if (s->jobs.list[i].end == JOB_LIVES &&
		    !strcmp(s->jobs.list[i].id, id))
			return &s->jobs.list[i];
	return NULL;
}

size_t jobs_living(const struct sheet *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->jobs.n; i++)
		n += s->jobs.list[i].end == JOB_LIVES;
	return n;
}

/* --- drawing --- */

static void clamp(struct sheet *s)
{
	struct jobs_pane *p = &s->jobs_pane;
	unsigned rows = visible(s);

	if (p->selected >= s->jobs.n)
		p->selected = s->jobs.n ? s->jobs.n - 1 : 0;
	if (has_more(s) && rows > 1)
		rows--;
	p->first = sheet_scroll(p->first, p->selected, s->jobs.n, rows);
}

static char *jobpane_head_note(const struct sheet *s)
{
	size_t over = s->jobs.n - jobs_living(s);

	if (!s->jobs.n)
		return mem_printf("none; %s, %s, %s on an image start one",
				  keys_name(ACTION_SNAPSHOT),
				  keys_name(ACTION_STREAM),
				  keys_name(ACTION_COMMIT));
	if (jobs_rows(s) > visible(s))
		return mem_printf("%zu/%zu", s->jobs_pane.selected + 1,
				  s->jobs.n);
	return over ? mem_printf("%zu finished: %s dismisses", over,
				 keys_name(ACTION_DISMISS)) : mem_dup("");
}

static void draw_cursor(struct sheet *s, unsigned y)
{
	canvas_put(&s->canvas, 0, y, 1, STYLE_DRIVE, s->canvas.ascii ? ">" :
		   "▸");
	if (s->focus == PANE_JOBS)
		canvas_select(&s->canvas, 0, y, s->canvas.w);
}

void jobs_draw(struct sheet *s)
{
	struct area area = s->layout.pane[PANE_JOBS];
	unsigned y = area.y + 1, end = area.y + area.h;
	char *note;

	if (!area.h)
		return;
	clamp(s);
	note = jobpane_head_note(s);
	layout_head(s, PANE_JOBS, "Jobs", note);
	free(note);
	for (size_t at = s->jobs_pane.first; at < s->jobs.n && y < end; at++) {
		job_row_draw(s, &s->jobs.list[at], y++);
		if (at != s->jobs_pane.selected)
			continue;
		draw_cursor(s, y - 1);
		if (has_more(s) && y < end)
			job_row_draw_more(s, &s->jobs.list[at], y++);
	}
}

/* --- moving --- */

static void jobpane_move(struct sheet *s, int64_t by)
{
	int64_t to = (int64_t)s->jobs_pane.selected + by;

	s->jobs_pane.selected = to < 0 ? 0 : (size_t)to;
	clamp(s);
}

bool jobs_act(struct sheet *s, enum action action)
{
	int64_t all = (int64_t)s->jobs.n;

	switch (action) {
	case ACTION_UP:
		jobpane_move(s, -1);
		return true;
	case ACTION_DOWN:
		jobpane_move(s, 1);
		return true;
	case ACTION_PAGE_UP:
		jobpane_move(s, -(int64_t)visible(s));
		return true;
	case ACTION_PAGE_DOWN:
		jobpane_move(s, visible(s));
		return true;
	case ACTION_FIRST:
		jobpane_move(s, -all);
		return true;
	case ACTION_LAST:
		jobpane_move(s, all);
		return true;
	default:
		return false;
	}
}

void jobs_click(struct sheet *s, unsigned row)
{
	struct jobs_pane *p = &s->jobs_pane;

	if (has_more(s) && p->first + row > p->selected)
		row--;
	p->selected = p->first + row;
	clamp(s);
}
