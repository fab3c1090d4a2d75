/* serve.h - the front end without lines: whatever is wanted comes by a
 * connection; what an operator should know goes to stderr, the log of a
 * daemon.
 */
#ifndef BLKMON_CONSOLE_SERVE_H
#define BLKMON_CONSOLE_SERVE_H

#include "src/console/console.h"

/* From now on the console's output goes to stderr. */
void serve_init(struct console *console);
/* Until the program is told to quit, or a signal comes, or @end (-1: none) is
 * readable: that is the end of a script, whose jobs are waited for. 0, or -1
 * if one of these failed. */
int serve_run(struct console *console, int end);

#endif
