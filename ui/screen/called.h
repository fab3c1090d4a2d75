/* called.h - what images are called on the screen, for those who know a path.
 */
#ifndef BLKMON_UI_CALLED_H
#define BLKMON_UI_CALLED_H

#include "src/console/plan_text.h"
#include "ui/pane/sheet.h"

struct called {
	const struct sheet *s;
	unsigned columns;	/* of a name, at most */
};

/* For plans and questions: as the tree calls it, cut to fit. @called is
 * borrowed. */
struct plan_names called_names(struct called *called);

#endif
