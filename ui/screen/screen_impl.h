/* screen_impl.h - what the rooms of the screen share. One thread. */
#ifndef BLKMON_UI_SCREEN_IMPL_H
#define BLKMON_UI_SCREEN_IMPL_H

#include "engine/util/str.h"
#include "ui/client/client.h"
#include "ui/draw/canvas.h"
#include "ui/keys/input.h"
#include "ui/keys/keys.h"
#include "ui/pane/log.h"
#include "ui/prompt/prompt.h"
#include "ui/screen/screen.h"
#include "ui/view/picture.h"
#include "ui/view/view.h"

#define SCREEN_COLUMNS 60	/* what it needs at least */
#define SCREEN_ROWS 16

struct area {
	unsigned y, h;		/* full width; h 0: not shown */
};

struct layout {
	bool too_small;
	struct area pane[PANE_COUNT];	/* with their heads */
	struct area tour, hints;
};

struct chains_pane {
	char *node;		/* selected image, by name; NULL none yet */
	char *drive;		/* whose active layer that is; or NULL */
	size_t selected;	/* where it was last */
	size_t first;		/* first visible row */
	unsigned strip_x, strip_w;	/* as drawn */
};

struct jobs_pane {
	size_t selected, first;
};

struct log_pane {
	bool follow;
	uint64_t bottom;	/* number of the last visible line + 1 */
	unsigned page;		/* lines that were visible */
};

/* A text that lies over the panes. */
struct overlay {
	bool on;
	char *title;
	struct str text;
	unsigned first, lines, page;
};

/* A question in place of the prompt; no is the default. */
struct ask {
	char *question, *line;	/* NULL: none */
};

struct screen {
	const struct screen_options *options;
	struct canvas canvas;
	struct layout layout;
	struct client *client;
	struct shape *shape;		/* NULL before the first */
	struct view_jobs jobs;
	struct view_uses uses;
	struct picture picture;		/* of the same, for the prompt */
	struct log log;
	struct input input;
	enum pane focus, back;		/* back: where a line returns to */
	bool zoom;
	struct chains_pane chains;
	struct jobs_pane jobs_pane;
	struct log_pane log_pane;
	struct overlay overlay;
	struct ask ask;
	char *search;			/* what n and N look for */
	enum pane search_pane;
	char *message;			/* in the last line, until a key */
	struct str held;		/* lines behind one asked about */
	bool over;
	bool suspend, redraw;		/* wishes to the loop */
	unsigned step;			/* of the tour; 0: none */
	size_t ended;			/* jobs whose end was rung */
	bool ring;
	char *title;			/* of the terminal */
};

/* screen.c */
void screen_init(struct screen *s, const struct screen_options *o,
		 struct console *console, struct channel *watch);
void screen_release(struct screen *s);
void screen_say(struct screen *s, enum log_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void screen_message(struct screen *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void screen_update(struct screen *s);	/* takes in what the client has */
void screen_draw(struct screen *s);	/* onto the canvas */
void screen_bytes(struct screen *s, const char *bytes, size_t len);
bool screen_pump(struct screen *s, bool flush);	/* true: a key was handled */
void screen_shoot(struct screen *s, const char *path);
/* A line of the prompt was entered. */
void screen_line(struct screen *s, const char *line);
/* Runs it without asking: it stands on the command line of the program. */
void screen_first(struct screen *s, const char *line);
/* The line that was asked about is wanted, or not. */
void screen_answer(struct screen *s, const char *line, bool yes);
void screen_focus(struct screen *s, enum pane pane);

/* layout.c */
void layout_make(struct screen *s);
/* The head of a pane; @note stands at its right end. */
void layout_head(struct screen *s, enum pane pane, const char *title,
		 const char *note);
void layout_bars(struct screen *s);	/* first and last line */
void layout_too_small(struct screen *s);
void layout_mouse(struct screen *s, const struct key *key);

/* pane_chains.c */
void chains_draw(struct screen *s);
void chains_update(struct screen *s);	/* a new shape has come */
bool chains_act(struct screen *s, enum action action);
void chains_click(struct screen *s, unsigned row);
void chains_search(struct screen *s, const char *text, int step, bool here);
const struct view_image *chains_selected(const struct screen *s);
/* What is to be known of an image, in words: "active layer of disk0, ...". */
void chains_words(const struct screen *s, const struct view_image *v,
		  struct str *out);

/* pane_jobs.c */
void jobs_draw(struct screen *s);
bool jobs_act(struct screen *s, enum action action);
void jobs_click(struct screen *s, unsigned row);
const struct view_job *jobs_selected(const struct screen *s);
/* The job that an action is about: the selected one, or that of the selected
 * image's drive. NULL: none. */
const struct view_job *jobs_meant(const struct screen *s);
const struct view_job *jobs_find(const struct screen *s, const char *id);
size_t jobs_living(const struct screen *s);

/* pane_log.c */
void log_draw(struct screen *s);
bool log_act(struct screen *s, enum action action);
void log_search(struct screen *s, const char *text, int step, bool here);

/* action.c */
void action_run(struct screen *s, enum action action);

/* ask.c: true if the line is asked about before it runs. */
bool ask_first(struct screen *s, const char *line);
void ask_key(struct screen *s, const struct key *key);
void ask_draw(struct screen *s);
void ask_release(struct screen *s);

/* overlay.c */
void overlay_help(struct screen *s);
void overlay_details(struct screen *s, const struct view_image *v);
void overlay_key(struct screen *s, const struct key *key);
void overlay_draw(struct screen *s);
void overlay_close(struct screen *s);

/* tour.c */
void tour_draw(struct screen *s);
void tour_update(struct screen *s);
unsigned tour_rows(const struct screen *s);

#endif
