/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Completion asks the picture that the screen has, never a channel, so it
 * can't wait for one; names of files come from a thread, and when they are
 * there the key is pressed again.
 */
#include "ui/prompt/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "engine/util/mem.h"
#include "src/console/line/complete.h"
#include "ui/draw/text.h"
#include "ui/prompt/editor.h"
#include "ui/prompt/folder.h"
#include "ui/prompt/history.h"

#define PROMPT "(blkmon) "
#define PROMPT_MORE "> "

static struct {
	struct prompt_host host;
	FILE *null;
	struct console console;	/* completes words, runs nothing */
	struct completion completion;
	struct folder *folder;	/* awaited; NULL none */
	char *awaiting;		/* the line then, up to the cursor */
	struct str popup;	/* what a word may become, in rows */
	char *note;
	char *written;		/* the line as an action wrote it */
	bool searching;
	char *kept;		/* the line while a search is typed */
	unsigned first;		/* columns that are scrolled out */
	const char *label;	/* in front of the line */
} prompt;

/* --- completion --- */

static char *prompt_next_match(const char *text, int state)
{
	static size_t next;

	(void)text;
	if (!state)
		next = 0;
	if (next >= prompt.completion.n)
		return NULL;
	return strdup(prompt.completion.words[next++]);
}

static void forget_folder(void)
{
	folder_put(prompt.folder);
	free(prompt.awaiting);
	prompt.folder = NULL;
	prompt.awaiting = NULL;
}

static void await_files(const char *part)
{
	if (prompt.folder) {
		char *text = mem_printf("the folder of %s is still being read",
					folder_part(prompt.folder));

		prompt.host.ops->message(prompt.host.arg, text);
		free(text);
		return;
	}
	prompt.folder = folder_read(part, prompt.host.news_fd);
	if (prompt.folder)
		prompt.awaiting = mem_printf("%.*s", rl_point,
					     rl_line_buffer);
}

static void offer_files(const char *text)
{
	struct completion *out = &prompt.completion;
	const char *part = text + out->files_at;
	char *const *names;
	size_t n;

	if (!prompt.folder || !folder_is_read(prompt.folder) ||
	    strcmp(folder_part(prompt.folder), part)) {
		await_files(part);
		return;
	}
	n = folder_names(prompt.folder, &names);
	out->words = mem_grow(out->words, out->n + n, sizeof(*out->words));
	for (size_t i = 0; i < n; i++)
		out->words[out->n++] = mem_printf(
			"%.*s%s", (int)out->files_at, text, names[i]);
	forget_folder();
}

static char **prompt_complete(const char *text, int start, int end)
{
	char **matches;

	(void)end;
	rl_attempted_completion_over = 1;
	if (prompt.searching)
		return NULL;
	complete_line(&prompt.console, rl_line_buffer, (size_t)start, text,
		      &prompt.completion);
	if (prompt.completion.files)
		offer_files(text);
	matches = rl_completion_matches(text, prompt_next_match);
	/* Behind a folder's "/" its files are typed, behind an option the
	 * next one, no blank. */
	if (matches && !matches[1] && **matches &&
	    (matches[0][strlen(*matches) - 1] == '/' ||
	     prompt.completion.files_at))
		rl_completion_append_character = '\0';
	completion_release(&prompt.completion);
	return matches;
}

/* All of them in columns, as long as no key follows. */
static void show_matches(char **matches, int n, int longest)
{
	unsigned width = (unsigned)longest + 2;
	unsigned fit = (prompt.host.canvas->w - 2) / width;

	if (!fit)
		fit = 1;
	str_clear(&prompt.popup);
	for (int i = 1; i <= n; i++) {
		char *safe = text_safe(matches[i]);

		str_add(&prompt.popup, safe);
		for (unsigned w = text_columns(safe); w < width; w++)
			str_add_char(&prompt.popup, ' ');
		free(safe);
		if ((unsigned)i % fit == 0 || i == n)
			str_add_char(&prompt.popup, '\n');
	}
}

/* --- readline --- */

static void prompt_nothing(void)
{
}

static void forget_written(void)
{
	str_clear(&prompt.popup);
	free(prompt.note);
	free(prompt.written);
	prompt.note = prompt.written = NULL;
}

/* Back from a search to the line that was there before. */
static void end_search(void)
{
	prompt.searching = false;
	rl_set_prompt(prompt.label);
	editor_set(prompt.kept ? prompt.kept : "");
	free(prompt.kept);
	prompt.kept = NULL;
	prompt.host.ops->search_over(prompt.host.arg);
}

static void accept(char *line)
{
	bool written = prompt_is_written();

	if (prompt.searching) {
		free(line);
		end_search();
		return;
	}
	if (!line)	/* an end of input is no command */
		return;
	forget_written();
	if (!editor_takes(line)) {
		prompt.host.ops->say(prompt.host.arg, EDITOR_REFUSED);
		free(line);
		return;
	}
	history_remember(line);
	prompt.host.ops->line(prompt.host.arg, line, written);
	free(line);
}

static void set_up_readline(void)
{
	prompt.null = fopen("/dev/null", "r+e");
	rl_instream = rl_outstream = prompt.null;
	rl_catch_sigwinch = 0;
	rl_change_environment = 0;
	rl_prep_term_function = NULL;
	rl_deprep_term_function = NULL;
	rl_redisplay_function = prompt_nothing;
	rl_completion_display_matches_hook = show_matches;
	editor_init(prompt_complete);
	rl_variable_bind("bell-style", "none");
	rl_variable_bind("enable-bracketed-paste", "off");
	rl_variable_bind("show-all-if-ambiguous", "on");
}

/* Without a display every run is like the other: no history, no inputrc. */
void prompt_init(const struct prompt_host *host)
{
	prompt.host = *host;
	prompt.label = PROMPT;
	if (host->plain)
		setenv("INPUTRC", "/dev/null", 1);
	set_up_readline();
	console_init(&prompt.console, host->picture);
	/* readline begins at the end of the history that is there now. */
	if (!host->plain)
		history_load();
	rl_callback_handler_install(PROMPT, accept);
}

void prompt_release(void)
{
	prompt_cancel();
	if (!prompt.host.plain)
		history_save();
	rl_callback_handler_remove();
	forget_folder();
	console_release(&prompt.console);
	forget_written();
	free(prompt.kept);
	str_release(&prompt.popup);
	fclose(prompt.null);
	memset(&prompt, 0, sizeof(prompt));
}

void prompt_feed(const char *bytes, size_t len)
{
	str_clear(&prompt.popup);
	editor_add(bytes, len);
	while (editor_has())
		editor_read();
	if (prompt.note && !prompt_is_written()) {
		free(prompt.note);
		prompt.note = NULL;
	}
	if (prompt.searching)
		prompt.host.ops->search(prompt.host.arg, rl_line_buffer);
}

bool prompt_is_waiting(void)
{
	return prompt.folder;
}

/* Where something else was typed meanwhile, nobody wants the names. */
void prompt_news(bool focus)
{
	bool same;

	if (!prompt.folder || !folder_is_read(prompt.folder))
		return;
	same = focus && (int)strlen(prompt.awaiting) == rl_point &&
		str_has_prefix(rl_line_buffer, prompt.awaiting);
	if (same)
		prompt_feed("\t", 1);
	forget_folder();
}

/* Pasted lines stay in the line until Enter; controls are dropped. */
void prompt_paste(const char *text, size_t len)
{
	struct str clean = STR_INIT;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r')
			c = '\n';
		if (c == '\t')
			c = ' ';
		if (c == '\n' || (c >= ' ' && c != 127))
			str_add_char(&clean, (char)c);
	}
	if (!editor_insert(str_get(&clean)))
		prompt.host.ops->say(prompt.host.arg, EDITOR_REFUSED);
	str_release(&clean);
}

void prompt_set(const char *line, const char *note)
{
	if (prompt.searching)
		end_search();
	editor_set(line);
	forget_written();
	prompt.written = mem_dup(line);
	prompt.note = mem_dup(note);
}

const char *prompt_line(void)
{
	return rl_line_buffer;
}

const char *prompt_command(const char *line)
{
	return editor_command(line);
}

const char *prompt_note(void)
{
	return prompt.note ? prompt.note : "";
}

bool prompt_is_written(void)
{
	return prompt.written && !strcmp(prompt.written, rl_line_buffer);
}

bool prompt_is_searching(void)
{
	return prompt.searching;
}

bool prompt_takes_escape(void)
{
	return RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH);
}

void prompt_search(const char *name)
{
	free(prompt.kept);
	prompt.kept = mem_dup(rl_line_buffer);
	prompt.searching = true;
	editor_set("");
	rl_set_prompt(name);
}

void prompt_cancel(void)
{
	if (RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH))
		prompt_feed("\007", 1);
	if (prompt.searching) {
		end_search();
		return;
	}
	editor_set("");
	forget_written();
}

/* --- drawing --- */

/* The line as it is shown: newlines of a paste as a sign, other controls as
 * "^X"; *cursor: columns in front of the cursor. */
static void shown_line(struct str *out, unsigned *cursor, bool ascii)
{
	const char *s = rl_line_buffer;

	*cursor = 0;
	for (int i = 0; i < rl_end; i++) {
		unsigned char c = (unsigned char)s[i];

		if (i == rl_point)
			*cursor = text_columns(str_get(out));
		if (c == '\n')
			str_add(out, theme_glyph(GLYPH_RETURN, ascii));
		else if (c < ' ' || c == 127)
			str_addf(out, "^%c", c ^ 64);
		else
			str_add_char(out, (char)c);
	}
	if (rl_point == rl_end)
		*cursor = text_columns(str_get(out));
}

/* What is typed, scrolled so that the cursor shows; cursor and text are in
 * columns, never in bytes. */
static void prompt_draw_line(struct canvas *c, unsigned x, unsigned y,
			     bool focus)
{
	unsigned room = c->w > x + 1 ? c->w - x - 1 : 1, cursor, all, from;
	struct str line = STR_INIT;
	const char *text;
	wchar_t wc;

	shown_line(&line, &cursor, c->ascii);
	text = str_get(&line);
	all = text_columns(text);
	if (prompt.first > cursor)
		prompt.first = cursor;
	if (cursor >= prompt.first + room)
		prompt.first = cursor - room + 1;
	if (prompt.first && all < prompt.first + room)
		prompt.first = all > room ? all - room + 1 : 0;
	for (from = 0; from < prompt.first && *text; )
		from += text_next(&text, &wc);
	canvas_put(c, x, y, room, focus ? STYLE_TEXT : STYLE_DIM, text);
	if (prompt.first)
		canvas_glyph(c, x, y, STYLE_DIM, GLYPH_ELLIPSIS);
	if (focus) {
		c->cursor_x = (int)(x + cursor - from);
		c->cursor_y = (int)y;
	}
	str_release(&line);
}

/* Above row @y, up to row 2; what does not fit is counted. */
static void draw_popup(struct canvas *c, unsigned y)
{
	const char *row = str_get(&prompt.popup);
	unsigned rows = 0, room = y > 3 ? y - 3 : 0, top;

	for (const char *s = row; *s; s++)
		rows += *s == '\n';
	if (!rows || !room)
		return;
	top = y - 1 - (rows < room ? rows : room);
	canvas_repeat(c, 0, top, c->w, STYLE_RULE,
		      theme_glyph(GLYPH_RULE, c->ascii));
	for (unsigned at = top + 1; at < y; at++) {
		size_t len = strcspn(row, "\n");

		canvas_repeat(c, 0, at, c->w, STYLE_TEXT, " ");
		if (at == y - 1 && rows > room)
			canvas_putf(c, 1, at, c->w, STYLE_DIM, "and %u rows "
				    "more: type what comes next", rows - room +
				    1);
		else
			canvas_putf(c, 1, at, c->w, STYLE_TEXT, "%.*s",
				    (int)len, row);
		row += len + (row[len] == '\n');
	}
}

void prompt_draw(unsigned y, bool focus, bool more)
{
	struct canvas *c = prompt.host.canvas;
	const char *name;
	unsigned x = 0;

	prompt.label = more ? PROMPT_MORE : PROMPT;
	if (!prompt.searching && !RL_ISSTATE(RL_STATE_ISEARCH |
					     RL_STATE_NSEARCH))
		rl_set_prompt(prompt.label);
	name = rl_display_prompt ? rl_display_prompt : "";
	x += canvas_put(c, x, y, c->w / 2, focus ? STYLE_COMMAND : STYLE_DIM,
			name);
	prompt_draw_line(c, x, y, focus);
	if (focus)
		draw_popup(c, y);
	else
		str_clear(&prompt.popup);
}
