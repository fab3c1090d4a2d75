/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What keys do. */
#include <stdlib.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/screen/compose.h"
#include "ui/screen/screen_impl.h"

/* --- searching --- */

static void search_again(struct sheet *s, int step)
{
	if (!s->search || !*s->search)
		sheet_message(s, "/ searches");
	else if (s->search_pane == PANE_LOG)
		log_search(s, s->search, step, false);
	else
		chains_search(s, s->search, step);
}

static void start_search(struct sheet *s)
{
	s->search_pane = s->focus == PANE_LOG ? PANE_LOG : PANE_CHAINS;
	prompt_search("/");
	sheet_focus(s, PANE_PROMPT);
}

static void action_search(struct sheet *s, enum action action)
{
	if (action == ACTION_SEARCH)
		start_search(s);
	else
		search_again(s, action == ACTION_AGAIN ? 1 : -1);
}

/* --- panes --- */

static void next_pane(struct sheet *s, int step)
{
	int at = (int)s->focus + step;

	if (s->focus == PANE_PROMPT)
		at = (int)s->back;
	at = (at + PANE_COUNT) % PANE_COUNT;
	if (at == PANE_JOBS && !layout_has_jobs(s))
		at = (at + step + PANE_COUNT) % PANE_COUNT;
	sheet_focus(s, (enum pane)at);
}

static void show_details(struct sheet *s)
{
	const struct view_image *v = chains_selected(s);
	const struct view_job *job = jobs_selected(s);
	int at;

	if (s->focus == PANE_JOBS) {
		at = job ? shape_find(s->shape, job->top) : -1;
		v = at < 0 ? NULL : &s->shape->images[at];
	}
	if (v)
		overlay_details(s, v);
}

/* The path of an image, a line that starts such a job, a line of the log; the
 * caller's, NULL: there is none. */
static char *row_text(const struct sheet *s)
{
	const struct view_image *v = chains_selected(s);
	const struct view_job *job = jobs_selected(s);

	if (s->focus == PANE_LOG)
		return mem_dup(log_last(s));
	if (s->focus == PANE_JOBS)
		return job ? compose_again(s, job) : NULL;
	return v ? mem_dup(v->full) : NULL;
}

static void copy_row(struct sheet *s)
{
	char *text = row_text(s), *safe;

	if (!text) {
		sheet_message(s, "nothing to copy");
		return;
	}
	sheet_copy(s, text);
	safe = text_safe(text);
	sheet_message(s, "to the terminal's clipboard: %s", safe);
	free(safe);
	free(text);
}

static void interrupt(struct sheet *s)
{
	if (*prompt_line() || prompt_is_searching()) {
		prompt_cancel();
	} else if (client_busy(s->client)) {
		client_interrupt(s->client);
	} else {
		sheet_message(s, "nothing to interrupt; %s cancels a job, %s "
			      "leaves", keys_name(ACTION_CANCEL),
			      keys_name(ACTION_QUIT));
	}
}

static void action_quit(struct screen *s)
{
	if (client_busy(s->client))
		client_interrupt(s->client);
	screen_line(s, "quit");
}

/* What the pane itself has no use for. */
static void general(struct screen *s, enum action action)
{
	switch (action) {
	case ACTION_NEXT_PANE:
	case ACTION_RIGHT:
	case ACTION_PREVIOUS_PANE:
	case ACTION_LEFT:
		next_pane(&s->sheet, action == ACTION_NEXT_PANE ||
			  action == ACTION_RIGHT ? 1 : -1);
		break;
	case ACTION_PROMPT:
		sheet_focus(&s->sheet, PANE_PROMPT);
		break;
	case ACTION_DETAILS:
		show_details(&s->sheet);
		break;
	case ACTION_COPY:
		copy_row(&s->sheet);
		break;
	case ACTION_MENU:
		menu_open(&s->menu, &s->sheet);
		break;
	case ACTION_ALL:
		menu_open_all(&s->menu, &s->sheet);
		break;
	case ACTION_SEARCH:
	case ACTION_AGAIN:
	case ACTION_BACK:
		action_search(&s->sheet, action);
		break;
	case ACTION_FILTER:
	case ACTION_FOLLOW:
		log_act(&s->sheet, action);
		break;
	case ACTION_ZOOM:
		s->sheet.zoom = !s->sheet.zoom;
		break;
	case ACTION_REDRAW:
		s->redraw = true;
		client_refresh(s->client);
		break;
	case ACTION_SUSPEND:
		s->suspend = true;
		break;
	case ACTION_INTERRUPT:
		if (s->planning)
			screen_forget_line(s);
		else
			interrupt(&s->sheet);
		break;
	case ACTION_HELP:
		overlay_help(&s->sheet);
		break;
	case ACTION_HISTORY:
		client_ask_history(s->client);
		break;
	case ACTION_QUIT:
		action_quit(s);
		break;
	default:
		break;
	}
}

void action_run(struct screen *s, enum action action)
{
	bool done = false;

	if (action == ACTION_NONE || panel_open(&s->panel, s, action) ||
	    compose_line(&s->sheet, action))
		return;
	if (s->sheet.focus == PANE_CHAINS)
		done = chains_act(&s->sheet, action);
	else if (s->sheet.focus == PANE_JOBS)
		done = jobs_act(&s->sheet, action);
	else if (s->sheet.focus == PANE_LOG || action == ACTION_PAGE_UP ||
		 action == ACTION_PAGE_DOWN)
		done = log_act(&s->sheet, action);
	if (!done)
		general(s, action);
}
