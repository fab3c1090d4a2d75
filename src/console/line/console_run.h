/* console_run.h - from a line as it is typed to what it does. */
#ifndef BLKMON_CONSOLE_RUN_H
#define BLKMON_CONSOLE_RUN_H

struct console;

/* Runs one line (without its newline). 0, or -1 if what it asked for failed;
 * the reason is printed. A blank line and a comment are nothing. */
int console_run(struct console *c, const char *line);
/* The same for HMP alone, whatever the line looks like. */
int console_run_hmp(struct console *c, const char *line);

#endif
