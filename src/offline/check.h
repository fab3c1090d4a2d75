/* check.h - blkmon check, with the words and the exit status of qemu-img. */
#ifndef BLKMON_CHECK_COMMAND_H
#define BLKMON_CHECK_COMMAND_H

#include "src/process/option.h"
#include "src/process/signals.h"

extern const struct option_row check_rows[];	/* all its options */

/* argv[0] is "check". 0 all well; 1 it could not be done; 2 corruptions are
 * left; 3 leaks are left; 63 the format has nothing to check. */
int check_run(int argc, char **argv, struct signals *signals);

#endif
