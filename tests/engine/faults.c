/* SPDX-License-Identifier: GPL-3.0-or-later */
/* faults.c - a disk that fails where a test says, below a program that knows
 * nothing of it: preloaded, see replay.py.
 *
 * $BLKMON_FAULTS names a file that holds, while there is a fault,
 * "r|w PATH FIRST LAST ERRNO once|always": reads or writes of that file that
 * touch the bytes from FIRST to LAST fail. The file goes with a fault that
 * happens once. Errno 0 is no fault: such requests last until the file goes,
 * a minute at most, so that a job is still there when it is spoken to; the
 * file NAME.waits says that one does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fault {
	char kind, path[4096], often[8];
	long long first, last;
	int error;
};

static int read_fault(const char *name, struct fault *f)
{
	FILE *file = name ? fopen(name, "r") : NULL;
	int n = 0;

	if (file) {
		n = fscanf(file, "%c %4095s %lld %lld %d %7s", &f->kind,
			   f->path, &f->first, &f->last, &f->error, f->often);
		fclose(file);
	}
	return n == 6;
}

static int same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static void wait_for(const char *name)
{
	char waits[4200];
	FILE *file;

	snprintf(waits, sizeof(waits), "%s.waits", name);
	file = fopen(waits, "w");
	if (file)
		fclose(file);
	for (int i = 0; i < 6000 && !access(name, F_OK); i++)
		poll(NULL, 0, 10);
}

/* The error of such a request, or 0. */
static int fails(char kind, int fd, size_t len, off64_t off)
{
	const char *name = getenv("BLKMON_FAULTS");
	struct fault f;

	if (!read_fault(name, &f) || f.kind != kind || off > f.last ||
	    off + (off64_t)len <= f.first || !same_file(fd, f.path))
		return 0;
	if (!strcmp(f.often, "once") && unlink(name))
		return 0;
	if (!f.error)
		wait_for(name);
	return f.error;
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	ssize_t (*next)(int, void *, size_t, off64_t) =
		(ssize_t (*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT,
								 "pread64");
	int error = fails('r', fd, len, off);

	if (!error)
		return next(fd, buf, len, off);
	errno = error;
	return -1;
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	ssize_t (*next)(int, const void *, size_t, off64_t) =
		(ssize_t (*)(int, const void *, size_t, off64_t))dlsym(
			RTLD_NEXT, "pwrite64");
	int error = fails('w', fd, len, off);

	if (!error)
		return next(fd, buf, len, off);
	errno = error;
	return -1;
}
