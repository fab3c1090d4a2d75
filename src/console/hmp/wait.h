/* wait.h - the end of a script. */
#ifndef BLKMON_CONSOLE_WAIT_H
#define BLKMON_CONSOLE_WAIT_H

#include "src/console/console.h"

/* Waits for all jobs. One that only a command could move on is cancelled
 * without pivot, which is said and counts as a failure, as does one that
 * fails. 0 or -1. */
int wait_end(struct console *c);

#endif
