/* screen_impl.h - the state of the screen, and what its files share.
 *
 * From the ground up: screen.c draws, screen_line.c runs lines, action.c and
 * mouse.c do what keys mean, screen_keys.c takes keys and news; screen_loop.c
 * feeds it from a terminal, replay.c from a file. One thread.
 */
#ifndef BLKMON_UI_SCREEN_IMPL_H
#define BLKMON_UI_SCREEN_IMPL_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/util/str.h"
#include "src/console/console.h"
#include "ui/client/client.h"
#include "ui/keys/input.h"
#include "ui/keys/keys.h"
#include "ui/pane/sheet.h"
#include "ui/prompt/prompt.h"
#include "ui/screen/ask.h"
#include "ui/screen/menu.h"
#include "ui/screen/panel.h"
#include "ui/view/picture.h"

struct screen_options;

struct screen {
	const struct screen_options *options;
	struct sheet sheet;
	struct client *client;
	struct picture picture;		/* of the sheet, for the prompt */
	struct input input;
	struct ask ask;
	struct menu menu;
	struct panel panel;
	struct str whole;		/* lines that are looked at */
	bool planning;			/* what they would do is asked */
	bool more;			/* they go on in the next line */
	struct str held;		/* lines behind them */
	unsigned reads;			/* of the terminal */
	bool over;
	bool suspend, redraw;		/* wishes to the loop */
	size_t ended;			/* jobs whose end was rung */
	bool ring;
	char *title;			/* of the terminal */
};

/* screen.c */
void screen_draw(struct screen *s);	/* onto the canvas */
void screen_shoot(struct screen *s, const char *path);

/* screen_line.c: a line of the prompt was entered. */
void screen_line(struct screen *s, const char *line);
/* Runs it without asking: it stands on the command line of the program. */
void screen_first(struct screen *s, const char *line);
/* Runs it without asking: it has been. */
void screen_do(struct screen *s, const char *line);
/* What was asked about is wanted, or not. */
void screen_answer(struct screen *s, bool yes);
/* Takes in what lines would do, once that is known. */
void screen_planned(struct screen *s);
/* Gives up the lines that are looked at, and those behind them. */
void screen_forget_line(struct screen *s);
/* What was typed goes on in the next line. */
bool screen_wants_more(const struct screen *s);

/* action.c */
void action_run(struct screen *s, enum action action);

/* mouse.c */
void mouse_key(struct screen *s, const struct key *key);

/* screen_keys.c */
void screen_init(struct screen *s, const struct screen_options *o,
		 struct console *console, struct channel *watch);
void screen_release(struct screen *s);
void screen_update(struct screen *s);	/* takes in what the client has */
void screen_bytes(struct screen *s, const char *bytes, size_t len);
bool screen_pump(struct screen *s, bool flush);	/* true: a key was handled */

#endif
