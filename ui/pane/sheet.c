/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/pane/rows.h"
#include "ui/pane/sheet.h"

#include <stdarg.h>
#include <stdlib.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"

#define MARGIN_FROM 5u	/* rows, to have one to spare */

void sheet_init(struct sheet *s, unsigned columns, unsigned rows, bool ascii)
{
	*s = (struct sheet) {
		.focus = PANE_CHAINS, .log_pane.follow = true,
	};
	canvas_init(&s->canvas, columns, rows);
	s->canvas.ascii = ascii;
	log_init(&s->log);
}

void sheet_release(struct sheet *s)
{
	sheet_uncover(s);
	shape_put(s->shape);
	view_jobs_release(&s->jobs);
	json_decref(s->places);
	free(s->place_of);
	free(s->place_sums);
	log_release(&s->log);
	canvas_release(&s->canvas);
	rows_release(s);
	free(s->chains.key);
	free(s->chains.drive);
	free(s->search);
	free(s->message);
	free(s->copy);
}

void sheet_copy(struct sheet *s, const char *text)
{
	free(s->copy);
	s->copy = mem_dup(text);
}

void sheet_uncover(struct sheet *s)
{
	struct overlay *o = &s->overlay;

	free(o->title);
	free(o->copy);
	str_release(&o->text);
	str_release(&o->find);
	*o = (struct overlay) { 0 };
}

void sheet_say(struct sheet *s, enum log_kind kind, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	log_add(&s->log, clock_wall_us(), kind, str_get(&text));
	str_release(&text);
}

void sheet_message(struct sheet *s, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	free(s->message);
	s->message = text.len ? str_detach(&text) : NULL;
	str_release(&text);
}

void sheet_focus(struct sheet *s, enum pane pane)
{
	if (pane == PANE_PROMPT && s->focus != PANE_PROMPT)
		s->back = s->focus;
	s->focus = pane;
}

size_t sheet_scroll(size_t first, size_t selected, size_t n,
		    unsigned visible)
{
	size_t margin = visible >= MARGIN_FROM;

	if (selected < first + margin)
		first = selected < margin ? 0 : selected - margin;
	if (visible && selected + margin >= first + visible)
		first = selected + margin - visible + 1;
	if (first + visible > n)
		first = n > visible ? n - visible : 0;
	return first;
}
