/* history.h - the lines typed so far, kept by readline and, between runs, in
 * $XDG_STATE_HOME/blkmon/history. One thread.
 */
#ifndef BLKMON_UI_HISTORY_H
#define BLKMON_UI_HISTORY_H

void history_load(void);
void history_save(void);
/* A blank line, and the same line twice, is not kept. */
void history_remember(const char *line);

#endif
