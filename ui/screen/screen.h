/* screen.h - the console on a whole terminal.
 *
 * The thread that calls it is the screen's: it blocks in poll() alone, does
 * all that curses and readline do, and talks to images only through a client
 * (client.h).
 */
#ifndef BLKMON_UI_SCREEN_H
#define BLKMON_UI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "src/console/console.h"
#include "src/qmp/channel.h"
#include "ui/draw/theme.h"

struct screen_options {
	enum theme_name theme;
	bool color;			/* else mono */
	bool ascii;
	bool mouse, bell, notify;	/* OSC 9 when a job ends */
	bool whole;			/* maps of all of the disk, at first */
	unsigned without;		/* columns: bits of chain_column */
	const char *told;		/* lines for the log, at first; NULL */
	bool tour;			/* the guided first minute */
	bool yes;			/* nothing is asked about */
	const char *log_file;		/* JSON lines; NULL: no */
	const char *script;		/* keys from this file, no display */
	const char *screenshot;		/* saved at the end of the script */
	unsigned columns, rows;		/* of a screen without a display */
	const char *fixed_time;		/* stands for every time; NULL */
	const char *const *first;	/* lines to run at the start */
	size_t first_count;
};

/* Can this terminal show it? False: use the line mode. */
bool screen_possible(void);

/* Runs until quit, or until a signal comes through @console's interrupt.
 * 0, or -1 after a fault was told on stderr. */
int screen_run(const struct screen_options *o, struct console *console,
	       struct channel *watch);

#endif
