/* folder.c - see folder.h. */
#include "engine/file/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/util/mem.h"

static _Thread_local int lack;

void folder_lack(int error)
{
	if (error == ENOMEM || error == EMFILE || error == ENFILE)
		lack = error;
}

int folder_lacked(void)
{
	int error = lack;

	lack = 0;
	return error;
}

struct folder {
	DIR *dir;
	struct stat st;
};

void folder_close(struct folder *f)
{
	if (f && f->dir)
		closedir(f->dir);
	free(f);
}

struct folder *folder_open(const char *path)
{
	struct folder *f = mem_try(1, sizeof(*f));

	if (f)
		f->dir = opendir(path);
	if (f && f->dir && !fstat(dirfd(f->dir), &f->st))
		return f;
	folder_lack(errno);
	folder_close(f);
	return NULL;
}

const struct stat *folder_identify(const struct folder *f)
{
	return &f->st;
}

bool folder_entry_stat(const struct folder *f, struct folder_entry *e)
{
	if (!e->ino)
		return true;
	if (fstatat(dirfd(f->dir), e->name, &e->st, 0)) {
		folder_lack(errno);
		return false;
	}
	if (!S_ISREG(e->st.st_mode))
		return false;
	e->ino = 0;
	return true;
}

bool folder_next(struct folder *f, struct folder_entry *e, uint64_t *seen,
		 uint64_t most)
{
	while (*seen < most) {
		const struct dirent *d;

		errno = 0;
		d = readdir(f->dir);
		if (!d) {
			folder_lack(errno);
			return false;
		}
		++*seen;
		if (d->d_type != DT_REG && d->d_type != DT_LNK &&
		    d->d_type != DT_UNKNOWN)
			continue;
		e->name = d->d_name;
		e->ino = d->d_ino;
		e->link = d->d_type != DT_REG;
		if (!e->link || folder_entry_stat(f, e))
			return true;
	}
	return false;
}

uint64_t folder_born(const struct folder *f, const char *name)
{
	struct statx sx;

	if (statx(dirfd(f->dir), name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &sx) ||
	    !(sx.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)sx.stx_btime.tv_sec * 1000000000u +
	       sx.stx_btime.tv_nsec;
}

static bool peek_may(mode_t mode, bool device)
{
	return S_ISREG(mode) || (device && S_ISBLK(mode));
}

/* O_NOATIME is for the owner alone. What stands there may be another by now:
 * it is asked again what it is, and none of them makes this wait. */
static int peek_open_at(int dir, const char *name, bool device,
			struct stat *st)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(dir, name, flags | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = openat(dir, name, flags);
	if (fd < 0) {
		folder_lack(errno);
		return -errno;
	}
	if (!fstat(fd, st) && peek_may(st->st_mode, device))
		return fd;
	close(fd);
	return -EINVAL;
}

int folder_peek_open(const struct folder *f, const char *name,
		     struct stat *st)
{
	if (f)
		return peek_open_at(dirfd(f->dir), name, false, st);
	if (stat(name, st))
		return -errno;
	return peek_may(st->st_mode, true) ?
		peek_open_at(AT_FDCWD, name, true, st) : -EINVAL;
}

int folder_peek(int fd, uint64_t off, void *buf, size_t len)
{
	ssize_t n;

	if (off > INT64_MAX || len > INT_MAX)
		return -EINVAL;
	do
		n = pread(fd, buf, len, (off_t)off);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		folder_lack(errno);
	return n < 0 ? -errno : (int)n;
}

void folder_unpeek(int fd)
{
	close(fd);
}
