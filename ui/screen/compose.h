/* compose.h - keys that change something.
 *
 * They make the line that does it, filled in from what is selected. What can
 * be planned is shown with its plan (panel.h); any other line is written into
 * the prompt with what it would do. Enter runs it.
 */
#ifndef BLKMON_UI_COMPOSE_H
#define BLKMON_UI_COMPOSE_H

#include "ui/pane/sheet.h"

/* A line that was not written yet. */
struct draft {
	struct str line;	/* empty: there is none */
	struct str note;	/* what it would do, or why there is none */
	bool plans;		/* that can be asked for more exactly */
	size_t speed_at;	/* in the line, where a speed can stand, and
				 * how much of it that replaces; 0: nowhere */
	size_t speed_len;
	const char *speed_pad;	/* what has to stand in front of it then */
};

#define DRAFT_INIT { .line = STR_INIT, .note = STR_INIT }

void draft_release(struct draft *d);
/* False if @action changes nothing: then @d stays as it was. */
bool compose_draft(const struct sheet *s, enum action action, struct draft *d);
/* The same of files that are not open. */
bool compose_files(const struct sheet *s, enum action action, struct draft *d);
/* The same of those that act on all drives or jobs. */
bool compose_all(const struct sheet *s, enum action action, struct draft *d);
/* Writes it into the prompt, or says why not. False as above. */
bool compose_line(struct sheet *s, enum action action);

/* A line that starts such a job as @job is; where its images have gone, its
 * name. The caller's. */
char *compose_again(const struct sheet *s, const struct view_job *job);

#endif
