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

#define CHAINS_HEAD 2u		/* rows: title and names of the columns */

struct area {
	unsigned y, h;		/* h 0: not shown */
	unsigned x, w;
};

struct layout {
	bool too_small;
	struct area pane[PANE_COUNT];	/* with their heads */
	struct area guests, details, tour, hints;
};

/* What may be left out of the tree, in the order of CHAIN_COLUMNS. */
enum chain_column {
	COLUMN_FORMAT, COLUMN_SIZE, COLUMN_DISK, COLUMN_DEAD, COLUMN_AGE,
	COLUMN_COUNT
};
#define CHAIN_COLUMNS "format|size|disk|dead|age"

enum chain_sort { SORT_TREE, SORT_DISK, SORT_DEAD, SORT_AGE, SORT_COUNT };

/* Images [image, image + count): one, or those of a fold; or the head of a
 * place, which is none of them (count 0). */
struct chain_row {
	size_t image, count;
	int place;		/* of a head; -1: it is none */
};

struct chains_pane {
	char *key;		/* selected image, view_key(); NULL none yet */
	char *drive;		/* whose active layer that is; or NULL */
	size_t image;		/* its place in the shape, or of the first
				 * image of the fold that is selected */
	bool on_fold;
	char *place;		/* whose head is selected; NULL: no head is */
	struct chain_row *rows;	/* rows.h */
	size_t row_count;
	size_t selected;	/* a row */
	size_t first;		/* first visible row */
	char *filter;		/* only what matches is shown; NULL: all */
	enum chain_sort sort;
	json_t *folds;		/* by node or place: true: open */
	bool whole;		/* maps leave nothing of the disk out */
	unsigned without;	/* these columns: bits of enum chain_column */
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

/* What is at a place. */
struct place_sum {
	unsigned drives, images, jobs;
	bool fault;
};

struct sheet {
	struct canvas canvas;
	struct layout layout;
	struct client *client;		/* borrowed; knows the maps */
	struct shape *shape;		/* NULL before the first */
	struct view_jobs jobs;
	struct view_uses uses;
	json_t *places;			/* where all that is; NULL: here */
	int *place_of;			/* of each image of the shape; see
					   place_row_index() */
	struct place_sum *place_sums;	/* of each place, without jobs */
	size_t placed, summed;		/* how many those are */
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
	struct {
		const json_t *shown;	/* borrowed; NULL none */
		unsigned rows;		/* wanted in place of the log; 0 none */
	} plan;
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
/* Is there a pane of jobs? If not, the tree says how far they are. */
bool layout_has_jobs(const struct sheet *s);
/* The columns of a note beside @title. */
unsigned layout_note_room(const struct area *area, const char *title);
/* The head of an area; @note stands at its right end. */
void layout_rule(struct sheet *s, const struct area *area, bool focus,
		 const char *title, const char *note);
/* The same of a pane. */
void layout_head(struct sheet *s, enum pane pane, const char *title,
		 const char *note);

/* pane_chains.c */
void chains_draw(struct sheet *s);
/* A new shape has come; @before is the old one, or NULL. */
void chains_update(struct sheet *s, const struct shape *before);
bool chains_act(struct sheet *s, enum action action);
void chains_click(struct sheet *s, unsigned row);
/* Narrows the tree to what matches; "" or NULL: shows all again. */
void chains_filter(struct sheet *s, const char *text);
/* To the next match, round the list. */
void chains_search(struct sheet *s, const char *text, int step);
bool chains_matches(const struct view_image *v, const char *text);
/* The fold that is selected: its first image, and *n of them; NULL: none. */
const struct view_image *chains_selected_fold(const struct sheet *s, size_t *n);
/* NULL: there is none, or a fold is selected. */
const struct view_image *chains_selected(const struct sheet *s);
/* Rows of images in the pane, as laid out. */
unsigned chains_rows(const struct sheet *s);
/* Seconds since the file was written; false: not known. */
bool chains_age(const struct sheet *s, const struct view_image *v,
		uint64_t *age);

/* marks.c - what is to be known of an image. */
/* In words: "active layer of disk0, ...". */
void chains_words(const struct sheet *s, const struct view_image *v,
		  struct str *out);
/* The living job that works on it; NULL none. */
const struct view_job *chains_job(const struct sheet *s,
				  const struct view_image *v);
/* As letters from column @x on, at most @max. */
void chains_draw_marks(struct sheet *s, const struct view_image *v,
		       unsigned x, unsigned y, unsigned max);

/* closed.c - files that are not open. */
/* What an orphan names that is not there: where that was looked for. */
const char *chains_lacks(const struct view_image *v);
/* How a file that is not open stands to what is: "not open, ...". */
void chains_role_words(const struct view_image *v, struct str *out);
/* A row of them, from column @x on where others have their map. */
void closed_draw(struct sheet *s, const struct chain_row *row, unsigned x,
		 unsigned w, unsigned y);

/* place_row.c */
/* To be called when the shape or the places are other ones: finds out what is
 * where. */
void place_row_index(struct sheet *s);

/* plan_marks.c: of the plan that is shown. */
/* "T", "B", or "". */
const char *plan_mark(const struct sheet *s, const struct view_image *v);
/* Would it spoil this file, which is not open? */
bool plan_spoils(const struct sheet *s, const struct view_image *v);
/* Into the map of an image, of @w cells from column @x on. */
void plan_draw_cells(struct sheet *s, const struct view_image *v, unsigned x,
		     unsigned y, unsigned w);

/* pane_jobs.c */
void jobs_draw(struct sheet *s);
unsigned jobs_rows(const struct sheet *s);	/* without the head */
bool jobs_act(struct sheet *s, enum action action);
void jobs_click(struct sheet *s, unsigned row);
const struct view_job *jobs_selected(const struct sheet *s);
const struct view_job *jobs_find(const struct sheet *s, const char *id);
size_t jobs_living(const struct sheet *s);

/* pane_guests.c */
void guests_draw(struct sheet *s);

/* details.c: of the selected image, in layout.details. */
void details_draw(struct sheet *s);

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
