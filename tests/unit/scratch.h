/* scratch.h - a directory of its own for a test program: setup and teardown
 * of the group. The test stands in it and names its files without a path. */
#ifndef BLKMON_TESTS_SCRATCH_H
#define BLKMON_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_dir[4096];

static inline int scratch_enter(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(scratch_dir, sizeof(scratch_dir), "%s/blkmon-test.XXXXXX",
		 tmp ? tmp : "/tmp");
	return mkdtemp(scratch_dir) && !chdir(scratch_dir) ? 0 : -1;
}

/* The same in memory, where there is such a place and nobody chose another:
 * for tests that do not look at what reaches a real disk. */
static inline int scratch_enter_memory(void **state)
{
	if (!getenv("TMPDIR") && !access("/dev/shm", W_OK))
		setenv("TMPDIR", "/dev/shm", 1);
	return scratch_enter(state);
}

static inline int scratch_remove(const char *path, const struct stat *st,
				 int type, struct FTW *at)
{
	(void)st;
	(void)type;
	return at->level ? remove(path) : 0;
}

/* Leaves the directory, and nothing in it. Without one nothing is removed. */
static inline void scratch_clear(void)
{
	if (*scratch_dir)
		nftw(scratch_dir, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int scratch_leave(void **state)
{
	(void)state;
	scratch_clear();
	return chdir("/") || rmdir(scratch_dir) ? -1 : 0;
}

#endif
