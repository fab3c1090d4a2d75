/* folder_watch.h - notices when files of some folders come, go, change their
 * names, or are closed by who wrote them. What is written meanwhile is not
 * told: an image in use is written all the time.
 */
#ifndef BLKMON_FOLDER_WATCH_H
#define BLKMON_FOLDER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct folder_watched {
	int wd;
	char *path;
	bool changed;		/* since that was last cleared */
};

struct folder_watch {
	int fd, wake;		/* -1: not open */
	struct folder_watched *folder;
	size_t count, cap;
};

#define FOLDER_WATCH_INIT { .fd = -1, .wake = -1 }

/* 0 or -errno: the host has no more of these. */
int folder_watch_open(struct folder_watch *w);
void folder_watch_close(struct folder_watch *w);	/* not open: fine */
/* Again is fine. False: it can't be watched. */
bool folder_watch_add(struct folder_watch *w, const char *path);
/* Waits until something has changed, clock_ns() is @deadline, or somebody
 * wakes it. Beside it all others may be called but open and close. */
void folder_watch_wait(const struct folder_watch *w, uint64_t deadline);
/* Marks what has changed. True if anything has. */
bool folder_watch_take(struct folder_watch *w);
void folder_watch_wake(const struct folder_watch *w);	/* any thread */

#endif
