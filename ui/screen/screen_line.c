/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What becomes of a line of the prompt: it is asked about or runs, and those
 * behind one that is asked about wait.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
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

/* Runs the lines up to one that is asked about. */
static void run_held(struct screen *s)
{
	while (s->held.len && !s->ask.question) {
		char *lines = str_detach(&s->held);
		size_t len = strcspn(lines, "\n");
		const char *words;

		str_add(&s->held, lines + len + (lines[len] == '\n'));
		lines[len] = '\0';
		words = client_wants_more(s->client) ? lines :
			prompt_command(lines);
		words += strspn(words, " \t");
		if (*words && !ask_first(&s->ask, &s->sheet, words))
			sline_run_line(s, words);
		free(lines);
	}
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

void screen_answer(struct screen *s, const char *line, bool yes)
{
	char *safe = text_safe(line);

	if (yes)
		sline_run_line(s, line);
	else
		sheet_say(&s->sheet, LOG_SCREEN, "not done: %s", safe);
	free(safe);
	run_held(s);
}
