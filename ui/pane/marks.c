/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is to be known of an image, as letters and in words. */
#include <string.h>

#include "src/console/place_words.h"
#include "ui/pane/sheet.h"

struct mark {
	char letter;
	const char *words;
};

/* The living one that works on the image, as its top or as its base. */
static const struct view_job *job_on(const struct sheet *s,
				     const struct view_image *v, bool top)
{
	for (size_t i = 0; i < s->jobs.n; i++) {
		const struct view_job *job = &s->jobs.list[i];

		if (job->end == JOB_LIVES && *v->node &&
		    !strcmp(top ? job->top : job->base, v->node))
			return job;
	}
	return NULL;
}

const struct view_job *chains_job(const struct sheet *s,
				  const struct view_image *v)
{
	const struct view_job *job = job_on(s, v, true);

	return job ? job : job_on(s, v, false);
}

/* The most urgent first. */
static size_t marks_of(const struct sheet *s, const struct view_image *v,
		       struct mark *out)
{
	size_t n = 0;

	if (v->missing)
		out[n++] = (struct mark) { '!', "not open: missing or "
					   "unreadable" };
	if (v->corrupt)
		out[n++] = (struct mark) { 'X', "marked CORRUPT" };
	if (v->dirty)
		out[n++] = (struct mark) { 'd', "dirty" };
	if (v->no_format)
		out[n++] = (struct mark) { '?', "its header does not say the "
					   "format of its backing file" };
	/* What a job of others has left behind there, or one that died. */
	if (v->role == VIEW_OPEN && v->top < 0 && *v->node &&
	    place_of(s->places, v->node))
		out[n++] = (struct mark) { 'u', "used by no drive" };
	if (v->read_only)
		out[n++] = (struct mark) { 'r', "read-only" };
	if (v->snapshots)
		out[n++] = (struct mark) { 's', "internal snapshots" };
	if (v->compressed)
		out[n++] = (struct mark) { 'z', "compressed clusters" };
	if (v->encrypted)
		out[n++] = (struct mark) { 'e', "encrypted" };
	return n;
}

static void add_words(struct str *out, const char *fmt, const char *arg)
{
	if (out->len)
		str_add(out, ", ");
	str_addf(out, "%s%s", fmt, arg);
}

static void add_job_words(struct str *out, const char *what,
			  const struct view_job *job)
{
	add_words(out, what, job->foreign ? " of a job of others, " :
		  " of job ");
	str_add(out, job->id);
}

void chains_words(const struct sheet *s, const struct view_image *v,
		  struct str *out)
{
	struct mark list[16];
	size_t n = marks_of(s, v, list);

	if (v->drive)
		add_words(out, "active layer of ", v->drive);
	if (job_on(s, v, true))
		add_job_words(out, "top", job_on(s, v, true));
	if (job_on(s, v, false))
		add_job_words(out, "base", job_on(s, v, false));
	for (size_t i = 0; i < n; i++)
		add_words(out, list[i].words, "");
	if (v->role == VIEW_OPEN)
		return;
	if (out->len)
		str_add(out, ", ");
	chains_role_words(v, out);
}

void chains_draw_marks(struct sheet *s, const struct view_image *v,
		       unsigned x, unsigned y, unsigned max)
{
	struct mark list[16];
	size_t n = marks_of(s, v, list);
	unsigned end = x + max;

	if (v->role != VIEW_OPEN)
		x += canvas_glyph(&s->canvas, x, y, v->role == VIEW_ORPHAN ?
				  STYLE_BAD : STYLE_DIM, GLYPH_CLOSED);
	if (!chains_job(s, v))
		x += canvas_put(&s->canvas, x, y, 1, STYLE_GOOD,
				plan_mark(s, v));
	if (job_on(s, v, true) && x < end)
		x += canvas_put(&s->canvas, x, y, 1, STYLE_GOOD, "T");
	if (job_on(s, v, false) && x < end)
		x += canvas_put(&s->canvas, x, y, 1, STYLE_GOOD, "B");
	for (size_t i = 0; i < n && x < end; i++) {
		char text[2] = { list[i].letter, '\0' };

		x += canvas_put(&s->canvas, x, y, 1,
				strchr("!X?d", *text) ? STYLE_BAD :
				STYLE_MARK, text);
	}
}
