/* progress.h - how far something is, as one row of a terminal, and as numbers
 * for a program.
 *
 * The row is drawn over itself some times a second and leaves nothing behind:
 *     commit web  ██████▌───── 52%  23.0M of 44.0M  20.1M/s  0:01
 * Numbers are lines "DONE TOTAL" in bytes, one for each percent. One thread.
 */
#ifndef BLKMON_CONSOLE_PROGRESS_H
#define BLKMON_CONSOLE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/util/str.h"

#define PROGRESS_SAMPLES 16

struct progress {
	int row_fd;		/* a terminal, or -1 */
	int numbers_fd;		/* or -1 */
	bool drawn;		/* the row is there */
	bool begun;
	int percent;		/* last told in numbers; -1 none */
	uint64_t drawn_ns;
	uint64_t total;		/* last shown */
	struct {
		uint64_t ns, done;
	} sample[PROGRESS_SAMPLES];	/* oldest first, over five seconds */
	unsigned samples;
};

/* @row_fd that is no terminal counts as -1. */
void progress_init(struct progress *p, int row_fd, int numbers_fd);
/* There is somebody to show it to; takes NULL. */
bool progress_wanted(const struct progress *p);
/* A total of 0 is not known yet, until it is all @over. */
void progress_show(struct progress *p, const char *what, uint64_t done,
		   uint64_t total, bool over);
/* Well: the last line of numbers says all of what was shown last. */
void progress_done(struct progress *p);
/* Takes the row away, so that a line can be written; takes NULL. */
void progress_hide(struct progress *p);
/* It is over, or something else begins; takes NULL. */
void progress_end(struct progress *p);

/* The row, at most @columns wide; @rate in bytes a second, 0 not known. */
void progress_text(struct str *out, const char *what, uint64_t done,
		   uint64_t total, uint64_t rate, unsigned columns,
		   bool ascii);

#endif
