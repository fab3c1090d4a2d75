/* remove.h - takes one file out of its folder, and never another: it is opened
 * first, and what goes is the name that still leads to what was opened.
 *
 * Regular files by their own names only: no symbolic link, nothing that a loop
 * device shows. Not thread-safe.
 */
#ifndef BLKMON_REMOVE_H
#define BLKMON_REMOVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/util/err.h"

struct removal;

/* Opens the file, read-only. 0, or -1 and an error that names it. */
int removal_open(struct removal **out, const char *path, struct err *err);
/* What is locked is let go of. NULL is fine. */
void removal_close(struct removal *r);

const char *removal_path(const struct removal *r);
const struct stat *removal_stat(const struct removal *r); /* when opened */
int removal_fd(const struct removal *r);
/* Bytes that its file system gets back if it goes: nothing while it has other
 * names, and nothing of what other files share. *shared: bytes of these. */
uint64_t removal_freed(const struct removal *r, uint64_t *shared);

/* Nobody uses it now (LOCKS_ALONE); then nobody can, from removal_lock() to
 * removal_close(), who takes locks. 0, or -1 and who it is. */
int removal_check(const struct removal *r, struct err *err);
int removal_lock(struct removal *r, struct err *err);

/* Removes the name, durably, of a file that is locked. 0; or -1 and why, and
 * the file is where it was, or where the error says. */
int removal_do(struct removal *r, struct err *err);

#endif
