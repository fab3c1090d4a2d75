/* script.h - the front end without a terminal: lines from a file, a pipe or
 * the command line; results on stdout, failed jobs on stderr, and so what is
 * said before the first line.
 */
#ifndef BLKMON_CONSOLE_SCRIPT_H
#define BLKMON_CONSOLE_SCRIPT_H

#include <stdbool.h>

#include "src/console/console.h"

struct script {
	struct console *console;	/* borrowed; its output becomes ours */
	bool echo;			/* "(blkmon) LINE" before each result */
	bool go_on;			/* behind a command that failed */
	bool failed;			/* a command or a job did */
	bool started;			/* what comes is a line's result */
};

void script_init(struct script *b, struct console *console);
/* Runs one line. False: the script is over (quit, an error, a signal). */
bool script_line(struct script *b, const char *line);
/* Runs the lines of a descriptor to its end. False as above. */
bool script_read(struct script *b, int fd);
/* What the end of a script asks: waits for the jobs. */
void script_end(struct script *b);

#endif
