/* canvas.h - a screen as cells in memory.
 *
 * All drawing goes here, so that the same code serves a terminal (tty.c), the
 * tests and screenshots without one. Coordinates that lie outside are left
 * out, never an error. One thread.
 */
#ifndef BLKMON_UI_CANVAS_H
#define BLKMON_UI_CANVAS_H

#include <stdbool.h>
#include <stdio.h>
#include <wchar.h>

#include "ui/draw/theme.h"

#define CELL_CHARS 3	/* a character and what combines with it */

struct cell {
	wchar_t ch[CELL_CHARS];	/* ends with a NUL unless full */
	unsigned char width;	/* 1, 2; 0: right half of the one before */
	unsigned char style;	/* enum style */
	bool selected;
};

struct canvas {
	unsigned w, h;
	struct cell *cells;	/* row by row */
	bool ascii;		/* glyphs of 7 bits only */
	int cursor_x, cursor_y;	/* -1: not shown */
};

void canvas_init(struct canvas *c, unsigned w, unsigned h);
void canvas_release(struct canvas *c);
void canvas_resize(struct canvas *c, unsigned w, unsigned h);
void canvas_clear(struct canvas *c);

/* Writes from column @x on, at most @max columns. Returns columns used. */
unsigned canvas_put(struct canvas *c, unsigned x, unsigned y, unsigned max,
		    enum style style, const char *text);
unsigned canvas_putf(struct canvas *c, unsigned x, unsigned y, unsigned max,
		     enum style style, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* Over as many rows of @w columns as it takes, text_rows(). Returns columns
 * used of the last. */
unsigned canvas_wrap(struct canvas *c, unsigned x, unsigned y, unsigned w,
		     enum style style, const char *text);
/* Puts it so that it ends in front of column @x. */
unsigned canvas_put_right(struct canvas *c, unsigned x, unsigned y,
			  unsigned max, enum style style, const char *text);
unsigned canvas_glyph(struct canvas *c, unsigned x, unsigned y,
		      enum style style, enum glyph glyph);
/* @text, one column wide, @n times. */
void canvas_repeat(struct canvas *c, unsigned x, unsigned y, unsigned n,
		   enum style style, const char *text);
/* Changes how cells look that are there. */
void canvas_select(struct canvas *c, unsigned x, unsigned y, unsigned n);
void canvas_restyle(struct canvas *c, unsigned x, unsigned y, unsigned n,
		    enum style style);

/* Where @needle is in @text, which stands there from @x on. */
void canvas_mark(struct canvas *c, unsigned x, unsigned y, const char *text,
		 const char *needle);

bool cell_equal(const struct cell *a, const struct cell *b);

/* The screen as lines of text; with its colours as a terminal wants them. */
void canvas_write_text(const struct canvas *c, FILE *out);
void canvas_write_ansi(const struct canvas *c, enum theme_name theme,
		       FILE *out);
/* To a file, as its name says: ".ans" with colours. 0 or -errno. */
int canvas_save(const struct canvas *c, enum theme_name theme,
		const char *path);

#endif
