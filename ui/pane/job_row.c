/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What it is, from where to where; how far; then numbers while it runs, and
 * words where it does not.
 */
#include "ui/pane/job_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "ui/draw/spark.h"
#include "ui/draw/text.h"

#define WIDE 100u		/* columns of the screen */
#define IMAGES_LEAST 9u		/* columns: "a… → b…" */
#define BAR_LEAST 6u
#define OTHERS_WORDS " (of others)"
#define OTHERS_COLUMNS 12u

/* Where things of a running job stand: they end in front of these columns. */
struct job_columns {
	unsigned percent, bytes, rate, limit, eta, spark;
};

static struct job_columns job_columns(unsigned w)
{
	if (w >= WIDE)
		return (struct job_columns) {
			.spark = w - 1, .eta = w - 13, .limit = w - 21,
			.rate = w - 30, .bytes = w - 40, .percent = w - 56,
		};
	if (w >= 72)
		return (struct job_columns) {
			.spark = w - 1, .eta = w - 7, .limit = w - 13,
			.rate = w - 20, .bytes = w - 29, .percent = w - 39,
		};
	return (struct job_columns) {
		.eta = w - 1, .rate = w - 8, .bytes = w - 17,
		.percent = w - 27,
	};
}

/* --- what it is --- */

/* Two images and the sign between them, of @width columns. */
struct from_to {
	const char *from, *to;		/* either may be "" */
	struct name_cut from_cut, to_cut;
	const char *sign;
	unsigned width;
};

/* "from → to" in @room columns. */
static void add_from_to(const struct sheet *s, const struct from_to *p,
			unsigned room, struct str *out)
{
	unsigned from = names_columns(p->from, p->from_cut);
	unsigned to = names_columns(p->to, p->to_cut);
	bool ascii = s->canvas.ascii;

	if (room < IMAGES_LEAST && room < from + to + (to ? p->width + 2 : 0))
		return;
	if (to) {
		room -= p->width + 2;
		from = names_share(p->from, p->from_cut, p->to, p->to_cut,
				   room);
		to = room - from;
	}
	names_fit(out, p->from, p->from_cut, to ? from : room, ascii);
	if (to) {
		str_addf(out, " %s ", p->sign);
		names_fit(out, p->to, p->to_cut, to, ascii);
	}
}

static void add_ready_words(const struct sheet *s, const struct view_job *job,
			    struct str *out)
{
	if (s->canvas.w < WIDE) {
		str_addf(out, "READY: %s goes over, %s stays",
			 keys_name(ACTION_COMPLETE), keys_name(ACTION_CANCEL));
		return;
	}
	str_addf(out, "READY: %s goes over to ", keys_name(ACTION_COMPLETE));
	if (*job->to_name)
		names_fit(out, job->to_name, job->to_cut, s->canvas.w / 3,
			  s->canvas.ascii);
	else
		str_add(out, "the base");
	str_addf(out, ", %s stays here", keys_name(ACTION_CANCEL));
}

/* Shorter where there is little room. */
static const char *row_size(const struct sheet *s, uint64_t bytes, char *buf,
			    size_t len)
{
	return s->canvas.w < WIDE ? size_brief(bytes, buf, len) :
				    size_short(bytes, buf, len);
}

/* "done 84M in 0.19 s, 440M/s": by the hour, seconds have no parts. */
static void add_done_words(const struct sheet *s, const struct view_job *job,
			    struct str *out)
{
	double seconds = (double)job->elapsed_ns / NS_PER_SEC;
	uint64_t rate = view_job_mean(job);
	char buf[16];

	str_add(out, "done");
	if (job->told)
		str_addf(out, " %s", row_size(s, job->moved, buf,
					      sizeof(buf)));
	if (job->elapsed_ns && seconds < 60)
		str_addf(out, " in %.*f s", seconds < 10 ? 2 : 1, seconds);
	else if (job->elapsed_ns)
		str_addf(out, " in %s", seconds_short((uint64_t)seconds, buf,
						     sizeof(buf)));
	if (rate)
		str_addf(out, ", %s/s", size_short(rate, buf, sizeof(buf)));
	if (job->freed)
		str_addf(out, ", %s given back",
			 row_size(s, job->freed, buf, sizeof(buf)));
}

/* "; web-03 unused, 44.3M": what it leaves behind. */
static void add_left_words(const struct sheet *s, const struct view_job *job,
			   struct str *out)
{
	unsigned room = s->canvas.w < WIDE ? 8 : s->canvas.w / 4;
	char left[16];

	if (!job->left)
		return;
	str_add(out, "; ");
	if (job->left > 1)
		str_addf(out, "%u files", job->left);
	else
		names_fit(out, job->left_first, job->first_cut, room,
			  s->canvas.ascii);
	str_addf(out, " unused, %s", row_size(s, job->left_bytes, left,
					      sizeof(left)));
}

/* How it stands, in words; "" where it just runs. */
static enum style state_words(const struct sheet *s,
			      const struct view_job *job, struct str *out)
{
	switch (job->end) {
	case JOB_DONE:
		add_done_words(s, job, out);
		add_left_words(s, job, out);
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
		str_addf(out, "STOPPED by an error: %s tries again",
			 keys_name(ACTION_PAUSE));
		return STYLE_BAD;
	}
	if (job->paused) {
		str_addf(out, "PAUSED: %s goes on", keys_name(ACTION_PAUSE));
		return STYLE_WARN;
	}
	if (job->ready) {
		add_ready_words(s, job, out);
		return STYLE_WARN;
	}
	return STYLE_TEXT;
}

/* " from → to", whole. */
static unsigned images_columns(const struct view_job *job, bool ascii)
{
	return 1 + names_columns(job->from_name, job->from_cut) + 2 +
		text_columns(theme_glyph(GLYPH_ARROW, ascii)) +
		names_columns(job->to_name, job->to_cut);
}

/* Of @room: what the images leave, but half at least, or less where the end of
 * it would be cut off. */
static unsigned id_columns(const struct view_job *job, unsigned room,
			   bool ascii)
{
	unsigned others = job->foreign ? OTHERS_COLUMNS : 0;
	unsigned images = images_columns(job, ascii) + others;

	if (room > images && room - images >= text_columns(job->id))
		return text_columns(job->id);
	if (room > 24 + others)
		return (room - others) / 2;
	return room > 8 + others || room < 4 + others ? 8 : room - others;
}

/* "commit web  db-3 → db-2" in front of column @end; where it ends. */
static unsigned draw_what(struct sheet *s, const struct view_job *job,
			  unsigned y, unsigned end)
{
	struct canvas *c = &s->canvas;
	const char *arrow = theme_glyph(GLYPH_ARROW, c->ascii);
	struct str text = STR_INIT;
	unsigned x = 2;

	x += canvas_putf(c, x, y, end - x, STYLE_STRONG, "%s ", job->type);
	text_fit(&text, job->id, id_columns(job, end > x ? end - x : 0,
					     c->ascii), c->ascii);
	if (x < end)
		x += canvas_put(c, x, y, end - x, STYLE_DRIVE, str_get(&text));
	str_clear(&text);
	if (job->foreign && x < end)
		x += canvas_put(c, x, y, end - x, STYLE_DIM, OTHERS_WORDS);
	x++;
	if (x < end && (*job->from_name || *job->to_name))
		add_from_to(s, &(struct from_to) {
			job->from_name, job->to_name, job->from_cut,
			job->to_cut, arrow, text_columns(arrow) },
			end - x, &text);
	x += canvas_put(c, x, y, c->w, STYLE_TEXT, str_get(&text));
	str_release(&text);
	return x;
}

/* --- how far --- */

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

/* In front of column @end: as long as names leave it, within limits. */
static unsigned bar_columns(const struct view_job *job, unsigned end,
			    bool ascii)
{
	unsigned what = 2 + text_columns(job->type) + 1 +
		text_columns(job->id) + (job->foreign ? OTHERS_COLUMNS : 0) +
		images_columns(job, ascii);
	unsigned bar = end > what ? end - what : 0, most = end * 2 / 5;

	if (bar > most)
		bar = most;
	return bar < BAR_LEAST ? BAR_LEAST : bar > 40 ? 40 : bar;
}

static void job_put(struct sheet *s, unsigned end, unsigned y,
		    const char *text)
{
	if (end)
		canvas_put_right(&s->canvas, end, y, 16, STYLE_TEXT, text);
}

static void draw_bytes(struct sheet *s, const struct view_job *job,
		       unsigned end, unsigned y)
{
	bool wide = s->canvas.w >= WIDE;
	struct str text = STR_INIT;
	char a[16], b[16];

	/* A position is no amount of work. */
	if (job->positions) {
		job_put(s, end, y, wide ? "of the disk" : "of disk");
		return;
	}
	if (wide)
		str_addf(&text, "%s of %s", size_short(job->done, a, sizeof(a)),
			 size_short(job->len, b, sizeof(b)));
	else
		str_addf(&text, "%s/%s",
			 size_brief(job->done, a, sizeof(a)),
			 size_brief(job->len, b, sizeof(b)));
	job_put(s, end, y, str_get(&text));
	str_release(&text);
}

/* "0:16", "3h07", "96d": at most 5 columns. */
static char *eta_text(uint64_t seconds, char *buf, size_t len)
{
	if (seconds < 3600)
		return seconds_short(seconds, buf, len);
	if (seconds >= 48 * 3600)
		return text_age(seconds, buf, len);
	snprintf(buf, len, "%uh%02u", (unsigned)(seconds / 3600),
		 (unsigned)(seconds / 60 % 60));
	return buf;
}

static void draw_rates(struct sheet *s, const struct view_job *job,
		       const struct job_columns *k, unsigned y)
{
	bool wide = s->canvas.w >= WIDE;
	const char *most = s->canvas.ascii ? "<=" : "≤";
	uint64_t rate = view_job_rate(job), eta;
	struct str text = STR_INIT;
	struct view_race race;
	char buf[16];

	if (rate) {
		str_addf(&text, "%s/s", size_short(rate, buf, sizeof(buf)));
		job_put(s, k->rate, y, str_get(&text));
		str_clear(&text);
	}
	if (job->speed) {
		str_addf(&text, "%s%s", most, wide ?
			 size_short(job->speed, buf, sizeof(buf)) :
			 size_brief(job->speed, buf, sizeof(buf)));
		job_put(s, k->limit, y, str_get(&text));
	}
	if (view_job_race(job, &race) && race.endless)
		canvas_put_right(&s->canvas, k->eta, y, 5, STYLE_WARN,
				 "never");
	else if (view_job_eta(job, &eta))
		job_put(s, k->eta, y, eta_text(eta, buf, sizeof(buf)));
	str_release(&text);
}

/* Words stand from the numbers' place on; where they need more, the bar has
 * less, or is not there. */
static void draw_state(struct sheet *s, const struct view_job *job,
		       const char *words, enum style style, unsigned y)
{
	unsigned w = s->canvas.w, room = job_columns(w).percent + 2;
	unsigned need = text_columns(words), end, x;
	bool live = job->end == JOB_LIVES;
	struct str text = STR_INIT;

	if (need > w * 5 / 8)
		need = w * 5 / 8;
	if (room + need + 1 > w || !live)
		room = w - need - 1;
	end = room - 6;
	x = draw_what(s, job, y, live ? end - bar_columns(job, end,
							   s->canvas.ascii) :
		      room - 2);
	if (live && end >= x + 1 + BAR_LEAST)
		draw_bar(s, job, x + 1, y, end - x - 1);
	if (live)
		canvas_putf(&s->canvas, room - 5, y, 4, STYLE_STRONG, "%3u%%",
			    view_job_percent(job));
	else
		room = x + 2;
	text_fit(&text, words, w - 1 - room, s->canvas.ascii);
	canvas_put(&s->canvas, room, y, w - 1 - room, style, str_get(&text));
	str_release(&text);
}

void job_row_draw(struct sheet *s, const struct view_job *job, unsigned y)
{
	struct job_columns k = job_columns(s->canvas.w);
	unsigned end = k.percent - 5, bar = bar_columns(job, end,
						   s->canvas.ascii), x;
	struct str words = STR_INIT;
	enum style style = state_words(s, job, &words);

	if (words.len) {
		draw_state(s, job, str_get(&words), style, y);
		str_release(&words);
		return;
	}
	x = draw_what(s, job, y, end - bar);
	/* Below each other, but for one that has little room. */
	if (x < end - bar && bar > BAR_LEAST)
		x = end - bar;
	draw_bar(s, job, x + 1, y, end - x - 1);
	canvas_putf(&s->canvas, k.percent - 4, y, 4, STYLE_STRONG, "%3u%%",
		    view_job_percent(job));
	draw_bytes(s, job, k.bytes, y);
	draw_rates(s, job, &k, y);
	/* The second of now is not over yet. */
	if (k.spark > k.eta + 1 && job->spark_count > 1)
		spark_draw(&s->canvas, k.eta + 1, y, k.spark - k.eta - 1,
			   job->spark, job->spark_count - 1);
	str_release(&words);
}

/* --- the second row --- */

/* Of the image that it writes to. */
static const char *target_path(const struct sheet *s,
			       const struct view_job *job)
{
	bool stream = !strcmp(job->type, "stream");
	int at = shape_find(s->shape, stream ? job->top : job->base);

	return at < 0 ? "" : s->shape->images[at].path;
}

/* What its count of bytes says. */
static const char *count_words(const struct view_job *job)
{
	if (job->told)
		return "moved in";
	if (!strcmp(job->type, "rebase"))
		return "looked at in";
	if (!job->positions)
		return "moved in";
	return job->foreign ? "of the disk passed, seen for" :
			      "of the disk passed in";
}

/* "guest writes 4.00M/s, job 1.00M/s, left 12.0M +3.00M/s". */
static enum style add_race(const struct sheet *s, const struct view_job *job,
			   struct str *out)
{
	struct view_race race;
	char guest[16], rate[16], left[16], trend[16];
	uint64_t by;

	if (!view_job_race(job, &race) || !race.guest)
		return STYLE_DIM;
	by = (uint64_t)(race.trend < 0 ? -race.trend : race.trend);
	if (race.endless)
		str_add(out, "will not end by itself: ");
	str_addf(out, "guest%s %s/s, job %s/s, left %s",
		 s->canvas.w >= WIDE ? " writes" : "",
		 size_short(race.guest, guest, sizeof(guest)),
		 size_short(view_job_rate(job), rate, sizeof(rate)),
		 size_short(race.left, left, sizeof(left)));
	if (by)
		str_addf(out, " %c%s/s", race.trend < 0 ? '-' : '+',
			 size_short(by, trend, sizeof(trend)));
	str_add(out, race.endless ? "; " : ", ");
	return race.endless ? STYLE_WARN : STYLE_DIM;
}

void job_row_draw_more(struct sheet *s, const struct view_job *job, unsigned y)
{
	struct str text = STR_INIT, cut = STR_INIT;
	uint64_t bytes = job->told ? job->moved : job->done;
	enum style style = add_race(s, job, &text);
	char buf[16], done[16];

	if (job->end == JOB_LIVES)
		str_addf(&text, "%s, ", job->status);
	else if (*job->error)
		str_addf(&text, "%s, ", job->error);
	str_addf(&text, "%s %s %s", size_short(bytes, done, sizeof(done)),
		 count_words(job),
		 seconds_short(job->elapsed_ns / NS_PER_SEC, buf, sizeof(buf)));
	if (job->speed && job->end == JOB_LIVES)
		str_addf(&text, ", at most %s/s", size_short(job->speed, buf,
							     sizeof(buf)));
	if (*target_path(s, job))
		str_addf(&text, ", into %s", target_path(s, job));
	if (style == STYLE_DIM)
		text_fit_middle(&cut, str_get(&text), s->canvas.w - 5,
				s->canvas.ascii);
	else
		text_fit(&cut, str_get(&text), s->canvas.w - 5,
			 s->canvas.ascii);
	canvas_put(&s->canvas, 4, y, s->canvas.w, style, str_get(&cut));
	str_release(&text);
	str_release(&cut);
}

/* --- in the tree --- */

/* What is to be done with it, where it does not just run. */
static void brief_words(const struct view_job *job, struct str *out)
{
	if (job->paused)
		str_addf(out, job->failed_io ? "STOPPED: %s retries" :
			 "PAUSED: %s goes on", keys_name(ACTION_PAUSE));
	else if (job->ready)
		str_addf(out, "READY: %s or %s", keys_name(ACTION_COMPLETE),
			 keys_name(ACTION_CANCEL));
}

void job_row_draw_brief(struct sheet *s, const struct view_job *job,
			unsigned x, unsigned y, unsigned w)
{
	struct str words = STR_INIT;
	unsigned bar = w > 14 + 4 ? w - 14 : 4;
	struct view_race race;
	char buf[16];
	uint64_t eta;

	canvas_repeat(&s->canvas, x, y, w, STYLE_TEXT, " ");
	brief_words(job, &words);
	if (words.len) {
		canvas_put(&s->canvas, x + 1, y, w - 1, STYLE_WARN,
			   str_get(&words));
		str_release(&words);
		return;
	}
	draw_bar(s, job, x + 1, y, bar);
	canvas_putf(&s->canvas, x + 1 + bar, y, 5, STYLE_STRONG, "%4u%%",
		    view_job_percent(job));
	if (view_job_race(job, &race) && race.endless)
		canvas_put_right(&s->canvas, x + w, y, 7, STYLE_WARN, "never");
	else if (view_job_eta(job, &eta))
		canvas_put_right(&s->canvas, x + w, y, 7, STYLE_TEXT,
				 eta_text(eta, buf, sizeof(buf)));
}
