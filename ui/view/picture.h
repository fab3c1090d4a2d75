/* picture.h - a channel that answers from the picture.
 *
 * What completion asks for is there already: it never waits. All else is an
 * error. One thread, the screen's.
 */
#ifndef BLKMON_UI_PICTURE_H
#define BLKMON_UI_PICTURE_H

#include "src/qmp/channel.h"
#include "ui/view/view.h"

struct picture {
	struct channel channel;
	const struct view_jobs *jobs;	/* as they are when it is asked */
	struct shape *const *shape;	/* the same; NULL in it: none yet */
};

/* All is borrowed. */
void picture_init(struct picture *p, const struct view_jobs *jobs,
		  struct shape *const *shape);

#endif
