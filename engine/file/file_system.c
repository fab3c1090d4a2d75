/* file_system.c - what a file lies on; see file.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/file/file.h"
#include "engine/util/mem.h"

char *file_path(const struct file *f)
{
	static const char gone[] = " (deleted)";
	char link[32], path[PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0 || *path != '/')
		return NULL;
	path[len] = '\0';
	if ((size_t)len > strlen(gone) &&
	    !strcmp(path + len - strlen(gone), gone))
		return NULL;
	return mem_dup(path);
}

/* Cuts @path, which is absolute, down to the highest folder of @dev. */
static void file_system_climb(char *path, dev_t dev)
{
	struct stat st;

	while (path[1]) {
		char *slash = strrchr(path, '/'), was;

		/* The root keeps its slash. */
		if (slash == path)
			slash++;
		was = *slash;
		*slash = '\0';
		if (!stat(path, &st) && st.st_dev == dev)
			continue;
		*slash = was;
		return;
	}
}

int file_system_find(struct file_system *out, const char *path)
{
	struct statvfs fs;
	struct stat st;

	*out = (struct file_system) { 0 };
	if (stat(path, &st) || statvfs(path, &fs))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return -ENODEV;
	out->mount = realpath(path, NULL);
	if (!out->mount)
		return -errno;
	out->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	out->size = (uint64_t)fs.f_blocks * fs.f_frsize;
	file_system_climb(out->mount, st.st_dev);
	return 0;
}
