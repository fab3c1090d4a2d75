/* history.h - the subcommand history. Private to the room. */
#ifndef BLKMON_OFFLINE_HISTORY_H
#define BLKMON_OFFLINE_HISTORY_H

#include "src/process/option.h"
#include "src/process/signals.h"

extern const struct option_row history_rows[];
int history_run(int argc, char **argv, struct signals *signals);

#endif
