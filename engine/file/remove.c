/* remove.c - see remove.h.
 *
 * Between a look at a name and its removal somebody may have put another file
 * there. So the name is taken away first, by renaming it to one that nobody
 * knows; what is there then is looked at, and removed, or put back.
 */
#include "engine/file/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/file/lock.h"
#include "engine/util/mem.h"

struct removal {
	char *path;
	const char *name;	/* in its folder; within path */
	int dir, fd;
	struct stat st;
};

void removal_close(struct removal *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	if (r->dir >= 0)
		close(r->dir);
	free(r->path);
	free(r);
}

const char *removal_path(const struct removal *r)
{
	return r->path;
}

const struct stat *removal_stat(const struct removal *r)
{
	return &r->st;
}

int removal_fd(const struct removal *r)
{
	return r->fd;
}

static bool is_the_file(const struct removal *r, const char *name)
{
	struct stat st;

	return !fstatat(r->dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_dev == r->st.st_dev && st.st_ino == r->st.st_ino;
}

/* --- opening --- */

static int open_dir(struct removal *r)
{
	char *dir = mem_printf("%.*s", (int)(r->name - r->path), r->path);

	r->dir = open(*dir ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	return r->dir;
}

static int refuse_kind(const struct removal *r, mode_t mode, struct err *err)
{
	return err_set(err, ERR_GENERIC, "Could not delete '%s': it is %s",
		       r->path, S_ISLNK(mode) ? "a symbolic link (name the "
		       "file that it leads to)" : S_ISDIR(mode) ?
		       "a directory" : "not a regular file");
}

static int open_name(struct removal *r, struct err *err)
{
	struct stat st;

	if (fstatat(r->dir, r->name, &st, AT_SYMLINK_NOFOLLOW))
		return err_sys(err, errno, "Could not delete '%s'", r->path);
	if (!S_ISREG(st.st_mode))
		return refuse_kind(r, st.st_mode, err);
	r->fd = openat(r->dir, r->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		       O_NOCTTY | O_CLOEXEC);
	if (r->fd < 0 || fstat(r->fd, &r->st))
		return err_sys(err, errno, "Could not delete '%s'", r->path);
	return S_ISREG(r->st.st_mode) && is_the_file(r, r->name) ? 0 :
		err_set(err, ERR_GENERIC, "Could not delete '%s': another "
			"file has taken its place", r->path);
}

/* The file that the loop device of this name shows, as a line; "" if it shows
 * none. 0 or -errno. */
static int loop_file(int dir, const char *name, char line[PATH_MAX])
{
	char at[NAME_MAX + sizeof("/loop/backing_file")];
	ssize_t n;
	int fd, rc;

	snprintf(at, sizeof(at), "%s/loop/backing_file", name);
	fd = openat(dir, at, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return *line = '\0', errno == ENOENT ? 0 : -errno;
	n = read(fd, line, PATH_MAX - 1);
	rc = n < 0 && errno != ENXIO ? -errno : 0;
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	close(fd);
	return rc;
}

/* 1, 0 or -errno. Not by glob(), which frees twice what it had no memory
 * for. */
static int is_in_a_loop(const struct removal *r, DIR *devices)
{
	const struct dirent *d;
	char line[PATH_MAX];
	struct stat st;
	int rc = 0;

	while (!rc && (errno = 0, d = readdir(devices))) {
		if (strncmp(d->d_name, "loop", 4) != 0)
			continue;
		rc = loop_file(dirfd(devices), d->d_name, line);
		if (!rc && *line && !stat(line, &st))
			rc = st.st_dev == r->st.st_dev &&
			     st.st_ino == r->st.st_ino;
	}
	return rc ? rc : -errno;
}

/* A loop device takes no lock. What can't be looked at may be one. */
static int check_loops(const struct removal *r, struct err *err)
{
	DIR *devices = opendir("/sys/block");
	int rc;

	if (devices)
		rc = is_in_a_loop(r, devices);
	else
		rc = errno == ENOENT ? 0 : -errno;
	if (devices)
		closedir(devices);
	if (rc < 0)
		return err_sys(err, rc, "Could not delete '%s': whether a "
			       "loop device shows it can't be looked up",
			       r->path);
	return rc ? err_set(err, ERR_GENERIC, "Could not delete '%s': a "
			    "loop device shows it", r->path) : 0;
}

int removal_open(struct removal **out, const char *path, struct err *err)
{
	struct removal *r = mem_alloc(sizeof(*r));
	const char *slash;
	int rc = -1;

	r->path = mem_dup(path);
	slash = strrchr(r->path, '/');
	r->name = slash ? slash + 1 : r->path;
	r->dir = r->fd = -1;
	if (open_dir(r) < 0)
		err_sys(err, errno, "Could not delete '%s'", path);
	else if (!*r->name)
		refuse_kind(r, S_IFDIR, err);
	else if (!open_name(r, err) && !check_loops(r, err))
		rc = 0;
	if (rc)
		removal_close(r);
	else
		*out = r;
	return rc;
}

/* --- what it gives back --- */

#define EXTENTS 128u
#define ROUNDS 4096u	/* beyond that the rest counts as its own */

/* One round, from *at on, which moves behind it. False at the end. */
static bool add_shared(int fd, struct fiemap *map, uint64_t *at,
		       uint64_t *shared)
{
	const struct fiemap_extent *x = map->fm_extents;

	*map = (struct fiemap){
		.fm_start = *at, .fm_length = FIEMAP_MAX_OFFSET - *at,
		.fm_extent_count = EXTENTS,
	};
	if (ioctl(fd, FS_IOC_FIEMAP, map) || !map->fm_mapped_extents)
		return false;
	for (unsigned i = 0; i < map->fm_mapped_extents; i++, x++) {
		if (x->fe_flags & FIEMAP_EXTENT_SHARED)
			*shared += x->fe_length;
		*at = x->fe_logical + x->fe_length;
		if (x->fe_flags & FIEMAP_EXTENT_LAST)
			return false;
	}
	return true;
}

static uint64_t shared_bytes(int fd)
{
	struct fiemap *map = mem_alloc(sizeof(*map) + EXTENTS *
				       sizeof(struct fiemap_extent));
	uint64_t at = 0, shared = 0;

	for (unsigned n = 0; n < ROUNDS; n++)
		if (!add_shared(fd, map, &at, &shared))
			break;
	free(map);
	return shared;
}

uint64_t removal_freed(const struct removal *r, uint64_t *shared)
{
	uint64_t bytes = (uint64_t)r->st.st_blocks * 512;

	*shared = shared_bytes(r->fd);
	if (*shared > bytes)
		*shared = bytes;
	return r->st.st_nlink > 1 ? 0 : bytes - *shared;
}

/* --- the end of it --- */

int removal_check(const struct removal *r, struct err *err)
{
	return lock_check(r->fd, LOCKS_ALONE, r->path, err);
}

int removal_lock(struct removal *r, struct err *err)
{
	return lock_change(r->fd, LOCKS_NONE, r->fd, LOCKS_ALONE, r->path, err);
}

static int put_back(const struct removal *r, const char *hidden,
		    struct err *err)
{
	if (renameat2(r->dir, hidden, r->dir, r->name, RENAME_NOREPLACE))
		return err_sys(err, errno, "Another file has taken the place "
			       "of '%s', and is called '%s' beside it now: it "
			       "could not be put back", r->path, hidden);
	return err_set(err, ERR_GENERIC, "Could not delete '%s': another file "
		       "has taken its place", r->path);
}

/* Of those that the file system can't rename so: the look comes before. */
static int unlink_checked(const struct removal *r, struct err *err)
{
	if (!is_the_file(r, r->name))
		return err_set(err, ERR_GENERIC, "Could not delete '%s': "
			       "another file has taken its place", r->path);
	return unlinkat(r->dir, r->name, 0) ?
		err_sys(err, errno, "Could not delete '%s'", r->path) : 0;
}

static int unlink_hidden(const struct removal *r, const char *hidden,
			 struct err *err)
{
	if (!is_the_file(r, hidden))
		return put_back(r, hidden, err);
	if (!unlinkat(r->dir, hidden, 0))
		return 0;
	err_sys(err, errno, "Could not delete '%s'", r->path);
	if (renameat2(r->dir, hidden, r->dir, r->name, RENAME_NOREPLACE))
		err_sys(err, errno, "Could not delete '%s', which is called "
			"'%s' now", r->path, hidden);
	return -1;
}

int removal_do(struct removal *r, struct err *err)
{
	char hidden[64];
	int rc, sync;

	snprintf(hidden, sizeof(hidden), ".blkmon-delete-%d-%llx",
		 (int)getpid(), (unsigned long long)r->st.st_ino);
	if (!is_the_file(r, r->name))
		rc = unlink_checked(r, err);
	else if (!renameat2(r->dir, r->name, r->dir, hidden, RENAME_NOREPLACE))
		rc = unlink_hidden(r, hidden, err);
	else if (errno == EINVAL || errno == ENOSYS)
		rc = unlink_checked(r, err);
	else
		rc = err_sys(err, errno, "Could not delete '%s'", r->path);
	sync = rc ? 0 : file_sync_dir(r->path);
	return sync ? err_sys(err, sync, "'%s' is gone, but its folder could "
			      "not be made durable", r->path) : rc;
}
