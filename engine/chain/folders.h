/* folders.h - folders that are looked through one after the other: each once,
 * whatever it is called.
 *
 * Not thread-safe.
 */
#ifndef BLKMON_FOLDERS_H
#define BLKMON_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "engine/file/folder.h"

struct folders {
	char *path;		/* of the last one, "/" at its end; "": the
				   working directory; NULL: none yet */
	struct stat *seen;
	size_t count, cap;
	bool lost;		/* one was passed over: no memory */
};

#define FOLDERS_INIT { 0 }

void folders_release(struct folders *f);

/* Goes to the folder that has the file @path ("DIR/": that folder itself); the
 * caller closes it. NULL with errno 0: it was looked through before; else it
 * can't be read, and errno says why. */
struct folder *folders_enter(struct folders *f, const char *path);
/* Was the folder of the file @path looked through? */
bool folders_have(const struct folders *f, const char *path);
/* Where the symbolic link @path leads, which may be another one; NULL if it is
 * none, or ends nowhere. Frees @path; the caller frees what it returns. */
char *folders_behind_link(char *path);

#endif
