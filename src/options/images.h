/* images.h - opens what the command line names.
 */
#ifndef BLKMON_OPTIONS_IMAGES_H
#define BLKMON_OPTIONS_IMAGES_H

#include <stdbool.h>

#include "src/options/options.h"

/* Opens the disks of --drive, and then the images and folders that are named
 * without it. An image whose backing file is missing opens as far as it goes,
 * unless it is to be served. What can't be opened is an error; but for the
 * disks of a folder, and (@lenient: somebody looks on) for images of several:
 * these are tried read-only then, or passed over, which is published, as long
 * as there is one that opens. 0, or -1 and err; *culprit is then the word, or
 * NULL. */
int images_open(const struct options *o, struct engine *engine, bool lenient,
		const char **culprit, struct err *err);

#endif
