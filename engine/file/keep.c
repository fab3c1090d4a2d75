/* keep.c - see keep.h. */
#include "engine/file/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/file/file.h"
#include "engine/util/mem.h"

void keep_release(struct keep *k)
{
	free(k->path);
	free(k->clone);
	*k = (struct keep)KEEP_INIT;
}

static bool keep_is(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	return !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_dev == dev &&
	       st.st_ino == ino;
}

/* As many of them as will do: who may write none loses none. */
static void copy_attributes(int from, int to)
{
	char names[4096], value[4096];
	ssize_t len = flistxattr(from, names, sizeof(names)), n;

	for (const char *name = names; len > 0 && name < names + len;
	     name += strlen(name) + 1) {
		n = fgetxattr(from, name, value, sizeof(value));
		if (n >= 0)
			(void)fsetxattr(to, name, value, (size_t)n, 0);
	}
}

/* Nobody may read it before it has the owner that it gets. */
static int keep_adopt(int from, int to, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid))
		return -1;
	copy_attributes(from, to);
	return fchmod(to, st->st_mode & 07777) || futimens(to, times) ||
	       fsync(to) ? -1 : 0;
}

static int keep_fail(const struct keep *k, int errnum, struct err *err)
{
	if (errnum == EOPNOTSUPP || errnum == ENOTTY || errnum == EINVAL ||
	    errnum == EXDEV || errnum == ENOSYS)
		return err_set(err, ERR_NOT_SUPPORTED, "'%s' can't be kept for "
			       "an undo: the file system cannot clone",
			       k->path);
	return err_sys(err, errnum, "Could not keep '%s' as '%s'", k->path,
		       k->clone);
}

static int keep_check_file(const struct keep *k, int from, struct stat *st,
			   struct err *err)
{
	if (fstat(from, st))
		return keep_fail(k, errno, err);
	if (S_ISREG(st->st_mode) && st->st_nlink == 1)
		return 0;
	return err_set(err, ERR_GENERIC, "'%s' can't be kept for an undo: it "
		       "is %s", k->path, S_ISREG(st->st_mode) ?
		       "a file with several names" : "not a regular file");
}

static int keep_fill(struct keep *k, int from, int to, struct err *err)
{
	struct stat st, clone;

	if (fstat(to, &clone))
		return keep_fail(k, errno, err);
	if (keep_check_file(k, from, &st, err))
		return -1;
	if (ioctl(to, FICLONE, from) || keep_adopt(from, to, &st))
		return keep_fail(k, errno, err);
	k->dev = st.st_dev;
	k->ino = st.st_ino;
	k->clone_ino = clone.st_ino;
	return 0;
}

static int keep_create(struct keep *k, int from, struct err *err)
{
	int to = open(k->clone, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
		      O_CLOEXEC, 0600);
	int rc;

	if (to < 0)
		return err_sys(err, errno, "Could not keep '%s' as '%s'",
			       k->path, k->clone);
	rc = keep_fill(k, from, to, err);
	close(to);
	if (!rc) {
		rc = file_sync_dir(k->clone);
		if (rc)
			err_sys(err, rc, "Could not keep '%s'", k->path);
	}
	if (rc)
		unlink(k->clone);
	return rc ? -1 : 0;
}

/* Of the first bytes to a file without a name. Where there are none of these,
 * keep_make() will tell. */
static int keep_try(const struct keep *k, int from, struct err *err)
{
	struct file_clone_range range = { .src_fd = from };
	char *folder = mem_dup(k->path);
	int to, rc = 0;

	*strrchr(folder, '/') = '\0';
	to = open(*folder ? folder : "/", O_TMPFILE | O_WRONLY | O_CLOEXEC,
		  0600);
	free(folder);
	if (to < 0 && errno != EOPNOTSUPP && errno != EISDIR)
		return keep_fail(k, errno, err);
	if (to < 0)
		return 0;
	if (ioctl(to, FICLONERANGE, &range))
		rc = keep_fail(k, errno, err);
	close(to);
	return rc;
}

static int keep_could(struct keep *k, int from, struct err *err)
{
	struct stat st;

	if (!lstat(k->clone, &st))
		return keep_fail(k, EEXIST, err);
	return keep_check_file(k, from, &st, err) ? -1 : keep_try(k, from, err);
}

/* Opens the file of @path for @what. */
static int keep_with(struct keep *k, const char *path,
		     int (*what)(struct keep *k, int from, struct err *err),
		     struct err *err)
{
	int from, rc;

	*k = (struct keep){ .path = realpath(path, NULL) };
	if (!k->path)
		return err_sys(err, errno, "Could not keep '%s'", path);
	k->clone = mem_printf("%s" KEEP_SUFFIX, k->path);
	from = open(k->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from < 0)
		rc = err_sys(err, errno, "Could not keep '%s'", path);
	else
		rc = what(k, from, err);
	if (from >= 0)
		close(from);
	if (rc)
		keep_release(k);
	return rc;
}

int keep_make(struct keep *k, const char *path, struct err *err)
{
	return keep_with(k, path, keep_create, err);
}

int keep_check(const char *path, struct err *err)
{
	struct keep k;

	if (keep_with(&k, path, keep_could, err))
		return -1;
	keep_release(&k);
	return 0;
}

/* --- for another process --- */

#define SEAL_NAME "user.blkmon.undo"
#define SEAL_MAX 256

/* "1 INODE SIZE SECONDS NANOSECONDS ABOVE": of the file; the inode above. */
static int seal_text(const struct keep *k, ino_t above, char text[SEAL_MAX])
{
	struct stat st;

	if (lstat(k->path, &st))
		return -errno;
	return snprintf(text, SEAL_MAX, "1 %ju %jd %jd %ld %ju",
			(uintmax_t)st.st_ino, (intmax_t)st.st_size,
			(intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			(uintmax_t)above);
}

int keep_seal(const struct keep *k, ino_t above)
{
	char text[SEAL_MAX];
	int n = seal_text(k, above, text), rc;

	if (n < 0)
		return n;
	rc = lsetxattr(k->clone, SEAL_NAME, text, (size_t)n, 0);
	return rc ? -errno : file_sync_dir(k->clone);
}

static int keep_read_seal(struct keep *k, bool unchanged, ino_t *above,
			  struct err *err)
{
	char text[SEAL_MAX], now[SEAL_MAX];
	struct stat st, clone;
	uintmax_t inode;
	ssize_t n;

	if (lstat(k->clone, &clone) || lstat(k->path, &st))
		return err_sys(err, errno, "There is nothing kept of '%s'",
			       k->path);
	n = lgetxattr(k->clone, SEAL_NAME, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "1 %*u %*d %*d %*d %ju", &inode) != 1)
		return err_set(err, ERR_GENERIC, "'%s' does not say that a "
			       "commit without a console kept it", k->clone);
	*above = (ino_t)inode;
	k->dev = st.st_dev;
	k->ino = st.st_ino;
	k->clone_ino = clone.st_ino;
	if (!unchanged)
		return 0;
	if (clone.st_dev == st.st_dev && seal_text(k, *above, now) > 0 &&
	    !strcmp(now, text))
		return 0;
	return err_set(err, ERR_GENERIC, "'%s' was written again since",
		       k->path);
}

int keep_load(struct keep *k, const char *path, bool unchanged, ino_t *above,
	      struct err *err)
{
	int rc;

	*k = (struct keep){ .path = realpath(path, NULL) };
	if (!k->path)
		return err_sys(err, errno, "Could not open '%s'", path);
	k->clone = mem_printf("%s" KEEP_SUFFIX, k->path);
	rc = keep_read_seal(k, unchanged, above, err);
	if (rc)
		keep_release(k);
	return rc;
}

static int keep_check_clone(const struct keep *k, struct err *err)
{
	if (keep_is(k->clone, k->dev, k->clone_ino))
		return 0;
	return err_set(err, ERR_GENERIC, "'%s' is not what was kept of '%s'",
		       k->clone, k->path);
}

int keep_restore(const struct keep *k, struct err *err)
{
	int rc;

	if (keep_check_clone(k, err))
		return -1;
	if (!keep_is(k->path, k->dev, k->ino))
		return err_set(err, ERR_GENERIC, "'%s' is another file now "
			       "than the one that was kept", k->path);
	if (rename(k->clone, k->path))
		return err_sys(err, errno, "Could not put '%s' in the place of "
			       "'%s'", k->clone, k->path);
	rc = file_sync_dir(k->path);
	return rc ? err_sys(err, rc, "'%s' is put back, but not durably",
			    k->path) : 0;
}

int keep_drop(const struct keep *k, struct err *err)
{
	if (keep_check_clone(k, err))
		return -1;
	return unlink(k->clone) ?
		err_sys(err, errno, "Could not delete '%s'", k->clone) : 0;
}
