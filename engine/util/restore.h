/* restore.h - the terminal is put right whatever ends the program, but for
 * SIGKILL: a crash, a broken invariant, an end that took too long.
 *
 * One front end has the terminal; it says how it is put right.
 */
#ifndef BLKMON_UTIL_RESTORE_H
#define BLKMON_UTIL_RESTORE_H

#include <stddef.h>

/* Keeps the modes that standard input has now; before they are changed. */
void restore_keep(void);
/* From now on @bytes and those modes put it right; without room for the bytes,
 * which are at most 256, the modes alone. */
void restore_guard(const char *bytes, size_t len);
/* It was put right by who changed it. */
void restore_unguard(void);
/* Puts it right, once. From any thread and from signal handlers; never waits,
 * and touches no terminal that others have now. */
void restore_now(void);

#endif
