/* places_command.h - blkmon places: what there is to be attached to. */
#ifndef BLKMON_PLACES_COMMAND_H
#define BLKMON_PLACES_COMMAND_H

#include "src/process/option.h"
#include "src/process/signals.h"

extern const struct option_row places_rows[];	/* all its options */

/* argv[0] is "places". The exit status. */
int places_command_run(int argc, char **argv, struct signals *signals);

#endif
