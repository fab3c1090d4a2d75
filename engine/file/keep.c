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
#include "engine/util/str.h"

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
	err_sys(err, errnum, "Could not keep '%s' as '%s'", k->path, k->clone);
	if (errnum == EEXIST)
		err_tip(err, "it was kept before: undo that commit, or throw "
			"the clone away (drop_undo, blkmon undo --drop)");
	return -1;
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
		return keep_fail(k, errno, err);
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

#define NOTE_NAME "user.blkmon.undo"
#define NOTE_MAX (64 << 10)	/* no host keeps a longer one */
#define STAMP_MAX 128

/* "2 INODE SIZE SECONDS NANOSECONDS", of the file; "2 0" until the end. */
static int stamp_text(const struct keep *k, bool ended, char text[STAMP_MAX])
{
	struct stat st;

	if (!ended)
		return snprintf(text, STAMP_MAX, "2 0");
	if (lstat(k->path, &st))
		return -errno;
	return snprintf(text, STAMP_MAX, "2 %ju %jd %jd %ld",
			(uintmax_t)st.st_ino, (intmax_t)st.st_size,
			(intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static int note_write(const struct keep *k, const void *text, size_t size)
{
	int fd = open(k->clone, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		      O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) ? -errno :
	     st.st_dev != k->dev || st.st_ino != k->clone_ino ? -ESTALE :
	     fsetxattr(fd, NOTE_NAME, text, size, 0) || fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

int keep_note(const struct keep *k, bool ended, const void *more, size_t size)
{
	char *text = mem_try(1, STAMP_MAX + size);
	int n, rc;

	if (!text)
		return -ENOMEM;
	n = stamp_text(k, ended, text);
	if (n > 0)
		memcpy(text + n + 1, more, size);
	rc = n < 0 ? n : note_write(k, text, (size_t)n + 1 + size);
	free(text);
	return rc;
}

/* @text: STAMP_MAX bytes and then some, with a NUL at the end. */
static enum keep_state note_state(const struct keep *k, const char *text)
{
	char now[STAMP_MAX];

	if (!strcmp(text, "2 0"))
		return KEEP_CUT;
	return stamp_text(k, true, now) > 0 && !strcmp(now, text) ?
		KEEP_SAME : KEEP_CHANGED;
}

static int note_read(struct keep *k, struct keep_note *note, struct err *err)
{
	char *text = mem_try(1, NOTE_MAX + 1);
	ssize_t n;
	size_t head;

	if (!text)
		return err_sys(err, ENOMEM, "Could not read what '%s' is",
			       k->clone);
	n = lgetxattr(k->clone, NOTE_NAME, text, NOTE_MAX);
	head = n > 0 ? strlen(text) + 1 : 0;
	if (!head || head > (size_t)n || !str_has_prefix(text, "2 ")) {
		free(text);
		return err_set(err, ERR_GENERIC, "'%s' does not say which "
			       "commit kept it", k->clone);
	}
	note->state = note_state(k, text);
	note->size = (size_t)n - head;
	memmove(text, text + head, note->size);
	text[note->size] = '\0';
	note->text = text;
	return 0;
}

static int keep_find(struct keep *k, struct keep_note *note, struct err *err)
{
	struct stat st, clone;

	if (lstat(k->clone, &clone) || lstat(k->path, &st) ||
	    !S_ISREG(clone.st_mode) || clone.st_dev != st.st_dev)
		return err_set(err, ERR_GENERIC, "There is nothing kept of "
			       "'%s'", k->path);
	k->dev = st.st_dev;
	k->ino = st.st_ino;
	k->clone_ino = clone.st_ino;
	return note_read(k, note, err);
}

int keep_load(struct keep *k, const char *path, struct keep_note *note,
	      struct err *err)
{
	int rc;

	*k = (struct keep){ .path = realpath(path, NULL) };
	if (!k->path)
		return err_sys(err, errno, "Could not open '%s'", path);
	k->clone = mem_printf("%s" KEEP_SUFFIX, k->path);
	rc = keep_find(k, note, err);
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
	(void)lremovexattr(k->path, NOTE_NAME);
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
