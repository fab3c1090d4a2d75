/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions before what can't be taken back: cancel, commit, and quit while
 * jobs run. The default is no.
 */
#include "ui/screen/ask.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"

struct words {
	char *text;		/* the line, cut up */
	const char *word[5];
	size_t n;
};

/* Words without flags; old spellings of the first become the new one. */
static void ask_split(struct words *w, const char *line)
{
	char *save = NULL, *word;

	w->text = mem_dup(line);
	for (word = strtok_r(w->text, " \t", &save); word && w->n < 5;
	     word = strtok_r(NULL, " \t", &save))
		if (*word != '-' || !w->n)
			w->word[w->n++] = word;
	if (!w->n)
		w->word[w->n++] = "";
	/* The first word ends with a NUL now. */
	for (char *c = w->text; *c; c++)
		if (*c == '-')
			*c = '_';
}

static void ask_set(struct ask *a, struct sheet *s, char *question, char *what)
{
	a->question = question;
	sheet_message(s, "%s", what);
	free(what);
}

static void ask_cancel(struct ask *a, struct sheet *s, const char *id)
{
	const struct view_job *job = jobs_find(s, id);
	char *what;

	if (!job)	/* it may not exist: the command will say so */
		what = mem_dup("The job is stopped.");
	else if (job->ready)
		what = mem_printf("%s is in sync and complete; %s stays on "
				  "%s.", job->to_name, id, job->from_name);
	else if (!strcmp(job->type, "stream"))
		what = mem_dup("What was copied stays, the chain stays as it "
			       "is.");
	else
		what = mem_printf("The chain stays as it is; %s alone, or "
				  "under other overlays, is spoilt.",
				  *job->to_name ? job->to_name : "the base");
	ask_set(a, s,
		job ? mem_printf("Cancel %s %s at %u%%? [y/N] ", job->type, id,
				 view_job_percent(job))
		    : mem_printf("Cancel job %s? [y/N] ", id),
		what);
}

static void ask_commit(struct ask *a, struct sheet *s, const struct words *w)
{
	const char *drive = w->n > 1 ? w->word[1] : "";

	if (w->n > 3)
		ask_set(a, s,
			mem_printf("Commit %s down into %s? [y/N] ", w->word[3],
				   w->word[2]),
			mem_printf("%s changes; the images between the two are "
				   "no use any more.",
				   w->word[2]));
	else
		ask_set(a, s,
			mem_printf("Commit all of %s down into %s? [y/N] ",
				   drive,
				   w->n > 2 ? w->word[2] : "its lowest image"),
			mem_printf("%s changes; %s goes over to it when you "
				   "complete the job.",
				   w->n > 2 ? w->word[2] : "It", drive));
}

static void ask_commit_sync(struct ask *a, struct sheet *s, const char *drive)
{
	ask_set(a, s,
		mem_printf("Commit %s into its backing file? [y/N] ", drive),
		mem_dup("At once, and nothing can stop it; the active layer is "
			"empty then."));
}

static void ask_quit(struct ask *a, struct sheet *s, size_t n)
{
	ask_set(a, s, mem_printf("Quit? [y/N] "),
		mem_printf("%zu job%s would be cancelled; READY ones don't go "
			   "over to their base.",
			   n, n == 1 ? "" : "s"));
}

static bool ask_is_word(const struct words *w, const char *name)
{
	return !strcmp(w->word[0], name);
}

bool ask_first(struct ask *a, struct sheet *s, const char *line)
{
	struct words w = { 0 };

	ask_split(&w, line);
	if (ask_is_word(&w, "block_job_cancel"))
		ask_cancel(a, s, w.n > 1 ? w.word[1] : "");
	else if (ask_is_word(&w, "block_commit") ||
		 ask_is_word(&w, "__com.redhat_block_commit"))
		ask_commit(a, s, &w);
	else if (ask_is_word(&w, "commit"))
		ask_commit_sync(a, s, w.n > 1 ? w.word[1] : "");
	else if ((ask_is_word(&w, "quit") || ask_is_word(&w, "q")) &&
		 jobs_living(s))
		ask_quit(a, s, jobs_living(s));
	free(w.text);
	if (!a->question)
		return false;
	a->line = mem_dup(line);
	return true;
}

void ask_release(struct ask *a)
{
	free(a->question);
	free(a->line);
	*a = (struct ask) { 0 };
}

void ask_draw(const struct ask *a, struct sheet *s)
{
	struct canvas *c = &s->canvas;
	unsigned y = s->layout.pane[PANE_PROMPT].y;
	unsigned x = canvas_put(c, 1, y, c->w - 2, STYLE_WARN,
				a->question);

	c->cursor_x = (int)(1 + x);
	c->cursor_y = (int)y;
}

char *ask_key(struct ask *a, struct sheet *s, const struct key *key, bool *yes)
{
	char *line = a->line;

	if (key->code == KEY_MOUSE || key->code == KEY_CTRL_L)
		return NULL;
	a->line = NULL;
	ask_release(a);
	sheet_message(s, "%s", "");
	*yes = key->code == 'y' || key->code == 'Y';
	return line;
}
