/* guess.h - what a disk looks like, by the bytes it begins with. */
#ifndef BLKMON_GUESS_H
#define BLKMON_GUESS_H

#include <stddef.h>

#define GUESS_BYTES 512u	/* that have to be looked at */

/* The name of a format: "raw" if nothing else fits. @len is GUESS_BYTES, or
 * less where the disk ends. */
const char *guess_format(const void *head, size_t len);

#endif
