/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/bars.h"

#include <string.h>

#include "engine/util/size.h"
#include "ui/draw/text.h"
#include "ui/prompt/prompt.h"
#include "ui/view/view_place.h"

/* --- the first line --- */

#define SPACE_LEAST (1ull << 30)

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* "2 jobs, some READY  30.1M/s" */
static void job_summary(const struct sheet *s, struct str *out)
{
	size_t n = jobs_living(s), ready = 0;
	uint64_t rate = 0;
	char buf[16];

	for (size_t i = 0; i < s->jobs.n; i++) {
		const struct view_job *job = &s->jobs.list[i];

		if (job->end != JOB_LIVES)
			continue;
		ready += job->ready;
		if (view_job_moves(job) && !job->ready)
			rate += view_job_rate(job);
	}
	if (n)
		str_addf(out, "%zu job%s", n, plural(n));
	if (ready)
		str_addf(out, "%s READY", n > 1 ? ", some" : "");
	if (rate)
		str_addf(out, "  %s/s", size_short(rate, buf, sizeof(buf)));
}

/* What jobs that run may still write to that file system. */
static uint64_t space_needed(const struct sheet *s, int space)
{
	uint64_t need = 0;

	for (size_t i = 0; i < s->jobs.n; i++) {
		const struct view_job *job = &s->jobs.list[i];
		bool stream = !strcmp(job->type, "stream");
		int at = shape_find(s->shape, stream ? job->top : job->base);

		if (job->end == JOB_LIVES && at >= 0 &&
		    s->shape->images[at].space == space)
			need += job->len - job->done;
	}
	return need;
}

static enum style space_style(const struct sheet *s, size_t i)
{
	uint64_t left = s->shape->spaces[i].free;

	if (left < SPACE_LEAST)
		return STYLE_TITLE_BAD;
	return left < space_needed(s, (int)i) ? STYLE_TITLE_WARN :
		STYLE_BAR_TITLE;
}

/* "/var/lib/libvirt 61.2G free", and the next, up to column @end. */
static void draw_spaces(struct sheet *s, unsigned x, unsigned end)
{
	bool wide = s->canvas.w >= 100;
	struct str text = STR_INIT;
	char left[16], size[16];

	for (size_t i = 0; s->shape && i < s->shape->space_count; i++) {
		const struct view_space *space = &s->shape->spaces[i];

		str_clear(&text);
		text_fit_middle(&text, space->path, s->canvas.w / 4,
				s->canvas.ascii);
		str_addf(&text, " %s free", size_short(space->free, left,
						       sizeof(left)));
		if (wide)
			str_addf(&text, " of %s", size_short(space->size, size,
							     sizeof(size)));
		if (x + text_columns(str_get(&text)) + 2 > end)
			break;
		x += 3 + canvas_put(&s->canvas, x, 0, end - x,
				    space_style(s, i), str_get(&text));
	}
	str_release(&text);
}

/* A guest elsewhere is asked for, and says why it does not run. */
static void add_stopped(const struct sheet *s, struct str *out)
{
	struct str run = STR_INIT;

	view_place_add_only_run(s->places, &run);
	if (run.len)
		str_addf(out, "   guest %s", str_get(&run));
	else
		str_add(out, "   guest I/O STOPPED");
	str_release(&run);
}

static unsigned draw_counts(struct sheet *s)
{
	size_t images = s->shape ? s->shape->open : 0;
	unsigned drives = s->shape ? s->shape->drives : 0;
	struct str text = STR_INIT;
	unsigned x;

	str_addf(&text, " blkmon   %u drive%s, %zu image%s", drives,
		 plural(drives), images, plural(images));
	if (view_place_count(s->places))
		str_addf(&text, ", %u place%s", view_place_count(s->places),
			 plural(view_place_count(s->places)));
	view_place_add_troubles(s->places, s->fixed_time, &text);
	if (s->shape && !s->shape->running)
		add_stopped(s, &text);
	x = canvas_put(&s->canvas, 0, 0, s->canvas.w, STYLE_BAR_TITLE,
		       str_get(&text));
	str_release(&text);
	return x;
}

static void draw_title(struct sheet *s)
{
	struct canvas *c = &s->canvas;
	struct str text = STR_INIT;
	unsigned x, used;

	canvas_repeat(c, 0, 0, c->w, STYLE_BAR_TITLE, " ");
	x = draw_counts(s);
	job_summary(s, &text);
	if (client_busy(s->client))
		str_addf(&text, "%s%s", text.len ? ", " : "",
			 "busy (C-c ends a wait or commit)");
	if (text.len)
		str_add_char(&text, ' ');
	used = canvas_put_right(c, c->w, 0, c->w / 2, STYLE_BAR_TITLE,
				str_get(&text));
	draw_spaces(s, x + 4, c->w - used);
	str_release(&text);
}

/* --- the last line --- */

/* Draws the hint of a row at @x; its columns, 0 if it has none there. */
static unsigned draw_hint(struct sheet *s, const struct key_row *row,
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

static void draw_prompt_hints(struct sheet *s)
{
	const char *note = prompt_note();
	unsigned y = s->layout.hints.y, x = 1;
	struct canvas *c = &s->canvas;
	struct str text = STR_INIT;

	if (prompt_is_searching()) {
		canvas_putf(c, 1, y, c->w, STYLE_HINT,
			   "Enter keeps the match, %s and %s go on; Esc goes "
			   "back", keys_name(ACTION_AGAIN),
			   keys_name(ACTION_BACK));
		return;
	}
	if (!*note)
		return;
	x += canvas_put(c, x, y, c->w, STYLE_KEY, "Enter") + 1;
	text_fit(&text, note, c->w - x - 1, c->ascii);
	canvas_put(c, x, y, c->w - x, STYLE_WARN, str_get(&text));
	str_release(&text);
}

static void draw_hints(struct sheet *s)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.hints.y, x = 1;
	struct str message = STR_INIT;

	if (s->message) {
		text_fit(&message, s->message, c->w - 2, c->ascii);
		canvas_put(c, 1, y, c->w - 1, STYLE_WARN, str_get(&message));
		str_release(&message);
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

void bars_draw(struct sheet *s)
{
	draw_title(s);
	draw_hints(s);
}

void bars_too_small(struct sheet *s)
{
	struct canvas *c = &s->canvas;

	canvas_putf(c, 0, c->h / 2, c->w, STYLE_WARN,
		    "%ux%u is too small: %dx%d", c->w, c->h, SHEET_COLUMNS,
		    SHEET_ROWS);
}

enum action bars_hint_at(const struct sheet *s, unsigned at)
{
	unsigned x = 1, need;

	if (s->message || s->focus == PANE_PROMPT)
		return ACTION_NONE;
	for (unsigned i = 0; i < key_row_count; i++) {
		const struct key_row *row = &key_rows[i];

		if (!row->hint || !(row->hint_where >> s->focus & 1))
			continue;
		need = text_columns(row->name) + text_columns(row->hint) + 3;
		if (x + need > s->canvas.w + 2)
			continue;
		if (at >= x && at < x + need)
			return row->action;
		x += need;
	}
	return ACTION_NONE;
}
