/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions before what can't be taken back: cancel, commit, and quit while
 * jobs run. The default is no.
 */
#include "ui/screen/ask.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/plan_ask.h"
#include "ui/draw/text.h"
#include "ui/screen/called.h"

/* Those that end with this program. */
static size_t ask_jobs_here(const struct sheet *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->jobs.n; i++)
		n += s->jobs.list[i].end == JOB_LIVES &&
			!s->jobs.list[i].elsewhere;
	return n;
}

bool ask_about(struct ask *a, const struct sheet *s, json_t *asked)
{
	struct called called = { s, s->canvas.w / 3 };
	struct plan_names names = called_names(&called);
	struct plan_question q;

	names.jobs = ask_jobs_here(s);
	if (!plan_question_make(asked, &names, &q))
		return false;
	ask_release(a);
	a->question = mem_printf("%s [y/N] ", q.text);
	a->what = mem_dup(q.what);
	a->asked = json_incref(asked);
	plan_question_release(&q);
	return true;
}

void ask_release(struct ask *a)
{
	free(a->question);
	free(a->what);
	json_decref(a->asked);
	*a = (struct ask) { 0 };
}

void ask_draw(const struct ask *a, struct canvas *c)
{
	const char *what = a->aside ? a->aside : a->what;
	unsigned w = c->w - 2, x, rows = text_rows(a->question, w);
	unsigned y = c->h - text_rows(what, w);

	for (unsigned at = y - rows; at < c->h; at++)
		canvas_repeat(c, 0, at, c->w, STYLE_TEXT, " ");
	canvas_wrap(c, 1, y, w, STYLE_WARN, what);
	x = canvas_wrap(c, 1, y - rows, w, STYLE_WARN, a->question);
	c->cursor_x = (int)(1 + x);
	c->cursor_y = (int)y - 1;
}

enum ask_answer ask_key(struct ask *a, const struct key *key, unsigned read)
{
	bool text = a->puzzled && a->read == read;

	if (key->code == KEY_MOUSE || key->code == KEY_CTRL_L)
		return ASK_NONE;
	if ((key->code == 'y' || key->code == 'Y') && !text)
		return ASK_YES;
	if (key->code == KEY_RETURN || key->code == KEY_ESC ||
	    (!text && (key->code == 'n' || key->code == 'N')))
		return ASK_NO;
	a->puzzled = true;
	a->aside = "y does it; n, Esc or Enter leave it.";
	a->read = read;
	return ASK_NONE;
}
