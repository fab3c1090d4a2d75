/* daemon.h - leaving the terminal, and the file with the number. */
#ifndef BLKMON_DAEMON_H
#define BLKMON_DAEMON_H

#include <stddef.h>
#include <sys/types.h>

#include "engine/util/err.h"

/* Forks, before any thread exists: goes on in the child only. The parent waits
 * until daemon_ready() is called there and ends with 0, or with the child's
 * status if it ends before that. The folder stays the same, so that relative
 * names keep their meaning. 0, or -1 and err. */
int daemon_begin(struct err *err);
/* Sends the parent away and lets go of the terminal. No-op without
 * daemon_begin(). */
void daemon_ready(void);

struct pidfile {
	const char *path;	/* NULL: none */
	int fd;			/* holds the lock */
	dev_t dev;
	ino_t ino;
};

/* Writes our number into @path (borrowed), which only one living process may
 * have. 0, or -1 and err. */
int pidfile_make(struct pidfile *p, const char *path, struct err *err);
/* Removes it, if it still is the file that was made. */
void pidfile_remove(struct pidfile *p);

#endif
