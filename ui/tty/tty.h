/* tty.h - the terminal that a canvas is painted on, through curses.
 *
 * The only room that knows curses. Input is not curses' affair: bytes are read
 * from tty_fd() by whoever polls it.
 */
#ifndef BLKMON_UI_TTY_H
#define BLKMON_UI_TTY_H

#include <stdbool.h>

#include "engine/util/str.h"
#include "ui/draw/canvas.h"
#include "ui/draw/theme.h"

/* Does $TERM name a terminal that can address its cells? */
bool tty_possible(void);

/* Takes the terminal over; from here until tty_close() the terminal is put
 * right whatever ends the program, but for SIGKILL. @color: where the terminal
 * has them; without, @theme is mono. What was typed while the terminal was
 * asked for its colour is added to @typed. 0, or -1. */
int tty_open(enum theme_name theme, bool color, bool mouse, struct str *typed);
void tty_close(void);
int tty_fd(void);
void tty_size(unsigned *w, unsigned *h);
/* The window has another size. */
void tty_resize(unsigned w, unsigned h);
/* Paints what has changed since the last time; all of it if @anew. */
void tty_paint(const struct canvas *c, bool anew);
/* Gives the terminal back and stops; returns when we go on. */
void tty_suspend(void);
/* Somebody else may have changed the terminal's modes. */
void tty_resume(void);
void tty_bell(void);
void tty_notify(const char *text);	/* OSC 9 */
bool tty_copy(const char *text);	/* OSC 52; false: no clipboard */
void tty_title(const char *text);	/* where the terminal has one */
/* Terminals without the glyphs, or without UTF-8. */
bool tty_is_ascii(void);

#endif
