/* drive_option.h - the value of --drive: KEY=VALUE,... */
#ifndef BLKMON_DRIVE_OPTION_H
#define BLKMON_DRIVE_OPTION_H

#include <jansson.h>

#include "engine/engine.h"
#include "engine/util/err.h"

/* Takes @text into *d, all zero before. It is cut into pieces, to which the
 * strings of *d point afterwards; d->node.below and .data_files are the
 * caller's to free.
 * 0, or -1 and what is wrong with it. */
int drive_option_take(struct drive_options *d, char *text, struct err *err);

/* Its keys, for those who tell of them: an array of objects, the caller's. */
json_t *drive_option_keys(void);

#endif
