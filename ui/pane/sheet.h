/* sheet.h - the sheet that panes are drawn on, and what they show.
 *
 * Everything in here is a pane's or is shown by one: a pane knows neither the
 * prompt nor what becomes of keys that it has no use for. One thread.
 */
#ifndef BLKMON_UI_SHEET_H
#define BLKMON_UI_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util/str.h"
#include "ui/client/client.h"
#include "ui/draw/canvas.h"
#include "ui/keys/input.h"
#include "ui/keys/keys.h"
#include "ui/pane/log.h"
#include "ui/view/view.h"
#include "ui/view/view_use.h"

#define SHEET_COLUMNS 60	/* what it needs at least */
#define SHEET_ROWS 16

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
	uint64_t found;		/* the same of the line last found; 0 none, or
				 * one has moved since */
	unsigned page;		/* lines that were visible */
};

/* A text that lies over the panes. */
struct overlay {
	bool on;
	char *title;
	struct str text;
	unsigned first, lines, page;	/* rows, as wrapped */
	unsigned w;			/* columns of a row */
	char *copy;			/* what y copies; NULL nothing */
	struct str find;		/* what is looked for */
	unsigned found;			/* the row where it was */
	bool typing;			/* that is being typed */
	const char *says;		/* in the last line, until a key */
};

struct sheet {
	struct canvas canvas;
	struct layout layout;
	struct client *client;		/* borrowed; knows the maps */
	struct shape *shape;		/* NULL before the first */
	struct view_jobs jobs;
	struct view_uses uses;
	struct log log;
	const char *fixed_time;		/* stands for every time; NULL */
	enum pane focus, back;		/* back: where a line returns to */
	bool zoom;
	struct chains_pane chains;
	struct jobs_pane jobs_pane;
	struct log_pane log_pane;
	struct overlay overlay;
	char *search;			/* what n and N look for */
	enum pane search_pane;
	char *message;			/* in the last line, until a key */
	char *copy;			/* for the terminal's clipboard */
	unsigned step;			/* of the tour; 0: none */
};

/* sheet.c */
void sheet_init(struct sheet *s, unsigned columns, unsigned rows, bool ascii);
void sheet_release(struct sheet *s);
/* A line for the log. */
void sheet_say(struct sheet *s, enum log_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void sheet_message(struct sheet *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sheet_focus(struct sheet *s, enum pane pane);
/* The terminal is given it as its clipboard. */
void sheet_copy(struct sheet *s, const char *text);
void sheet_uncover(struct sheet *s);	/* drops the overlay */
/* The row of a list of @n to be the first of @visible ones, so that @selected
 * is seen, and what stands before and behind it where there is room; @first
 * if that will do. */
size_t sheet_scroll(size_t first, size_t selected, size_t n,
		    unsigned visible);

/* layout.c */
void layout_make(struct sheet *s);
/* The columns of a note beside @title. */
unsigned layout_note_room(const struct sheet *s, const char *title);
/* The head of a pane; @note stands at its right end. */
void layout_head(struct sheet *s, enum pane pane, const char *title,
		 const char *note);

/* pane_chains.c */
void chains_draw(struct sheet *s);
/* A new shape has come; @before is the old one, or NULL. */
void chains_update(struct sheet *s, const struct shape *before);
bool chains_act(struct sheet *s, enum action action);
void chains_click(struct sheet *s, unsigned row);
void chains_search(struct sheet *s, const char *text, int step, bool here);
const struct view_image *chains_selected(const struct sheet *s);
/* What is to be known of an image, in words: "active layer of disk0, ...". */
void chains_words(const struct sheet *s, const struct view_image *v,
		  struct str *out);

/* pane_jobs.c */
void jobs_draw(struct sheet *s);
bool jobs_act(struct sheet *s, enum action action);
void jobs_click(struct sheet *s, unsigned row);
const struct view_job *jobs_selected(const struct sheet *s);
const struct view_job *jobs_find(const struct sheet *s, const char *id);
size_t jobs_living(const struct sheet *s);

/* pane_log.c */
void log_draw(struct sheet *s);
bool log_act(struct sheet *s, enum action action);
/* The last line that is seen; NULL if there is none. */
const char *log_last(const struct sheet *s);
void log_search(struct sheet *s, const char *text, int step, bool here);

/* overlay.c */
void overlay_help(struct sheet *s);
void overlay_details(struct sheet *s, const struct view_image *v);
/* @list is of x-blkmon-query-history; no array: it could not be read. */
void overlay_history(struct sheet *s, const json_t *list);
/* False: the key is not for the overlay, though it is there. */
bool overlay_key(struct sheet *s, const struct key *key);
void overlay_draw(struct sheet *s);

/* tour.c */
void tour_draw(struct sheet *s);
void tour_update(struct sheet *s);
unsigned tour_rows(const struct sheet *s);

#endif
