/* rival.h - who holds a monitor that serves one client at a time. */
#ifndef BLKMON_ATTACH_RIVAL_H
#define BLKMON_ATTACH_RIVAL_H

#include <stdbool.h>
#include <stddef.h>

/* Into @out "NAME (pid N)", fit for a terminal: a process that is connected to
 * the Unix socket at @path by another socket than @fd (-1: by any). False if
 * none is found or we may not look. Reads all of /proc: for when it is to be
 * explained why nobody answers. */
bool rival_find(const char *path, int fd, char *out, size_t len);

#endif
