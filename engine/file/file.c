/* file.c - see file.h: opening, closing, changing the access. The data path
 * is in file_io.c. */
#include "engine/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file/file_impl.h"
#include "engine/file/lock.h"
#include "engine/util/bug.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

/* Enough for every host that does not say what it needs. */
#define DIRECT_ALIGN 4096

static struct file *file_new(const char *path, bool writable,
			     enum file_cache cache)
{
	struct file *f = mem_alloc(sizeof(*f));

	f->path = mem_dup(path);
	f->fd = -1;
	f->writable = writable;
	f->cache = cache;
	f->align = 1;
	lock_init(&f->rmw);
	lock_init(&f->sync);
	return f;
}

void file_close(struct file *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	lock_release(&f->rmw);
	lock_release(&f->sync);
	free(f->path);
	free(f);
}

/* What it is, if that can't be an image. */
static const char *foreign_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFBLK:
		return NULL;
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFCHR:
		return "a character device";
	case S_IFSOCK:
		return "a socket";
	default:
		return "of an unknown kind";
	}
}

static int check_kind(const char *verb, const char *path, mode_t mode,
		      struct err *err)
{
	const char *kind = foreign_kind(mode);

	if (!kind)
		return 0;
	return err_set(err, ERR_GENERIC, "Could not %s '%s': not a regular "
		       "file or block device (it is %s)", verb, path, kind);
}

/* Fills what fstat tells. */
static int file_identify(struct file *f, const char *verb, struct err *err)
{
	struct stat st;
	off_t size;

	if (fstat(f->fd, &st))
		goto failed;
	if (check_kind(verb, f->path, st.st_mode, err))
		return -1;
	f->mode = st.st_mode;
	f->block_device = S_ISBLK(st.st_mode);
	f->can_clone = !f->block_device;
	f->dev = f->block_device ? st.st_rdev : st.st_dev;
	f->ino = f->block_device ? 0 : st.st_ino;
	size = f->block_device ? lseek(f->fd, 0, SEEK_END) : st.st_size;
	if (size < 0)
		goto failed;
	f->size = (uint64_t)size;
	return 0;
failed:
	return err_sys(err, errno, "Could not %s '%s'", verb, f->path);
}

static uint32_t direct_align(const struct file *f)
{
	int sector;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
	    sx.stx_mask & STATX_DIOALIGN && sx.stx_dio_offset_align)
		return (uint32_t)max_u64(sx.stx_dio_offset_align,
					 sx.stx_dio_mem_align);
#endif
	if (f->block_device && !ioctl(f->fd, BLKSSZGET, &sector))
		return (uint32_t)sector;
	return DIRECT_ALIGN;
}

/* Replaces the flags of opening: O_NONBLOCK has done its work. O_DIRECT is set
 * here and not at the opening, where its EINVAL could mean anything. */
static int file_set_flags(struct file *f, int fd, const char *verb,
			  struct err *err)
{
	bool direct = f->cache == FILE_CACHE_NONE;

	if (!fcntl(fd, F_SETFL, direct ? O_DIRECT : 0))
		return 0;
	if (direct && errno == EINVAL)
		return err_set(err, ERR_GENERIC, "Could not %s '%s': its file "
			       "system does not support O_DIRECT (cache=none)",
			       verb, f->path);
	return err_sys(err, errno, "Could not %s '%s'", verb, f->path);
}

/* From the descriptor to the file ready for use. */
static int file_set_up(struct file *f, enum lock_role role, const char *verb,
		       struct err *err)
{
	if (file_identify(f, verb, err) || file_set_flags(f, f->fd, verb, err))
		return -1;
	if (f->cache == FILE_CACHE_NONE)
		f->align = direct_align(f);
	if (lock_change(f->fd, LOCKS_NONE, f->fd, role, f->path, err))
		return -1;
	f->role = role;
	return 0;
}

static int open_existing(const char *path, int flags, struct err *err)
{
	struct stat st;
	int fd;

	/* To open a character device can have effects of its own, so it is
	 * looked at first; the fstat afterwards is the check that counts. */
	if (!stat(path, &st) && check_kind("open", path, st.st_mode, err))
		return -1;
	do
		fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		err_sys(err, errno, "Could not open '%s'", path);
	return fd;
}

int file_open(struct file **out, const struct file_options *o,
	      struct err *err)
{
	struct file *f = file_new(o->path, o->writable, o->cache);
	int rc = file_hooked(f, FILE_OP_OPEN, 0, 0, NULL);

	if (rc) {
		rc = err_sys(err, rc, "Could not open '%s'", o->path);
		goto out;
	}
	rc = -1;
	f->fd = open_existing(o->path, o->writable ? O_RDWR : O_RDONLY, err);
	if (f->fd >= 0)
		rc = file_set_up(f, o->role, "open", err);
out:
	if (rc)
		file_close(f);
	else
		*out = f;
	return rc;
}

static int create_new(const char *path, mode_t mode)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
		      O_CLOEXEC | O_NOCTTY, mode);

	return fd < 0 ? -errno : fd;
}

/* Takes over what exists. It must be empty under its locks, where nobody else
 * is just filling it. */
static int create_reuse(struct file *f, struct err *err)
{
	f->fd = open(f->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
		     O_NOCTTY);
	if (f->fd < 0)
		return err_sys(err, errno, "Could not create '%s'", f->path);
	if (file_set_up(f, LOCKS_WRITE, "create", err) ||
	    file_identify(f, "create", err))
		return -1;
	if (f->block_device || f->size)
		return err_sys(err, EEXIST, "Could not create '%s'", f->path);
	return 0;
}

int file_create(struct file **out, const char *path, mode_t mode, bool reuse,
		enum file_cache cache, struct err *err)
{
	struct file *f = file_new(path, true, cache);
	int rc = file_hooked(f, FILE_OP_OPEN, 0, 0, NULL);

	if (!rc)
		rc = create_new(path, mode);
	if (rc >= 0) {
		f->fd = rc;
		rc = file_set_up(f, LOCKS_WRITE, "create", err);
		if (rc)
			unlink(path);
	} else if (rc == -EEXIST && reuse) {
		rc = create_reuse(f, err);
	} else {
		rc = err_sys(err, rc, "Could not create '%s'", path);
	}
	if (rc)
		file_close(f);
	else
		*out = f;
	return rc;
}

/* May a file be made in the folder of @path? 0 or -errno. */
static int file_check_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? mem_printf("%.*s/", (int)(slash - path), path) :
			       mem_dup(".");
	int rc = access(folder, W_OK | X_OK) ? -errno : 0;

	free(folder);
	return rc;
}

int file_check_create(const char *path, bool reuse, struct err *err)
{
	struct stat st;
	int rc = 0;

	if (lstat(path, &st))
		rc = errno == ENOENT ? file_check_folder(path) : -errno;
	else if (!reuse || (S_ISREG(st.st_mode) && st.st_size))
		rc = -EEXIST;
	else if (S_ISLNK(st.st_mode))
		rc = -ELOOP;
	else if (check_kind("create", path, st.st_mode, err))
		return -1;
	else if (S_ISBLK(st.st_mode))
		rc = -EEXIST;
	else if (access(path, R_OK | W_OK))
		rc = -errno;
	return rc ? err_sys(err, rc, "Could not create '%s'", path) : 0;
}

void file_adopt(struct file *f, const struct file *like)
{
	struct stat st, mine;
	mode_t mode;
	int rc;

	if (fstat(like->fd, &st))
		return;
	rc = fchown(f->fd, st.st_uid, st.st_gid);
	if (rc)
		rc = fchown(f->fd, (uid_t)-1, st.st_gid);
	if (fstat(f->fd, &mine))
		return;
	mode = (st.st_mode & 0777) | 0600;
	if (mine.st_gid != st.st_gid)
		mode &= ~(mode_t)070 | (mode & 07) << 3;
	if (!fchmod(f->fd, mode))
		f->mode = (mine.st_mode & ~(mode_t)0777) | mode;
}

int file_open_memory(struct file **out, uint64_t size, struct err *err)
{
	struct file *f = file_new("memory", true, FILE_CACHE_WRITEBACK);

	f->fd = memfd_create("blkmon", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, (off_t)size)) {
		err_sys(err, errno, "Could not take memory for a file");
		file_close(f);
		return -1;
	}
	if (file_identify(f, "open", err)) {
		file_close(f);
		return -1;
	}
	f->can_clone = false;
	*out = f;
	return 0;
}

/* Another description of the same file. The inode is reached through the
 * descriptor: the name may mean another file by now. */
static int reopen(struct file *f, bool writable, struct err *err)
{
	char link[32];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	do
		fd = open(link, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
			  O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return err_sys(err, errno, "Could not reopen '%s' %s", f->path,
			       writable ? "read-write" : "read-only");
	if (file_set_flags(f, fd, "reopen", err)) {
		close(fd);
		return -1;
	}
	return fd;
}

int file_check_writable(struct file *f, struct err *err)
{
	int fd;

	if (f->writable)
		return 0;
	fd = reopen(f, true, err);
	if (fd < 0)
		return -1;
	close(fd);
	return lock_check(f->fd, LOCKS_WRITE, f->path, err);
}

int file_set_writable(struct file *f, bool writable, enum lock_role role,
		      struct err *err)
{
	int rc, fd = f->fd;

	if (writable == f->writable && role == f->role)
		return 0;
	if (writable != f->writable)
		fd = reopen(f, writable, err);
	if (fd < 0)
		return -1;
	rc = lock_change(f->fd, f->role, fd, role, f->path, err);
	if (fd == f->fd)
		goto out;
	if (!rc) {
		/* A failed write-back may be known to the old description
		 * alone; the flush remembers it in f->failed. */
		if (f->writable)
			file_flush(f);
		BUG_ON(dup3(fd, f->fd, O_CLOEXEC) < 0);
	}
	close(fd);
out:
	if (rc)
		return -1;
	f->writable = writable;
	f->role = role;
	return 0;
}

uint64_t file_disk_bytes(const struct file *f)
{
	struct stat st;

	if (f->block_device)
		return f->size;
	return fstat(f->fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

bool file_changed(const struct file *f, struct timespec *when)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return false;
	*when = st.st_ctim;
	return true;
}

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

uint64_t file_written(const struct file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) || st.st_mtime < 0)
		return 0;
	return (uint64_t)st.st_mtime;
}

bool file_is_same(const struct file *a, const struct file *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->block_device == b->block_device;
}

int file_sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == path ? mem_dup("/") :
		    slash ? mem_printf("%.*s", (int)(slash - path), path) :
		    mem_dup(".");
	const struct file name = { .path = dir, .fd = -1 };
	int rc = file_hooked(&name, FILE_OP_SYNC_DIR, 0, 0, NULL);
	int fd = rc ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!rc && (fd < 0 || fsync(fd)))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}
