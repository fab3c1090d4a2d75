/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Questions before what can't be taken back: cancel, commit, and quit while
 * jobs run. The default is no.
 */
#include "ui/screen/ask.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"

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

/* Takes both. */
static void ask_set(struct ask *a, char *question, char *what)
{
	a->question = question;
	a->what = what;
}

/* A file in a line, as the tree calls it; the caller's. */
static char *ask_name(const struct sheet *s, const char *file)
{
	struct str name = STR_INIT;
	const struct view_image *v;

	for (size_t i = 0; s->shape && i < s->shape->n; i++) {
		v = &s->shape->images[i];
		if (strcmp(v->file, file))
			continue;
		names_fit(&name, v->name, v->cut, s->canvas.w / 3,
			  s->canvas.ascii);
		return str_detach(&name);
	}
	return text_safe(file);
}

static char *ask_job_name(const struct sheet *s, const char *name,
			  struct name_cut cut, const char *unknown)
{
	struct str text = STR_INIT;

	names_fit(&text, *name ? name : unknown, cut, s->canvas.w / 3,
		  s->canvas.ascii);
	return str_detach(&text);
}

static void ask_cancel(struct ask *a, struct sheet *s, const char *id)
{
	const struct view_job *job = jobs_find(s, id);
	char *from, *to, *what;

	if (!job) {	/* it may not exist: the command will say so */
		ask_set(a, mem_printf("Cancel job %s? [y/N] ", id),
			mem_dup("The job is stopped."));
		return;
	}
	from = ask_job_name(s, job->from_name, job->from_cut, "the top");
	to = ask_job_name(s, job->to_name, job->to_cut, "the base");
	if (job->ready)
		what = mem_printf("%s is in sync and complete; %s stays on "
				  "%s.", to, id, from);
	else if (!strcmp(job->type, "stream"))
		what = mem_dup("What was copied stays, the chain stays as it "
			       "is.");
	else
		what = mem_printf("The chain stays as it is; %s alone, or "
				  "under other overlays, is spoilt.", to);
	ask_set(a, mem_printf("Cancel %s %s at %u%%? [y/N] ", job->type, id,
			      view_job_percent(job)), what);
	free(from);
	free(to);
}

static void ask_commit(struct ask *a, struct sheet *s, const struct words *w)
{
	const char *drive = w->n > 1 ? w->word[1] : "";
	char *base = w->n > 2 ? ask_name(s, w->word[2]) :
		mem_dup("its lowest image");
	char *top = w->n > 3 ? ask_name(s, w->word[3]) : NULL;

	if (top)
		ask_set(a,
			mem_printf("Commit %s down into %s? [y/N] ", top, base),
			mem_printf("%s changes; the images between the two are "
				   "no use any more.", base));
	else
		ask_set(a,
			mem_printf("Commit all of %s down into %s? [y/N] ",
				   drive, base),
			mem_printf("%s changes; %s goes over to it when you "
				   "complete the job.",
				   w->n > 2 ? base : "It", drive));
	free(base);
	free(top);
}

static void ask_commit_sync(struct ask *a, const char *drive)
{
	ask_set(a,
		mem_printf("Commit %s into its backing file? [y/N] ", drive),
		mem_dup("At once, and nothing can stop it; the active layer is "
			"empty then."));
}

static void ask_delete(struct ask *a)
{
	ask_set(a, mem_dup("Delete what is named here? [y/N] "),
		mem_dup("Only what nothing uses goes; there is no way back."));
}

static void ask_quit(struct ask *a, size_t n)
{
	ask_set(a, mem_printf("Quit? [y/N] "),
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
		ask_commit_sync(a, w.n > 1 ? w.word[1] : "");
	else if (ask_is_word(&w, "delete") &&
		 !str_has_prefix(line, "delete -n"))
		ask_delete(a);
	else if ((ask_is_word(&w, "quit") || ask_is_word(&w, "q")) &&
		 jobs_living(s))
		ask_quit(a, jobs_living(s));
	free(w.text);
	if (!a->question)
		return false;
	a->line = mem_dup(line);
	return true;
}

void ask_release(struct ask *a)
{
	free(a->question);
	free(a->what);
	free(a->line);
	*a = (struct ask) { 0 };
}

void ask_draw(const struct ask *a, struct canvas *c)
{
	const char *what = a->puzzled ? "y does it; n, Esc or Enter leave it."
				      : a->what;
	unsigned w = c->w - 2, x, rows = text_rows(a->question, w);
	unsigned y = c->h - text_rows(what, w);

	for (unsigned at = y - rows; at < c->h; at++)
		canvas_repeat(c, 0, at, c->w, STYLE_TEXT, " ");
	canvas_wrap(c, 1, y, w, STYLE_WARN, what);
	x = canvas_wrap(c, 1, y - rows, w, STYLE_WARN, a->question);
	c->cursor_x = (int)(1 + x);
	c->cursor_y = (int)y - 1;
}

char *ask_key(struct ask *a, const struct key *key, unsigned read, bool *yes)
{
	bool text = a->puzzled && a->read == read;
	char *line = a->line;

	if (key->code == KEY_MOUSE || key->code == KEY_CTRL_L)
		return NULL;
	*yes = (key->code == 'y' || key->code == 'Y') && !text;
	if (!*yes && key->code != KEY_RETURN && key->code != KEY_ESC &&
	    (text || (key->code != 'n' && key->code != 'N'))) {
		a->puzzled = true;
		a->read = read;
		return NULL;
	}
	a->line = NULL;
	ask_release(a);
	return line;
}
