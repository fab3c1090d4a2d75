/* holder.h - who holds a lock on a file: the kernel does not tell of locks that
 * belong to open descriptions, but shows them beside the descriptors.
 */
#ifndef BLKMON_HOLDER_H
#define BLKMON_HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

struct holder {
	pid_t pid;
	char name[64];		/* its command, without controls */
};

/* The first process that holds byte @at of the file behind @fd by another
 * descriptor than @fd. False if none is found, or we may not look at it. Reads
 * all of /proc: for when an error is to be explained. */
bool holder_find(int fd, off_t at, struct holder *out);

#endif
