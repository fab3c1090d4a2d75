/* console_run.h - from a line as it is typed to what it does. */
#ifndef BLKMON_CONSOLE_RUN_H
#define BLKMON_CONSOLE_RUN_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/str.h"

struct channel;
struct console;

/* Runs one line (without its newline). 0, or -1 if what it asked for failed;
 * the reason is printed. A blank line and a comment are nothing. */
int console_run(struct console *c, const char *line);
/* Nothing is run: a list of [{"request": R, "reply": what x-blkmon-plan says}]
 * of the requests in @line that can't be taken back (with @all, of those that
 * start, complete or undo something), the caller's; a request to quit has no
 * reply. What is said of faults goes where the console writes. No events are
 * taken in, so that @c may borrow the channel of another. What goes on over
 * several lines is remembered: @c has to be given all of them, and by them
 * alone console_is_pending() is changed. */
json_t *console_ask(struct console *c, const char *line, bool all);
/* The same of whole lines, with newlines between them, read by a console of its
 * own that borrows @channel. What is said of faults is added to @said. *more:
 * the lines do not end what they began. */
json_t *console_ask_lines(struct channel *channel, const char *lines,
			  bool all, struct str *said, bool *more);
/* False: @line, which begins nothing that goes on, needs no console_ask(). */
bool console_may_ask(const char *line);
/* Runs a line of HMP, whatever the line looks like. */
int console_run_hmp(struct console *c, const char *line);

#endif
