/* replay.h - the screen without a display, driven by a file.
 *
 * Lines: "key NAME..." (names as in input.h), "type TEXT", "size COLSxROWS",
 * "wait JOB ready|done|NN%|WORD" (WORD: how query-block-jobs calls its status),
 * "paste TEXT", "screenshot FILE"; blank ones and "#" comments are nothing.
 * Before each line everything that was asked for has happened, so that the
 * same file gives the same screens.
 */
#ifndef BLKMON_UI_REPLAY_H
#define BLKMON_UI_REPLAY_H

#include "ui/screen/screen_impl.h"

/* 0, or -1 after a fault was told on stderr. */
int replay_run(struct screen *s, struct interrupt *outer);
/* One line of the file; the same. */
int replay_line(struct screen *s, char *line, struct interrupt *outer);
/* Waits until the client has done all it was asked for. */
void replay_settle(struct screen *s, struct interrupt *outer);

#endif
