/* delete.h - blkmon delete. */
#ifndef BLKMON_DELETE_COMMAND_H
#define BLKMON_DELETE_COMMAND_H

#include "src/process/option.h"
#include "src/process/signals.h"

extern const struct option_row delete_rows[];	/* all its options */

/* argv[0] is "delete". 0 all of them are gone (or would be); 1 not; 2 usage. */
int delete_run(int argc, char **argv, struct signals *signals);

#endif
