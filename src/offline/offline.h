/* offline.h - subcommands that do one thing to one image and end. */
#ifndef BLKMON_OFFLINE_H
#define BLKMON_OFFLINE_H

#include "src/process/signals.h"

/* argv[0] is the subcommand's name. The exit status; -1 if there is no such
 * subcommand. */
int offline_run(int argc, char **argv, struct signals *signals);

#endif
