/* bars.h - the first line, which sums up, and the last, which hints at keys. */
#ifndef BLKMON_UI_BARS_H
#define BLKMON_UI_BARS_H

#include "ui/pane/sheet.h"

void bars_draw(struct sheet *s);
void bars_too_small(struct sheet *s);	/* in place of everything */
/* What the hint at column @at of the last line is for; ACTION_NONE: none. */
enum action bars_hint_at(const struct sheet *s, unsigned at);

#endif
