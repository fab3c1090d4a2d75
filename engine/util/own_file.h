/* own_file.h - files that the program writes for itself: logs, screenshots,
 * histories, PID files.
 *
 * None of them is ever written over something else. A file that is made is a
 * new one; one that is continued is a plain file of ours, never what a link
 * leads to, and a FIFO or a device there holds nobody up.
 */
#ifndef BLKMON_UTIL_OWN_FILE_H
#define BLKMON_UTIL_OWN_FILE_H

#include <sys/types.h>

/* Makes @path, which must not be there, for writing. A descriptor (O_CLOEXEC),
 * or -errno: -EEXIST whatever is there. */
int own_file_new(const char *path, mode_t mode);
/* Opens @path, made with @mode where it is missing, for reading and writing; at
 * its end, where @mark is not "". A file that is not empty has to begin with
 * @mark (at most 64 bytes). A descriptor (O_CLOEXEC), or -errno: -ELOOP for a
 * symbolic link, -EINVAL for what is no regular file, -EEXIST for what begins
 * otherwise. */
int own_file_open(const char *path, const char *mark, mode_t mode);

/* $XDG_STATE_HOME/blkmon/NAME (or ~/.local/state), its folders made where they
 * are missing, for their owner alone. The caller's; NULL without a home. */
char *own_file_state(const char *name);

#endif
