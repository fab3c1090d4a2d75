/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guided first minute of the demo: one sentence at a time about what is
 * to be seen, and the key to press. A step is over when what it asks for has
 * happened, however it was done; Esc leaves the tour.
 */
#include <string.h>

#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

#define TOUR_ROWS 2u

static const struct view_job *tour_job(const struct sheet *s)
{
	for (size_t i = s->jobs.n; i--; )
		if (s->jobs.list[i].end == JOB_LIVES)
			return &s->jobs.list[i];
	return NULL;
}

static bool is_faster(const struct sheet *s)
{
	return !tour_job(s) || tour_job(s)->speed != 1u << 20;
}

static bool is_paused(const struct sheet *s)
{
	return !tour_job(s) || tour_job(s)->paused;
}

static bool goes_on(const struct sheet *s)
{
	return !tour_job(s) || !tour_job(s)->paused;
}

static bool is_ready(const struct sheet *s)
{
	return !tour_job(s) || tour_job(s)->ready;
}

/* The job may be seen to end before its images are seen to go. */
static bool tour_is_over(const struct sheet *s)
{
	const struct view_job *last = s->jobs.n ?
		&s->jobs.list[s->jobs.n - 1] : NULL;

	return !tour_job(s) && (s->shape->open == 1 || !last ||
				last->end != JOB_DONE);
}

static bool has_snapshot(const struct sheet *s)
{
	return s->shape && s->shape->open > 1;
}

static bool shows_details(const struct sheet *s)
{
	return s->overlay.on;
}

static bool never(const struct sheet *s)
{
	(void)s;
	return false;
}

static const struct {
	const char *text;
	bool (*done)(const struct sheet *s);
} steps[] = {
	{ "disk0 is sn2 on sn1 on base, and a commit pours both into base: "
	  "watch base's map fill. It is slow on purpose. Press + and Enter.",
	  is_faster },
	{ "The key wrote a command into the prompt, and Enter ran it. Now p "
	  "and Enter lets the job stand still.",
	  is_paused },
	{ "The guest would not have noticed. p and Enter again, and it goes "
	  "on.",
	  goes_on },
	{ "When base holds everything the job says READY, and keeps up with "
	  "the guest until you decide. (0 and Enter: no limit.)",
	  is_ready },
	{ "READY. C shows what that will do, Enter does it: disk0 goes over "
	  "to base alone. (x would leave it where it is.)",
	  tour_is_over },
	{ "disk0 is one image again. s shows the plan of a snapshot, Enter "
	  "takes it: a new layer, base is kept as it is now.",
	  has_snapshot },
	{ "Enter shows all about the selected image; . lists what can be done "
	  "with it, ? all keys; Tab walks the panes.",
	  shows_details },
	{ "That was the tour. t streams, c commits, : types, q leaves; Esc "
	  "takes this line away.",
	  never },
};

#define STEPS (sizeof(steps) / sizeof(*steps))

unsigned tour_rows(const struct sheet *s)
{
	return s->step ? TOUR_ROWS : 0;
}

/* The first step is about a job that may not be there yet. */
void tour_update(struct sheet *s)
{
	if (s->step == 1 && !s->jobs.n)
		return;
	if (s->step && s->shape && steps[s->step - 1].done(s))
		s->step++;
}

void tour_draw(struct sheet *s)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.tour.y, used, room;
	const char *text;
	size_t first;

	if (!s->step || !s->layout.tour.h)
		return;
	for (unsigned i = 0; i < TOUR_ROWS; i++)
		canvas_repeat(c, 0, y + i, c->w, STYLE_TOUR, " ");
	used = canvas_putf(c, 1, y, c->w, STYLE_TOUR, "%u/%zu  ", s->step,
			   STEPS) + 1;
	room = c->w - used - 1;
	text = steps[s->step - 1].text;
	first = text_prefix(text, room);
	while (text[first] && first && text[first - 1] != ' ')
		first--;
	canvas_putf(c, used, y, room, STYLE_TOUR, "%.*s", (int)first, text);
	canvas_put(c, used, y + 1, room, STYLE_TOUR, text + first);
}
