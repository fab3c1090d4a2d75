/* line.h - the prompt without a screen: readline on a terminal.
 *
 * The thread that calls it blocks in poll() while it waits for keys, events
 * and signals; a command runs to its end before the next line is read.
 */
#ifndef BLKMON_UI_LINE_H
#define BLKMON_UI_LINE_H

#include "src/console/console.h"

/* From now on the console's output goes to the terminal. @yes: nothing is
 * asked about before it is done. */
void line_init(struct console *console, bool yes);
/* Reads and runs lines until quit, end of input, or a signal that ends us. */
void line_run(void);

#endif
