/* brief.h - notices in the words of the screen, which has little room. */
#ifndef BLKMON_UI_BRIEF_H
#define BLKMON_UI_BRIEF_H

#include "ui/pane/sheet.h"

/* Puts a shorter text of the notice @text into @out, and what kind of line it
 * is. False: there is none, and nothing was done. */
bool brief_notice(const struct sheet *s, const char *text, struct str *out,
		  enum log_kind *kind);

#endif
