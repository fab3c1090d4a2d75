/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/util/own_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/mem.h"

int own_file_new(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
		      O_CLOEXEC, mode);

	return fd < 0 ? -errno : fd;
}

/* 0 if it is a regular file, and empty or one that begins with @mark. */
static int own_file_check(int fd, const char *mark)
{
	size_t len = strlen(mark);
	char begins[64];
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (!st.st_size || !len)
		return 0;
	if (pread(fd, begins, len, 0) != (ssize_t)len)
		return -EEXIST;
	return memcmp(begins, mark, len) ? -EEXIST : 0;
}

int own_file_open(const char *path, const char *mark, mode_t mode)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
		      O_NONBLOCK | O_NOCTTY | (*mark ? O_APPEND : 0), mode);
	int rc;

	if (fd < 0)
		return -errno;
	rc = own_file_check(fd, mark);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* What is there already stays as it is. */
static void own_file_folders(char *path)
{
	for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		mkdir(path, 0700);
		*s = '/';
	}
}

char *own_file_state(const char *name)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path;

	if (state && *state == '/')
		path = mem_printf("%s/blkmon/%s", state, name);
	else if (home && *home)
		path = mem_printf("%s/.local/state/blkmon/%s", home, name);
	else
		return NULL;
	own_file_folders(path);
	return path;
}
