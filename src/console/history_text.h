/* history_text.h - what jobs have done, in words. */
#ifndef BLKMON_CONSOLE_HISTORY_TEXT_H
#define BLKMON_CONSOLE_HISTORY_TEXT_H

#include <jansson.h>

#include "engine/util/str.h"

/* One entry of x-blkmon-query-history, fit for a terminal. */
struct history_row {
	char when[24];		/* local time, "2026-10-25 21:52:03" */
	char moved[8], time[16], rate[16];	/* "379M", "0:31", "12.2M/s";
						   "" not known */
	struct str job;
	struct str kind;
	struct str from;	/* name of the one file, or "5 layers" */
	struct str next;	/* name of the highest of them */
	struct str to;		/* name of the file; all three may be "" */
	struct str result;	/* "done", "failed: No space left on device" */
};

void history_row_init(struct history_row *row, const json_t *entry);
void history_row_release(struct history_row *row);

/* A table of all in the list, with its head; says so if there are none. */
void history_text(const json_t *list, struct str *out);

#endif
