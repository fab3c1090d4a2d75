/* scratch.h - a directory of its own for a test program: setup and teardown
 * of the group. The test stands in it and names its files without a path. */
#ifndef BLKMON_TESTS_SCRATCH_H
#define BLKMON_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static inline void scratch_clear(void)
{
	DIR *dir = opendir(".");
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (unlinkat(dirfd(dir), e->d_name, 0))
			unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
}

static inline int scratch_leave(void **state)
{
	(void)state;
	scratch_clear();
	return chdir("/") || rmdir(scratch_dir) ? -1 : 0;
}

#endif
