/* panel.h - the plan: what a key would do, before it is done.
 *
 * It takes the place of the log, marks the images that it is about in the tree,
 * and has keys of its own. Nothing is run but what has been shown: who says so
 * is asked for again, and if it has changed meanwhile the new plan is shown in
 * its place.
 */
#ifndef BLKMON_UI_PANEL_H
#define BLKMON_UI_PANEL_H

#include "ui/pane/sheet.h"
#include "ui/screen/compose.h"

struct screen;

struct panel {
	bool on;
	struct draft draft;	/* the line, and what it is for */
	struct draft after;	/* empty, or what comes when this, its way
				   out, has been run or left */
	bool force;
	bool keep;		/* a way back, where it has one */
	uint64_t speed;		/* bytes a second; 0: no limit */
	bool asking;		/* what that would do */
	bool sure;		/* Enter: it is run if it is the same */
	json_t *asked;		/* what is shown; NULL: nothing yet */
	json_t *forced;		/* what force would do; NULL: no help */
	size_t jobs;		/* that lived when it was asked */
	unsigned first, rows;	/* of the text: first visible one, all */
	unsigned page;		/* rows that are seen */
	enum pane focus;	/* before it */
};

/* False: @action has no plan, and nothing was done. */
bool panel_open(struct panel *p, struct screen *s, enum action action);
void panel_close(struct panel *p, struct sheet *s);
void panel_key(struct panel *p, struct screen *s, const struct key *key);
/* Takes in the plan, once it is there; asks again when @before, the shape so
 * far, or the jobs are others now. */
void panel_planned(struct panel *p, struct screen *s);
void panel_shape(struct panel *p, struct screen *s,
		 const struct shape *before);

/* panel_draw.c */
/* How many rows it wants: before the layout is made. */
void panel_measure(struct panel *p, struct sheet *s);
void panel_draw(struct panel *p, struct sheet *s);
/* The key that the hint at column @at of the last line stands for; 0 none. */
int panel_hint_at(const struct panel *p, const struct sheet *s, unsigned at);

/* The line as it stands, the caller's. */
char *panel_line(const struct panel *p, bool force);
/* The plan that is shown, borrowed; NULL: there is none. */
const json_t *panel_plan(const struct panel *p);
/* What a rebase would take after which it could be tried again, borrowed: file
 * and base. NULL: there is no way out. */
const json_t *panel_way(const struct panel *p);
/* Can a way back be kept of it? */
bool panel_can_keep(const struct panel *p);
/* Why it is refused, borrowed; NULL: it is not. */
const char *panel_refused(const struct panel *p);

#endif
