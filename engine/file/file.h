/* file.h - a host file or block device that holds an image.
 *
 * The only room that makes system calls on images. All offsets and lengths
 * are bytes; all calls are thread-safe (pread/pwrite on one descriptor) unless
 * said otherwise. Short transfers, EINTR and EAGAIN are continued here.
 *
 * A failed fsync is final (hazard H17): the file remembers it and every later
 * flush fails with the same errno.
 */
#ifndef BLKMON_FILE_H
#define BLKMON_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "engine/util/err.h"
#include "engine/util/thread.h"

enum file_cache {		/* QEMU's words for cache= */
	FILE_CACHE_WRITEBACK,
	FILE_CACHE_NONE,	/* O_DIRECT; unaligned requests are bounced */
	FILE_CACHE_UNSAFE,	/* flushes are not sent to the host */
};

/* What the byte locks say that we do; the table is in lock.h. */
enum lock_role {
	LOCKS_NONE,		/* look without locking (info, cat) */
	LOCKS_READ,		/* read-only image, any backing image */
	LOCKS_WRITE,		/* active image, target of a job */
	LOCKS_ALONE,		/* nobody else uses it, whatever for */
};

struct file {
	char *path;		/* as it was named; owned */
	int fd;			/* stays the same number for life */
	dev_t dev;		/* identity: of the inode, or for a */
	ino_t ino;		/* block device of the device number (ino 0) */
	mode_t mode;		/* st_mode */
	bool writable;		/* changed by file_set_writable() only */
	bool block_device;
	_Atomic bool can_clone;	/* cleared when FICLONERANGE says no */
	uint32_t align;		/* what O_DIRECT asks for; else 1 */
	enum file_cache cache;
	enum lock_role role;
	_Atomic int failed;	/* 0, or -errno of the fsync that failed */
	_Atomic uint64_t size;	/* bytes; grows with writes */
	_Atomic uint64_t reads, writes, read_bytes, write_bytes, flushes;
	_Atomic uint64_t write_highest;	/* end of the highest write */
	struct lock rmw;	/* leaf: O_DIRECT writes that read first */
	struct lock sync;	/* leaf: one fdatasync at a time */
	_Atomic uint64_t syncs;	/* how many were begun */
};

enum file_op {
	FILE_OP_READ, FILE_OP_WRITE, FILE_OP_FLUSH, FILE_OP_TRUNCATE,
	FILE_OP_ZERO, FILE_OP_DISCARD, FILE_OP_CLONE, FILE_OP_RESERVE,
	FILE_OP_OPEN, FILE_OP_SYNC_DIR,
};

/* Tests put faults and recorders in front of the host: called before every
 * operation; a negative result is returned instead of doing it. @buf is the
 * data of a write, else NULL. For FILE_OP_SYNC_DIR the file is but a name. NULL
 * removes it. What is under way has met the one before. */
typedef int file_hook(const struct file *f, enum file_op op, uint64_t off,
		      uint64_t len, const void *buf);
void file_set_hook(file_hook *hook);

struct file_options {
	const char *path;
	bool writable;
	enum lock_role role;
	enum file_cache cache;
};

/* Opens a regular file or a block device (O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
 * then fstat; hazard H6: anything else is refused), takes the locks of the
 * role before anything is read. 0, or -1 and an error that names the file:
 * "Could not open 'PATH': REASON", or for a lock
 * `Failed to get "write" lock` + "Is another process using the image [PATH]?"
 * separated by a newline (QEMU's words). */
int file_open(struct file **out, const struct file_options *o,
	      struct err *err);

/* Creates PATH with O_EXCL | O_NOFOLLOW and @mode & ~umask, empty, read-write,
 * with the locks of LOCKS_WRITE. If @reuse is set an existing regular file of
 * size 0 is taken too. "Could not create 'PATH': REASON". */
int file_create(struct file **out, const char *path, mode_t mode, bool reuse,
		enum file_cache cache, struct err *err);

/* Would file_create() be refused, as far as that can be told without it?
 * Creates nothing. 0, or -1 and its words. */
int file_check_create(const char *path, bool reuse, struct err *err);

/* A file of @size bytes in memory, without a name, for what is to be looked at
 * before it goes anywhere. */
int file_open_memory(struct file **out, uint64_t size, struct err *err);

/* Gives a file that was just made to whom @like belongs, with the permissions
 * of that, as far as we may: nobody gets more than before. */
void file_adopt(struct file *f, const struct file *like);

void file_close(struct file *f);	/* drops the locks; NULL is fine */

/* Changes between read-only and read-write, with the locks of the new role,
 * without a moment in which none is held, and on the same number fd. No-op if
 * it is so already. Fails without a change. */
int file_set_writable(struct file *f, bool writable, enum lock_role role,
		      struct err *err);

/* Would file_set_writable(f, true, LOCKS_WRITE) be refused? Changes nothing
 * and takes no lock. 0, or -1 and its words. */
int file_check_writable(struct file *f, struct err *err);

/* Data path: 0 or -errno. Reading beyond the end gives zeroes; where the file
 * was cut behind our back, -EIO, and so is a change behind the new end. */
int file_read(struct file *f, uint64_t off, void *buf, size_t len);
int file_write(struct file *f, uint64_t off, const void *buf, size_t len);
int file_flush(struct file *f);			/* fdatasync, latched */
/* Not beside writes that end beyond @size. */
int file_truncate(struct file *f, uint64_t size);
/* Makes the range read as zeroes; it may be unmapped or stay allocated. Falls
 * back to writing. Grows the file if need be. */
int file_zero(struct file *f, uint64_t off, uint64_t len);
/* Gives the range back to the host (PUNCH_HOLE, BLKDISCARD); best effort, a
 * host that can't is no error. The range reads as zeroes or as before. */
int file_discard(struct file *f, uint64_t off, uint64_t len);
/* Makes the host keep room for the range, so that a later write there does not
 * fail for want of it; the content stays, and the file grows up to there. A
 * host that can't is no error. 0 or -errno (ENOSPC ...). */
int file_reserve(struct file *f, uint64_t off, uint64_t len);
/* FICLONERANGE. -EOPNOTSUPP (or -EXDEV, -EINVAL) where it can't be done: the
 * caller then copies. Grows dst. */
int file_clone(struct file *dst, uint64_t dst_off, struct file *src,
	       uint64_t src_off, uint64_t len);
/* Starts writing back what was written, without waiting (a hint). */
void file_start_writeback(struct file *f, uint64_t off, uint64_t len);

/* SEEK_DATA/SEEK_HOLE: *data says whether the bytes at @off are data, *len
 * (in: how far to look, > 0) for how many bytes that answer holds. A host
 * that can't tell says data. 0 or -errno. */
int file_extent(struct file *f, uint64_t off, uint64_t *len, bool *data);

/* What a file takes of its host when it is written to. */
struct file_need {
	uint64_t bytes;
	uint64_t holes;		/* of them where the file has no data, of which
				   the host does not tell whether it has
				   found a place for it */
};
/* Adds how much of [off, off + len) the host would have to find a place for: in
 * blocks of 4096, nothing of a block device. No range twice. */
void file_add_missing(struct file *f, uint64_t off, uint64_t len,
		      struct file_need *need);
/* All that was added of this file, in bytes: without the holes of one that has
 * all its blocks. */
uint64_t file_need(const struct file *f, const struct file_need *need);
/* Asks the host whether it clones extents of @f, without doing it; can_clone
 * is cleared where it does not. */
void file_probe_clone(struct file *f);
/* Bytes that the file system of @f still has for us; UINT64_MAX where there is
 * none (a block device) or it does not tell. */
uint64_t file_space(const struct file *f);
/* The same of the folder @path, and which device that is. */
uint64_t file_space_at(const char *folder, dev_t *dev);

/* Bytes on disk (st_blocks * 512; a block device: its size). */
uint64_t file_disk_bytes(const struct file *f);

/* When the file or what is known of it was changed last (st_ctime). */
bool file_changed(const struct file *f, struct timespec *when);

/* Where it is, from the root on, by no link; the caller's. NULL: it has no
 * name any more, or that is not known. */
char *file_path(const struct file *f);
/* When its bytes were last changed: seconds since 1970; 0: unknown. */
uint64_t file_written(const struct file *f);

/* The file system that a file or folder is on. */
struct file_system {
	char *mount;		/* the highest folder of it above; owned */
	uint64_t free;		/* bytes that we may still fill */
	uint64_t size;
};

/* Asks the host, which may take its time. 0 or -errno; block devices are on
 * none (-ENODEV). */
int file_system_find(struct file_system *out, const char *path);

bool file_is_same(const struct file *a, const struct file *b);

/* fsync of the directory that holds @path. 0 or -errno. */
int file_sync_dir(const char *path);

#endif
