/* process.h - other processes of this host, see proc(5).
 */
#ifndef BLKMON_UTIL_PROCESS_H
#define BLKMON_UTIL_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* What @pid calls itself, which may be anything, fit for a terminal; "" if that
 * is not known. */
void process_name(pid_t pid, char *buf, size_t len);

#endif
