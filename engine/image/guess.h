/* guess.h - what a disk looks like, by the bytes it begins and ends with. */
#ifndef BLKMON_GUESS_H
#define BLKMON_GUESS_H

#include <stddef.h>

#define GUESS_BYTES 512u	/* that have to be looked at */

/* QEMU's name of a format, also of those that are not read here: "raw" if
 * nothing else fits. @len is GUESS_BYTES, or less where the disk ends. */
const char *guess_format(const void *head, size_t len);
/* The same by the last GUESS_BYTES (or less): a fixed VHD begins as the disk
 * that is in it. */
const char *guess_by_end(const void *tail, size_t len);

#endif
