/* human.h - one HMP line for somebody who has no console. */
#ifndef BLKMON_CONSOLE_HUMAN_H
#define BLKMON_CONSOLE_HUMAN_H

struct machine;

/* Runs an HMP line (no other syntax) and returns what it prints, notices left
 * out; the caller frees. Any thread; may block as the command does. */
char *human_line(struct machine *machine, const char *line);

#endif
