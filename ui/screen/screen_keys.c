/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys and news: what comes in, and who gets it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/screen/brief.h"
#include "ui/screen/screen.h"
#include "ui/screen/screen_impl.h"

/* --- what the prompt tells --- */

static void take_line(void *arg, const char *line, bool written)
{
	struct screen *s = arg;

	if (written)
		sheet_focus(&s->sheet, s->sheet.back);
	screen_line(s, line);
}

static void take_search(void *arg, const char *text)
{
	struct sheet *s = &((struct screen *)arg)->sheet;

	free(s->search);
	s->search = mem_dup(text);
	if (s->search_pane == PANE_CHAINS)
		chains_filter(s, text);
	else if (*text)
		log_search(s, text, 1, true);
}

static void search_is_over(void *arg)
{
	struct screen *s = arg;

	sheet_focus(&s->sheet, s->sheet.search_pane);
}

static void say_for_prompt(void *arg, const char *text)
{
	struct screen *s = arg;

	sheet_say(&s->sheet, LOG_SCREEN, "%s", text);
}

static void message_for_prompt(void *arg, const char *text)
{
	struct screen *s = arg;

	sheet_message(&s->sheet, "%s", text);
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
		.ops = &prompt_ops, .arg = s, .canvas = &s->sheet.canvas,
		.picture = &s->picture.channel,
		.news_fd = client_fd(s->client),
		.plain = s->options->script,
	};

	picture_init(&s->picture, &s->sheet.jobs, &s->sheet.shape);
	prompt_init(&host);
}

/* --- beginning and end --- */

static void screen_tell(struct screen *s, const char *lines)
{
	for (size_t len; lines && *lines; lines += len + (lines[len] != '\0')) {
		len = strcspn(lines, "\n");
		sheet_say(&s->sheet, LOG_ERROR, "%.*s", (int)len, lines);
	}
}

void screen_init(struct screen *s, const struct screen_options *o,
		 struct console *console, struct channel *watch)
{
	*s = (struct screen) { .options = o };
	sheet_init(&s->sheet, o->columns, o->rows, o->ascii);
	s->sheet.fixed_time = o->fixed_time;
	s->sheet.step = o->tour;
	s->sheet.chains.whole = o->whole;
	s->sheet.chains.without = o->without;
	screen_tell(s, o->told);
	s->client = s->sheet.client = client_new(console, watch);
	open_prompt(s);
}

void screen_release(struct screen *s)
{
	prompt_release();
	client_free(s->client);
	ask_release(&s->ask);
	menu_close(&s->menu);
	sheet_release(&s->sheet);
	input_release(&s->input);
	str_release(&s->held);
	str_release(&s->whole);
	panel_close(&s->panel, &s->sheet);
	free(s->title);
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
	case CONSOLE_HINT:
		return LOG_OUTPUT;
	default:
		return line->error ? LOG_ERROR : LOG_OUTPUT;
	}
}

static void take_line_of(struct screen *s, const struct client_line *line)
{
	enum log_kind kind = log_kind_of(line);
	struct str brief = STR_INIT;
	bool shorter = kind == LOG_NOTICE &&
		brief_notice(&s->sheet, line->text, &brief, &kind);

	log_add(&s->sheet.log, line->wall_us, kind,
		shorter ? str_get(&brief) : line->text);
	str_release(&brief);
}

static void take_lines(struct screen *s)
{
	struct client_line *line = client_lines(s->client), *next;

	for (; line; line = next) {
		next = line->next;
		take_line_of(s, line);
		free(line);
	}
}

static void take_shape(struct screen *s)
{
	struct shape *shape = client_shape(s->client);
	struct shape *before = s->sheet.shape;

	if (shape == before) {
		shape_put(shape);
		return;
	}
	s->sheet.shape = shape;
	place_row_index(&s->sheet);
	chains_update(&s->sheet, before);
	panel_shape(&s->panel, s, before);
	shape_put(before);
}

/* Rings once for each job that ends, and when one gets ready. */
static void hear_ends(struct screen *s)
{
	const struct view_jobs *jobs = &s->sheet.jobs;
	size_t ended = jobs->n - jobs_living(&s->sheet);

	for (size_t i = 0; i < jobs->n; i++)
		ended += jobs->list[i].end == JOB_LIVES &&
			jobs->list[i].ready;
	s->ring |= ended > s->ended;
	s->ended = ended;
}

static void take_history(struct screen *s)
{
	json_t *list = client_history(s->client);

	if (list)
		overlay_history(&s->sheet, list);
	json_decref(list);
}

void screen_update(struct screen *s)
{
	size_t jobs = s->sheet.jobs.n;

	client_seen(s->client);
	prompt_news(s->sheet.focus == PANE_PROMPT);
	take_lines(s);
	client_jobs(s->client, &s->sheet.jobs);
	take_shape(s);
	client_uses(s->client, &s->sheet.uses);
	take_history(s);
	screen_planned(s);
	panel_planned(&s->panel, s);
	json_decref(s->sheet.places);
	s->sheet.places = client_places(s->client);
	place_row_index(&s->sheet);
	if (s->sheet.jobs.n > jobs)
		s->sheet.jobs_pane.selected = s->sheet.jobs.n - 1;
	hear_ends(s);
	tour_update(&s->sheet);
	s->over |= client_over(s->client);
}

/* --- keys --- */

static void leave_prompt(struct screen *s)
{
	if (prompt_is_searching() && s->sheet.search_pane == PANE_CHAINS)
		chains_filter(&s->sheet, NULL);
	if (prompt_is_searching() || *prompt_note())
		prompt_cancel();
	if (s->sheet.focus == PANE_PROMPT)
		sheet_focus(&s->sheet, s->sheet.back);
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
	enum action action = key_action(key->code, s->sheet.focus);

	if (key->code == KEY_ESC && s->sheet.chains.filter)
		chains_filter(&s->sheet, NULL);
	else if (key->code == KEY_ESC)
		s->sheet.step = 0;
	else if (action != ACTION_NONE)
		action_run(s, action);
	else if (key->code < KEY_NAMED)
		sheet_message(&s->sheet, "no such key here: %s lists the keys, "
			      "%s goes to the prompt", keys_name(ACTION_HELP),
			      keys_name(ACTION_PROMPT));
}

static void keys_answer(struct screen *s, const struct key *key)
{
	enum ask_answer answer = ask_key(&s->ask, key, s->reads);

	if (answer != ASK_NONE)
		screen_answer(s, answer == ASK_YES);
}

static void handle_key(struct screen *s, const struct key *key)
{
	if (s->ask.question) {
		keys_answer(s, key);
		return;
	}
	if (key->code != KEY_MOUSE || key->mouse != MOUSE_OTHER)
		sheet_message(&s->sheet, "%s", "");
	if (s->sheet.overlay.on) {
		if (!overlay_key(&s->sheet, key))
			action_run(s, key_action(key->code, PANE_CHAINS));
	} else if (s->menu.n) {
		action_run(s, menu_key(&s->menu, &s->sheet, key));
	} else if (s->panel.on) {
		panel_key(&s->panel, s, key);
	} else if (key->code == KEY_MOUSE) {
		mouse_key(s, key);
	} else if (key->code == KEY_PASTE) {
		sheet_focus(&s->sheet, PANE_PROMPT);
		prompt_paste(key->bytes, key->len);
	} else if (s->sheet.focus != PANE_PROMPT) {
		pane_key(s, key);
	} else if (!prompt_key(s, key)) {
		prompt_feed(key->bytes, key->len);
	}
}

void screen_bytes(struct screen *s, const char *bytes, size_t len)
{
	s->reads++;
	input_add(&s->input, bytes, len);
	if (s->planning && memchr(bytes, KEY_CTRL_C, len))
		screen_forget_line(s);
}

/* What comes behind a line waits until it is known what that would do: it may
 * be the answer. */
bool screen_pump(struct screen *s, bool flush)
{
	struct key key;
	bool any = false;

	while (!s->over && !s->planning && input_next(&s->input, &key, flush)) {
		/* A key moves the selection by the layout of now. */
		layout_make(&s->sheet);
		client_look(s->client);
		handle_key(s, &key);
		tour_update(&s->sheet);
		any = true;
	}
	return any;
}
