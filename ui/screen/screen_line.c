/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What becomes of a line of the prompt: it runs; or what it would do is found
 * out, and it is asked about where that can't be taken back. Those behind it
 * wait. What goes on over several lines is looked at as a whole.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/line/console_run.h"
#include "src/console/plan_ask.h"
#include "ui/draw/text.h"
#include "ui/screen/screen.h"
#include "ui/screen/screen_impl.h"

static bool sline_is_word(const char *line, const char *word, const char **rest)
{
	size_t len = strlen(word);

	if (strncmp(line, word, len) || !strchr(" \t", line[len]))
		return false;
	*rest = line + len + strspn(line + len, " \t");
	return true;
}

/* Commands of the screen itself. */
static bool run_own(struct screen *s, const char *line)
{
	const char *rest;

	if (!sline_is_word(line, "screenshot", &rest))
		return false;
	if (*rest)
		screen_shoot(s, rest);
	else
		sheet_say(&s->sheet, LOG_ERROR, "Error: screenshot FILE: which "
			  "file? One that ends in .ans gets colours");
	return true;
}

static void sline_run_line(struct screen *s, const char *line)
{
	char *safe = text_safe(line);

	sheet_say(&s->sheet, LOG_COMMAND, "(blkmon) %s", safe);
	free(safe);
	s->sheet.log_pane.follow = true;
	if (!run_own(s, line))
		client_run(s->client, line);
}

/* --- lines that are looked at first --- */

static bool is_looked_at(const struct screen *s, const char *words)
{
	if (s->options->yes || client_wants_more(s->client))
		return false;
	return s->whole.len || console_may_ask(words);
}

static void sline_take(struct screen *s, const char *words)
{
	if (!is_looked_at(s, words)) {
		sline_run_line(s, words);
		return;
	}
	if (s->whole.len)
		str_add_char(&s->whole, '\n');
	str_add(&s->whole, words);
	s->planning = true;
	client_plan(s->client, CLIENT_LINE, str_get(&s->whole), NULL);
}

/* Runs the lines up to one that is asked about. */
static void run_held(struct screen *s)
{
	while (s->held.len && !s->ask.question && !s->planning) {
		char *lines = str_detach(&s->held);
		size_t len = strcspn(lines, "\n");
		const char *words;

		str_add(&s->held, lines + len + (lines[len] == '\n'));
		lines[len] = '\0';
		words = screen_wants_more(s) ? lines : prompt_command(lines);
		words += strspn(words, " \t");
		if (*words)
			sline_take(s, words);
		free(lines);
	}
}

bool screen_wants_more(const struct screen *s)
{
	return s->more || client_wants_more(s->client);
}

/* Over with: the lines are run as they were typed, or told as what was not. */
static void sline_end(struct screen *s, bool run)
{
	char *lines = str_detach(&s->whole), *rest = lines, *line, *safe;

	while ((line = strsep(&rest, "\n"))) {
		safe = text_safe(line);
		if (run)
			sline_run_line(s, line);
		else
			sheet_say(&s->sheet, LOG_SCREEN, "not done: %s", safe);
		free(safe);
	}
	free(lines);
	ask_release(&s->ask);
	run_held(s);
}

/* What is refused says so in the words of the command, and nothing is run: it
 * might be taken a moment later, and would not have been asked about. */
static void sline_refuse(struct screen *s, const char *said)
{
	char *lines = str_detach(&s->whole), *text = mem_dup(said);
	char *rest = lines, *line, *safe;

	while ((line = strsep(&rest, "\n"))) {
		safe = text_safe(line);
		sheet_say(&s->sheet, LOG_COMMAND, "(blkmon) %s", safe);
		free(safe);
	}
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			sheet_say(&s->sheet, LOG_ERROR, "%s", line);
	free(lines);
	free(text);
	s->sheet.log_pane.follow = true;
	ask_release(&s->ask);
	run_held(s);
}

/* It is asked about what is true now: what was agreed to has to be the same. */
static void sline_planned(struct screen *s, struct client_plan *plan)
{
	bool sure = s->ask.question;

	s->planning = false;
	s->more = plan->more;
	if (plan->more)
		run_held(s);
	else if (sure && plan_is_same(s->ask.asked, plan->asked))
		sline_end(s, true);
	else if (plan_all_refused(plan->asked))
		sline_refuse(s, plan->said);
	else if (!ask_about(&s->ask, &s->sheet, plan->asked))
		sline_end(s, true);
	else if (sure)
		s->ask.aside = "This has changed since it was asked: y does "
			       "it as it is now.";
}

void screen_planned(struct screen *s)
{
	struct client_plan plan;

	if (!client_planned(s->client, CLIENT_LINE, &plan))
		return;
	sline_planned(s, &plan);
	client_plan_release(&plan);
}

void screen_line(struct screen *s, const char *line)
{
	str_add(&s->held, line);
	str_add_char(&s->held, '\n');
	run_held(s);
}

void screen_first(struct screen *s, const char *line)
{
	sline_run_line(s, line);
}

void screen_do(struct screen *s, const char *line)
{
	sline_run_line(s, line);
}

void screen_answer(struct screen *s, bool yes)
{
	if (!yes) {
		sline_end(s, false);
		return;
	}
	s->planning = true;
	client_plan(s->client, CLIENT_LINE, str_get(&s->whole), NULL);
}

void screen_forget_line(struct screen *s)
{
	s->planning = s->more = false;
	client_plan_drop(s->client, CLIENT_LINE);
	str_clear(&s->held);
	if (s->whole.len)
		sline_end(s, false);
}
