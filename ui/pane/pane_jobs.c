/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two rows a job: what it is and how it stands, then how far it is.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

#define JOB_ROWS 2u
#define IMAGES_LEAST 9u		/* columns: "a… → b…" */

static unsigned visible(const struct sheet *s)
{
	unsigned h = s->layout.pane[PANE_JOBS].h;

	return h > 1 ? (h - 1) / JOB_ROWS : 0;
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

static void add_ready_words(const struct sheet *s, const struct view_job *job,
			    struct str *out)
{
	str_add(out, "READY: C goes over to ");
	if (*job->to_name)
		names_fit(out, job->to_name, job->to_cut, s->canvas.w / 3,
			  s->canvas.ascii);
	else
		str_add(out, "the base");
	str_add(out, ", x stays here");
}

/* "done in 0.19 s, 440M/s": by the hour, seconds have no parts. */
static void add_done_words(const struct view_job *job, struct str *out)
{
	double seconds = (double)job->elapsed_ns / NS_PER_SEC;
	uint64_t rate = view_job_mean(job);
	char buf[16];

	str_add(out, "done");
	if (job->elapsed_ns && seconds < 60)
		str_addf(out, " in %.*f s", seconds < 10 ? 2 : 1, seconds);
	else if (job->elapsed_ns)
		str_addf(out, " in %s", text_seconds((uint64_t)seconds, buf,
						     sizeof(buf)));
	if (rate)
		str_addf(out, ", %s/s", text_size(rate, buf, sizeof(buf)));
}

/* How it stands, in words. */
static enum style state_words(const struct sheet *s,
			      const struct view_job *job, struct str *out)
{
	char buf[16];

	switch (job->end) {
	case JOB_DONE:
		add_done_words(job, out);
		return STYLE_GOOD;
	case JOB_CANCELLED:
		str_addf(out, "cancelled at %u%%", view_job_percent(job));
		return STYLE_WARN;
	case JOB_FAILED:
		str_addf(out, "FAILED: %s", job->error);
		return STYLE_BAD;
	case JOB_GONE:
		str_add(out, "ended, nobody said how");
		return STYLE_WARN;
	case JOB_LIVES:
		break;
	}
	if (job->failed_io && job->paused) {
		str_add(out, "STOPPED by an error: p tries again");
		return STYLE_BAD;
	}
	if (job->paused) {
		str_add(out, "PAUSED: p goes on");
		return STYLE_WARN;
	}
	if (job->ready) {
		add_ready_words(s, job, out);
		return STYLE_WARN;
	}
	str_add(out, job->status);
	if (job->speed)
		str_addf(out, ", at most %s/s", text_size(job->speed, buf,
							   sizeof(buf)));
	return STYLE_TEXT;
}

/* Two images and the sign between them, of @width columns. */
struct from_to {
	const char *from, *to;		/* either may be "" */
	struct name_cut from_cut, to_cut;
	const char *sign;
	unsigned width;
};

/* "from → to" in @room columns; each gets half, or what the other leaves. */
static void add_from_to(const struct sheet *s, const struct from_to *p,
			unsigned room, struct str *out)
{
	unsigned from = text_columns(p->from), to = text_columns(p->to), half;
	bool ascii = s->canvas.ascii;

	if (room < IMAGES_LEAST)
		return;
	if (to) {
		room -= p->width + 2;
		half = room / 2;
		if (from > room - (to < half ? to : half))
			from = room - (to < half ? to : half);
		to = room - from;
	}
	names_fit(out, p->from, p->from_cut, to ? from : room, ascii);
	if (to) {
		str_addf(out, " %s ", p->sign);
		names_fit(out, p->to, p->to_cut, to, ascii);
	}
}

/* What it is, from where to where, in front of column @end. */
static void draw_kind(struct sheet *s, const struct view_job *job,
		      unsigned y, unsigned end)
{
	struct canvas *c = &s->canvas;
	const char *arrow = theme_glyph(GLYPH_ARROW, c->ascii);
	struct str text = STR_INIT;
	unsigned x = 2, images = 5 + text_columns(job->from_name) +
		text_columns(job->to_name);

	if (!*job->from_name && !*job->to_name)
		images = 0;
	x += canvas_putf(c, x, y, end - x, STYLE_STRONG, "%s ", job->type);
	text_fit(&text, job->id, end > x + images + 8 ? end - x - images - 2 :
		 8, c->ascii);
	x += canvas_putf(c, x, y, end - x, STYLE_DRIVE, "%s ", str_get(&text));
	str_clear(&text);
	if (images && x + 1 < end)
		add_from_to(s, &(struct from_to) {
			job->from_name, job->to_name, job->from_cut,
			job->to_cut, arrow, text_columns(arrow) },
			end - x - 1, &text);
	canvas_put(c, x + 1, y, c->w, STYLE_TEXT, str_get(&text));
	str_release(&text);
}

static void draw_first_row(struct sheet *s, const struct view_job *job,
			   unsigned y)
{
	struct canvas *c = &s->canvas;
	struct str words = STR_INIT, text = STR_INIT;
	enum style style = state_words(s, job, &words);
	unsigned used;

	text_fit(&text, str_get(&words), c->w * 3 / 4, c->ascii);
	used = canvas_put_right(c, c->w - 1, y, c->w, style, str_get(&text));
	draw_kind(s, job, y, c->w - used - 2);
	str_release(&words);
	str_release(&text);
}

static void draw_bar(struct sheet *s, const struct view_job *job, unsigned x,
		     unsigned y, unsigned w)
{
	struct canvas *c = &s->canvas;
	enum style style = job->end == JOB_FAILED ? STYLE_BAD :
		job->end == JOB_LIVES && job->paused ? STYLE_WARN :
		STYLE_PROGRESS;
	double share = view_job_percent(job) == 100 ? 1 : job->share;
	unsigned eighths = (unsigned)(share * w * 8), full = eighths / 8;

	canvas_repeat(c, x, y, w, STYLE_PROGRESS_REST,
		      theme_glyph(GLYPH_PROGRESS_REST, c->ascii));
	canvas_repeat(c, x, y, full, style, theme_bar(8, c->ascii));
	if (eighths % 8 && full < w)
		canvas_put(c, x + full, y, 1, style,
			   theme_bar(eighths % 8, c->ascii));
}

/* "24.0M of 64.0M  12.1M/s  0:03 left" */
static void number_words(const struct view_job *job, struct str *out)
{
	char a[16], b[16];
	uint64_t rate = view_job_rate(job), eta;

	str_addf(out, "%s of %s", text_size(job->done, a, sizeof(a)),
		 text_size(job->len, b, sizeof(b)));
	if (job->end != JOB_LIVES)
		return;
	if (rate && !job->paused && !job->ready)
		str_addf(out, "  %s/s", text_size(rate, a, sizeof(a)));
	if (view_job_eta(job, &eta))
		str_addf(out, "  %s left", text_seconds(eta, a, sizeof(a)));
}

/* "24.0M; no drive uses web-03.qcow2 any more, 44.3M": what it leaves behind
 * stands in place of the bar, which is full. */
static void draw_left(struct sheet *s, const struct view_job *job, unsigned y)
{
	struct str text = STR_INIT, names = STR_INIT;
	char done[16], left[16];
	unsigned used, room;

	text_size(job->done, done, sizeof(done));
	text_size(job->left_bytes, left, sizeof(left));
	if (job->left > 1)
		str_addf(&names, "%u files: ", job->left);
	used = (unsigned)(strlen(done) + strlen(left) + names.len) + 30;
	room = s->canvas.w > used ? s->canvas.w - used : 0;
	if (job->left > 1)
		add_from_to(s, &(struct from_to) {
			job->left_first, job->left_last, job->first_cut,
			job->last_cut, "to", 2 }, room, &names);
	else
		names_fit(&names, job->left_first, job->first_cut, room,
			  s->canvas.ascii);
	str_addf(&text, "%s; no drive uses %s any more, %s", done,
		 str_get(&names), left);
	canvas_put(&s->canvas, 2, y, s->canvas.w, STYLE_TEXT, str_get(&text));
	str_release(&names);
	str_release(&text);
}

static void draw_second_row(struct sheet *s, const struct view_job *job,
			    unsigned y)
{
	struct canvas *c = &s->canvas;
	unsigned x = c->w < 70 ? c->w * 3 / 10 : c->w * 2 / 5;
	struct str text = STR_INIT;

	draw_bar(s, job, 2, y, x - 3);
	canvas_putf(c, x, y, 5, STYLE_STRONG, "%4u%%",
		    view_job_percent(job));
	number_words(job, &text);
	canvas_put(c, x + 7, y, c->w - x - 8, STYLE_TEXT, str_get(&text));
	str_release(&text);
}

static void clamp(struct sheet *s)
{
	struct jobs_pane *p = &s->jobs_pane;

	if (p->selected >= s->jobs.n)
		p->selected = s->jobs.n ? s->jobs.n - 1 : 0;
	p->first = sheet_scroll(p->first, p->selected, s->jobs.n, visible(s));
}

static char *jobpane_head_note(const struct sheet *s)
{
	size_t over = s->jobs.n - jobs_living(s);

	if (!s->jobs.n)
		return mem_dup("none; s, t, c on an image start one");
	if (s->jobs.n > visible(s))
		return mem_printf("%zu/%zu", s->jobs_pane.selected + 1,
				  s->jobs.n);
	return over ? mem_printf("%zu finished: d dismisses", over) :
		mem_dup("");
}

void jobs_draw(struct sheet *s)
{
	struct area area = s->layout.pane[PANE_JOBS];
	char *note;

	if (!area.h)
		return;
	clamp(s);
	note = jobpane_head_note(s);
	layout_head(s, PANE_JOBS, "Jobs", note);
	free(note);
	for (unsigned i = 0; i < visible(s); i++) {
		size_t at = s->jobs_pane.first + i;
		unsigned y = area.y + 1 + i * JOB_ROWS;

		if (at >= s->jobs.n)
			return;
		draw_first_row(s, &s->jobs.list[at], y);
		if (s->jobs.list[at].left && s->jobs.list[at].end == JOB_DONE)
			draw_left(s, &s->jobs.list[at], y + 1);
		else
			draw_second_row(s, &s->jobs.list[at], y + 1);
		if (at != s->jobs_pane.selected)
			continue;
		canvas_put(&s->canvas, 0, y, 1, STYLE_DRIVE,
			   s->canvas.ascii ? ">" : "▸");
		if (s->focus == PANE_JOBS)
			canvas_select(&s->canvas, 0, y, s->canvas.w);
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
	s->jobs_pane.selected = s->jobs_pane.first + row / JOB_ROWS;
	clamp(s);
}
