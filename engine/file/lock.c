/* lock.c - see lock.h. */
#include "engine/file/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/file/holder.h"

/* A set of lock bytes is a mask: bit n is byte 100 + n (permission n is used),
 * bit 4 + n is byte 200 + n (permission n is not shared). Bit b contradicts
 * bit b ^ 4 of anybody else. */
enum {
	CONSISTENT_READ = 1 << 0,
	WRITE = 1 << 1,
	WRITE_UNCHANGED = 1 << 2,
	RESIZE = 1 << 3,
	BITS = 8,
};

#define UNSHARED(perm) ((unsigned)(perm) << 4)

static const char *const perm_names[] = {
	"consistent read", "write", "write unchanged", "resize",
};

static const unsigned bytes_of_role[] = {
	[LOCKS_NONE] = 0,
	[LOCKS_READ] = CONSISTENT_READ | UNSHARED(WRITE | RESIZE),
	[LOCKS_WRITE] = CONSISTENT_READ | WRITE | RESIZE |
		       UNSHARED(WRITE | RESIZE),
	[LOCKS_ALONE] = CONSISTENT_READ | WRITE | RESIZE |
		       UNSHARED(CONSISTENT_READ | WRITE | WRITE_UNCHANGED |
				RESIZE),
};

static struct flock byte_lock(short type, unsigned bit)
{
	return (struct flock) {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = bit < 4 ? 100 + bit : 200 + bit - 4,
		.l_len = 1,
	};
}

/* 0, or -errno for the first byte that could not be set. */
static int set_bytes(int fd, unsigned mask, short type)
{
	for (unsigned bit = 0; bit < BITS; bit++) {
		struct flock lock = byte_lock(type, bit);

		if (mask & 1u << bit && fcntl(fd, F_OFD_SETLK, &lock) < 0)
			return -errno;
	}
	return 0;
}

/* Two lines, as QEMU's, and who it is if that can be found. */
static int lock_refuse(int fd, const struct flock *lock, const char *what,
		       const char *path, struct err *err)
{
	struct holder holder;

	err_set(err, ERR_GENERIC, "Failed to %s\n" ERR_HINT "%s]?", what,
		path);
	if (holder_find(fd, lock->l_start, &holder) && holder.pid != getpid())
		err_set(err, ERR_GENERIC, "%s (%s, pid %d)", err->text,
			holder.name, (int)holder.pid);
	return -1;
}

static int refuse_bit(int fd, unsigned bit, const char *path, struct err *err)
{
	struct flock lock = byte_lock(F_WRLCK, bit ^ 4);
	char what[64];

	snprintf(what, sizeof(what), "get %s\"%s\" lock",
		 bit < 4 ? "" : "shared ", perm_names[bit % 4]);
	return lock_refuse(fd, &lock, what, path, err);
}

/* Is there another description with a byte that contradicts @mask? */
static int check_bytes(int fd, unsigned mask, const char *path,
		       struct err *err)
{
	for (unsigned bit = 0; bit < BITS; bit++) {
		struct flock lock = byte_lock(F_WRLCK, bit ^ 4);

		if (!(mask & 1u << bit))
			continue;
		if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
			return err_sys(err, errno,
				       "Could not look at the locks of '%s'",
				       path);
		if (lock.l_type != F_UNLCK)
			return refuse_bit(fd, bit, path, err);
	}
	return 0;
}

/* What a file system without OFD locks says. */
static bool lock_is_unknown(int rc)
{
	return rc == -EINVAL || rc == -ENOLCK;
}

static int refuse_whole(int fd, const char *path, struct err *err)
{
	return lock_refuse(fd, &(struct flock){ .l_start = 100 },
			   "lock the image", path, err);
}

int lock_check(int fd, enum lock_role role, const char *path,
	       struct err *err)
{
	unsigned want = bytes_of_role[role];

	for (unsigned bit = 0; bit < BITS; bit++) {
		struct flock lock = byte_lock(F_RDLCK, bit);

		if (!(want & 1u << bit))
			continue;
		if (fcntl(fd, F_OFD_GETLK, &lock) < 0 &&
		    lock_is_unknown(-errno))
			return 0;
		if (lock.l_type == F_WRLCK)
			return refuse_whole(fd, path, err);
	}
	return check_bytes(fd, want, path, err);
}

int lock_change(int old_fd, enum lock_role old, int fd, enum lock_role role,
		const char *path, struct err *err)
{
	unsigned had = bytes_of_role[old], want = bytes_of_role[role];
	unsigned gone = old_fd == fd ? had & ~want : had;
	unsigned added = old_fd == fd ? want & ~had : want;
	int rc;

	rc = set_bytes(fd, added, F_RDLCK);
	if (lock_is_unknown(rc))
		return role == LOCKS_ALONE ?
			err_sys(err, rc, "Could not lock '%s'", path) : 0;
	/* A read lock fails only against a write lock: not QEMU's way, but
	 * somebody means to have the file alone. */
	if (rc) {
		refuse_whole(fd, path, err);
		goto back;
	}
	/* Otherwise the old description would stand in the new one's way. */
	set_bytes(old_fd, gone, F_UNLCK);
	rc = check_bytes(fd, want, path, err);
	if (!rc)
		return 0;
	set_bytes(old_fd, gone, F_RDLCK);
back:
	set_bytes(fd, added, F_UNLCK);
	return -1;
}

bool lock_held(int fd, off_t *at)
{
	struct flock lock = byte_lock(F_WRLCK, 0);

	lock.l_len = 104;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return false;
	*at = lock.l_start;
	return true;
}
