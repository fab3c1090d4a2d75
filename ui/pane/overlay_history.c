/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The history of jobs, as an overlay: a row for each, as wide as the screen is
 * when it is opened; why one failed stands below it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "src/console/history_text.h"
#include "ui/draw/names.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

#define WIDE 120u		/* columns of the screen */
#define WHAT_LEAST 24u

struct history_columns {
	unsigned when, job, what, time, rate;	/* 0: not shown */
	unsigned gap;
};

/* What does not leave enough room for the names of images is left out: rates,
 * times, then seconds and gaps. */
static struct history_columns history_columns(const json_t *list, unsigned w)
{
	unsigned others = 11 + 2 + 2 + 5 + 2 + 9 + 4;
	unsigned most = w > WIDE ? 20 : 8;
	struct history_columns c = {
		.when = 11, .job = 3, .time = 6, .rate = 7, .gap = 2,
	};
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		unsigned n = text_columns(field_str(entry, "job"));

		c.job = n > c.job ? n : c.job;
	}
	c.job = c.job < most ? c.job : most;
	if (w < others + c.job + c.time + 2 + c.rate + 2 + WHAT_LEAST)
		c.rate = 0;
	if (w < others + c.job + c.time + 2 + WHAT_LEAST)
		c.time = 0;
	if (w < others + c.job + WHAT_LEAST) {
		c.when = 8;
		c.job = c.job < 6 ? c.job : 6;
		c.gap = 1;
		others -= 3 + 3;
	}
	w -= c.time ? c.time + 2 : 0;
	w -= c.rate ? c.rate + 2 : 0;
	c.what = w > others + c.job + 4 ? w - others - c.job : 4;
	return c;
}

/* In @columns of the screen, and a gap behind it. */
static void history_cell(const char *text, unsigned columns, unsigned gap,
			 bool ascii, struct str *out)
{
	struct str fit = STR_INIT;

	text_fit_middle(&fit, text, columns, ascii);
	str_addf(out, "%s%*s", str_get(&fit),
		 (int)(columns + gap - text_columns(str_get(&fit))), "");
	str_release(&fit);
}

/* "commit 11-12 → 11-09" in @columns. */
static void history_images(const struct sheet *s,
			   const struct history_row *row, unsigned columns,
			   struct str *out)
{
	const char *names[] = { str_get(&row->next), str_get(&row->to) };
	const char *arrow = theme_glyph(GLYPH_ARROW, s->canvas.ascii);
	unsigned to = text_columns(names[1]), from, room;
	unsigned others = text_columns(str_get(&row->kind)) + 1 +
		text_columns(arrow) + 2;
	struct name_cut cuts[2];

	room = columns > others + 2 ? columns - others : 2;
	names_tell_apart(names, cuts, 2);
	from = to ? names_share(str_get(&row->from), cuts[0], names[1],
				cuts[1], room) : room;
	str_addf(out, "%s ", str_get(&row->kind));
	names_fit(out, str_get(&row->from), cuts[0], from, s->canvas.ascii);
	if (!to)
		return;
	str_addf(out, "%s%s ", row->from.len ? " " : "", arrow);
	names_fit(out, names[1], cuts[1], room - from, s->canvas.ascii);
}

static void history_line_of(const struct sheet *s,
			    const struct history_columns *c,
			    const struct history_row *row, const char *when,
			    const char *result, struct str *out)
{
	struct str what = STR_INIT;
	bool ascii = s->canvas.ascii;

	history_images(s, row, c->what, &what);
	str_addf(out, "%-*.*s", (int)(c->when + c->gap), (int)c->when, when);
	history_cell(str_get(&row->job), c->job, c->gap, ascii, out);
	history_cell(str_get(&what), c->what, c->gap, ascii, out);
	str_addf(out, "%5s%*s", row->moved, (int)c->gap, "");
	if (c->time)
		str_addf(out, "%*s  ", (int)c->time, row->time);
	if (c->rate)
		str_addf(out, "%*s  ", (int)c->rate, row->rate);
	str_addf(out, "%s\n", result);
	str_release(&what);
}

static void history_head_line(const struct sheet *s,
			      const struct history_columns *c,
			      struct str *out)
{
	struct history_row head = { .moved = "moved", .time = "time",
				    .rate = "rate" };

	str_add(&head.job, "job");
	str_add(&head.kind, "what");
	history_line_of(s, c, &head, "when", "result", out);
	history_row_release(&head);
}

static void history_entry(const struct sheet *s,
			  const struct history_columns *c,
			  const json_t *entry, struct str *out)
{
	const char *error = field_str(entry, "error"), *when;
	struct history_row row;

	history_row_init(&row, entry);
	when = strlen(row.when) > 8 ? row.when + 8 : "";
	history_line_of(s, c, &row, s->fixed_time ? s->fixed_time : when,
			field_str(entry, "result"), out);
	if (*error) {
		str_addf(out, "%*s", (int)(c->when + c->gap), "");
		str_add_safe(out, error);
		str_add_char(out, '\n');
	}
	history_row_release(&row);
}

void overlay_history(struct sheet *s, const json_t *list)
{
	struct overlay *o = &s->overlay;
	size_t n = json_array_size(list), i;
	struct history_columns c;
	json_t *entry;

	sheet_uncover(s);
	o->on = true;
	o->title = n ? mem_printf("History: %zu job%s", n, n > 1 ? "s" : "") :
		mem_dup("History");
	if (!json_is_array(list))
		str_add(&o->text, "The history of jobs can't be read.\n");
	else if (!n)
		str_add(&o->text, "No job has ended yet.\n");
	if (!n)
		return;
	c = history_columns(list, s->canvas.w > 3 ? s->canvas.w - 3 : 1);
	history_head_line(s, &c, &o->text);
	json_array_foreach(list, i, entry)
		history_entry(s, &c, entry, &o->text);
}
