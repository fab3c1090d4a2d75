/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The screen's state, its keys and its drawing; screen_loop.c feeds it from a
 * terminal, replay.c from a file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/screen/screen_impl.h"

/* --- what the prompt tells --- */

static void take_line(void *arg, const char *line, bool written)
{
	struct screen *s = arg;

	if (written)
		screen_focus(s, s->back);
	screen_line(s, line);
}

static void take_search(void *arg, const char *text)
{
	struct screen *s = arg;

	free(s->search);
	s->search = mem_dup(text);
	if (!*text)
		return;
	if (s->search_pane == PANE_LOG)
		log_search(s, text, 1, true);
	else
		chains_search(s, text, 1, true);
}

static void search_is_over(void *arg)
{
	struct screen *s = arg;

	screen_focus(s, s->search_pane);
}

static void say_for_prompt(void *arg, const char *text)
{
	screen_say(arg, LOG_SCREEN, "%s", text);
}

static void message_for_prompt(void *arg, const char *text)
{
	screen_message(arg, "%s", text);
}

static const struct prompt_ops prompt_ops = {
	.line = take_line,
	.search = take_search,
	.search_over = search_is_over,
	.say = say_for_prompt,
	.message = message_for_prompt,
};

static void open_prompt(struct screen *s)
{
	struct prompt_host host = {
		.ops = &prompt_ops, .arg = s, .canvas = &s->canvas,
		.picture = &s->picture.channel,
		.news_fd = client_fd(s->client),
		.plain = s->options->script,
	};

	picture_init(&s->picture, &s->jobs, &s->shape);
	prompt_init(&host);
}

/* --- beginning and end --- */

void screen_init(struct screen *s, const struct screen_options *o,
		 struct console *console, struct channel *watch)
{
	*s = (struct screen) {
		.options = o, .focus = PANE_CHAINS,
		.log_pane.follow = true, .step = o->tour,
	};
	canvas_init(&s->canvas, o->columns, o->rows);
	s->canvas.ascii = o->ascii;
	log_init(&s->log);
	s->client = client_new(console, watch);
	open_prompt(s);
}

void screen_release(struct screen *s)
{
	prompt_release();
	client_free(s->client);
	ask_release(s);
	overlay_close(s);
	shape_put(s->shape);
	view_jobs_release(&s->jobs);
	log_release(&s->log);
	input_release(&s->input);
	canvas_release(&s->canvas);
	str_release(&s->held);
	free(s->chains.node);
	free(s->chains.drive);
	free(s->search);
	free(s->message);
	free(s->title);
}

void screen_say(struct screen *s, enum log_kind kind, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	log_add(&s->log, clock_wall_us(), kind, str_get(&text));
	str_release(&text);
}

void screen_message(struct screen *s, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	free(s->message);
	s->message = text.len ? str_detach(&text) : NULL;
	str_release(&text);
}

void screen_focus(struct screen *s, enum pane pane)
{
	if (pane == PANE_PROMPT && s->focus != PANE_PROMPT)
		s->back = s->focus;
	s->focus = pane;
}

void screen_shoot(struct screen *s, const char *path)
{
	int rc;

	screen_draw(s);
	rc = canvas_save(&s->canvas, s->options->color ? s->options->theme :
			 THEME_MONO, path);
	if (rc)
		screen_say(s, LOG_ERROR, "Error: screenshot '%s': %s", path,
			   strerror(-rc));
	else
		screen_say(s, LOG_SCREEN, "the screen is in '%s'", path);
}

/* --- what the client has --- */

static enum log_kind log_kind_of(const struct client_line *line)
{
	switch (line->kind) {
	case CONSOLE_NOTICE:
		return LOG_NOTICE;
	case CONSOLE_EVENT:
	case CONSOLE_JSON_EVENT:
		return LOG_EVENT;
	case CONSOLE_FAILURE:
		return LOG_FAILURE;
	default:
		return line->error ? LOG_ERROR : LOG_OUTPUT;
	}
}

static void take_lines(struct screen *s)
{
	struct client_line *line = client_lines(s->client), *next;

	for (; line; line = next) {
		next = line->next;
		log_add(&s->log, line->wall_us, log_kind_of(line),
			line->text);
		free(line);
	}
}

static void take_shape(struct screen *s)
{
	struct shape *shape = client_shape(s->client);

	if (shape == s->shape) {
		shape_put(shape);
		return;
	}
	shape_put(s->shape);
	s->shape = shape;
	chains_update(s);
}

/* Rings once for each job that ends, and when one gets ready. */
static void hear_ends(struct screen *s)
{
	size_t ended = s->jobs.n - jobs_living(s);

	for (size_t i = 0; i < s->jobs.n; i++)
		ended += s->jobs.list[i].end == JOB_LIVES &&
			s->jobs.list[i].ready;
	s->ring |= ended > s->ended;
	s->ended = ended;
}

void screen_update(struct screen *s)
{
	size_t jobs = s->jobs.n;

	client_seen(s->client);
	prompt_news(s->focus == PANE_PROMPT);
	take_lines(s);
	take_shape(s);
	client_jobs(s->client, &s->jobs);
	client_uses(s->client, &s->uses);
	if (s->jobs.n > jobs)
		s->jobs_pane.selected = s->jobs.n - 1;
	hear_ends(s);
	tour_update(s);
	s->over |= client_over(s->client);
}

/* --- lines --- */

static bool is_word(const char *line, const char *word, const char **rest)
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

	line += *line == ':';
	if (!is_word(line, "screenshot", &rest))
		return false;
	if (*rest)
		screen_shoot(s, rest);
	else
		screen_say(s, LOG_ERROR, "Error: screenshot FILE: which "
			   "file? One that ends in .ans gets colours");
	return true;
}

static void run_line(struct screen *s, const char *line)
{
	char *safe = text_safe(line);

	screen_say(s, LOG_COMMAND, "(blkmon) %s", safe);
	free(safe);
	s->log_pane.follow = true;
	if (!run_own(s, line))
		client_run(s->client, line);
}

/* Runs the lines up to one that is asked about. */
static void run_held(struct screen *s)
{
	while (s->held.len && !s->ask.question) {
		char *lines = str_detach(&s->held);
		size_t len = strcspn(lines, "\n");

		str_add(&s->held, lines + len + (lines[len] == '\n'));
		lines[len] = '\0';
		if (lines[strspn(lines, " \t")] && !ask_first(s, lines +
				strspn(lines, " \t")))
			run_line(s, lines);
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
	run_line(s, line);
}

void screen_answer(struct screen *s, const char *line, bool yes)
{
	char *safe = text_safe(line);

	if (yes)
		run_line(s, line);
	else
		screen_say(s, LOG_SCREEN, "not done: %s", safe);
	free(safe);
	run_held(s);
}

/* --- keys --- */

static void leave_prompt(struct screen *s)
{
	if (prompt_is_searching() || *prompt_note())
		prompt_cancel();
	if (s->focus == PANE_PROMPT)
		screen_focus(s, s->back);
}

/* Keys that readline does not get. */
static bool prompt_key(struct screen *s, const struct key *key)
{
	enum action action = key_action(key->code, PANE_PROMPT);
	bool speeds = prompt_is_written() &&
		str_has_prefix(prompt_line(), "block_job_set_speed");

	if (action != ACTION_NONE) {
		action_run(s, action);
		return true;
	}
	if (speeds && (key->code == '+' || key->code == '-')) {
		action_run(s, key->code == '+' ? ACTION_FASTER :
			   ACTION_SLOWER);
		return true;
	}
	if (key->code == KEY_ESC && !prompt_takes_escape()) {
		leave_prompt(s);
		return true;
	}
	if (key->code == KEY_CTRL_D && !*prompt_line()) {
		action_run(s, ACTION_QUIT);
		return true;
	}
	/* An empty line is no command: Enter just stays. */
	return false;
}

static void pane_key(struct screen *s, const struct key *key)
{
	enum action action = key_action(key->code, s->focus);

	if (key->code == KEY_ESC)
		s->step = 0;
	else if (action != ACTION_NONE)
		action_run(s, action);
	else if (key->code < KEY_NAMED)
		screen_message(s, "no such key here: ? lists the keys, : goes "
			       "to the prompt");
}

static void handle_key(struct screen *s, const struct key *key)
{
	if (s->ask.question) {
		ask_key(s, key);
		return;
	}
	if (key->code != KEY_MOUSE || key->mouse != MOUSE_OTHER)
		screen_message(s, "%s", "");
	if (s->overlay.on) {
		overlay_key(s, key);
	} else if (key->code == KEY_MOUSE) {
		layout_mouse(s, key);
	} else if (key->code == KEY_PASTE) {
		screen_focus(s, PANE_PROMPT);
		prompt_paste(key->bytes, key->len);
	} else if (s->focus != PANE_PROMPT) {
		pane_key(s, key);
	} else if (!prompt_key(s, key)) {
		prompt_feed(key->bytes, key->len);
	}
}

void screen_bytes(struct screen *s, const char *bytes, size_t len)
{
	input_add(&s->input, bytes, len);
}

bool screen_pump(struct screen *s, bool flush)
{
	struct key key;
	bool any = false;

	while (!s->over && input_next(&s->input, &key, flush)) {
		/* A key moves the selection by the layout of now. */
		layout_make(s);
		handle_key(s, &key);
		tour_update(s);
		any = true;
	}
	return any;
}

/* --- drawing --- */

void screen_draw(struct screen *s)
{
	canvas_clear(&s->canvas);
	layout_make(s);
	if (s->layout.too_small) {
		layout_too_small(s);
		return;
	}
	chains_draw(s);
	jobs_draw(s);
	log_draw(s);
	tour_draw(s);
	if (s->ask.question)
		ask_draw(s);
	else
		prompt_draw(s->layout.pane[PANE_PROMPT].y, s->focus ==
			    PANE_PROMPT, client_wants_more(s->client));
	layout_bars(s);
	overlay_draw(s);
	if (s->overlay.on)
		s->canvas.cursor_x = s->canvas.cursor_y = -1;
}
