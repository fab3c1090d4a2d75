/* lock.h - byte-range locks on images, as QEMU's file driver takes them.
 *
 * One byte per permission n: byte 100 + n is read-locked by who uses it, byte
 * 200 + n by who does not share it (OFD locks, F_RDLCK). Before a permission
 * is used nobody else may hold 200 + n; before one is not shared nobody else
 * may hold 100 + n (F_OFD_GETLK with F_WRLCK).
 *
 *   n  permission        LOCKS_READ      LOCKS_WRITE        LOCKS_ALONE
 *   0  consistent read   used           used               used, not shared
 *   1  write             not shared     used, not shared   used, not shared
 *   2  write unchanged                                     not shared
 *   3  resize            not shared     used, not shared   used, not shared
 *
 * Locks belong to the open file description: closing another descriptor of
 * the same file does not drop them (hazard H21).
 */
#ifndef BLKMON_LOCK_H
#define BLKMON_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "engine/file/file.h"
#include "engine/util/err.h"

/* From the bytes of @old on @old_fd to those of @role on @fd, which may be the
 * same descriptor or another description of the same file: takes the new
 * bytes, lets go those no longer needed, then looks for others; on a conflict
 * goes back. A byte of both roles is held at every moment. File systems that
 * have no OFD locks (-EINVAL, -ENOLCK) are used unlocked, but for LOCKS_ALONE,
 * which is refused there. 0, or -1 and QEMU's
 * two lines: `Failed to get "write" lock` / `Failed to get shared "write"
 * lock` ..., newline, `Is another process using the image [PATH]?`, with who
 * it is behind that where it can be found; class ERR_GENERIC. */
int lock_change(int old_fd, enum lock_role old, int fd, enum lock_role role,
		const char *path, struct err *err);
/* Would lock_change() on @fd to @role meet others? Takes nothing; the same
 * words. */
int lock_check(int fd, enum lock_role role, const char *path,
	       struct err *err);

/* Does another description than @fd hold any of these bytes? *at is the
 * first; what can't be asked is not held. */
bool lock_held(int fd, off_t *at);

#endif
