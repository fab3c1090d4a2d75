/* file_space.c - what a file would take of its host; see file.h. */
#include "engine/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/util/bytes.h"

#define BLOCK 4096u
#define EXTENTS 32
#define MAP_SIZE (sizeof(struct fiemap) + \
		  EXTENTS * sizeof(struct fiemap_extent))

/* Of the extents of [*off, end) the bytes that have a place of their own; *off
 * is behind the last one. */
static uint64_t space_of_extents(const struct fiemap *map, uint64_t *off,
				 uint64_t end)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
		const struct fiemap_extent *x = &map->fm_extents[i];
		uint64_t first = max_u64(x->fe_logical, *off);
		uint64_t last = min_u64(x->fe_logical + x->fe_length, end);

		if (last <= first)
			continue;
		if (!(x->fe_flags & FIEMAP_EXTENT_SHARED))
			sum += last - first;
		*off = last;
	}
	return sum;
}

/* How much of [off, end) has a place of its own: also where nothing was
 * written to it yet, which is a hole to lseek(). What is shared with another
 * file gets another place when it is written. False: the host does not tell
 * so. */
static bool space_placed(const struct file *f, uint64_t off, uint64_t end,
			 uint64_t *sum)
{
	_Alignas(struct fiemap) char buf[MAP_SIZE];
	struct fiemap *map = (struct fiemap *)(void *)buf;
	uint64_t was;

	*sum = 0;
	do {
		*map = (struct fiemap){
			.fm_start = off, .fm_length = end - off,
			.fm_extent_count = EXTENTS,
		};
		if (ioctl(f->fd, FS_IOC_FIEMAP, map))
			return false;
		was = off;
		*sum += space_of_extents(map, &off, end);
	} while (map->fm_mapped_extents == EXTENTS && off > was && off < end);
	return true;
}

/* As far as it is data. */
static uint64_t space_written(struct file *f, uint64_t off, uint64_t end)
{
	uint64_t sum = 0, n;
	bool data;

	for (; off < end; off += n) {
		n = end - off;
		if (file_extent(f, off, &n, &data))
			break;
		if (data)
			sum += n;
	}
	return sum;
}

void file_add_missing(struct file *f, uint64_t off, uint64_t len,
		      struct file_need *need)
{
	uint64_t end = align_up(off + len, BLOCK), placed, last;

	off = align_down(off, BLOCK);
	if (f->block_device || !len)
		return;
	if (space_placed(f, off, end, &placed)) {
		need->bytes += end - off - placed;
		return;
	}
	placed = space_written(f, off, end);
	last = max_u64(off, min_u64(end, align_up(f->size, BLOCK)));
	need->holes += last - off - min_u64(last - off, placed);
	need->bytes += end - off - placed;
}

uint64_t file_need(const struct file *f, const struct file_need *need)
{
	bool whole = file_disk_bytes(f) >= align_up(f->size, BLOCK);

	return need->bytes - (whole ? need->holes : 0);
}

/* A range onto itself is refused by every host that can clone, with other
 * words than one that can't has for it. Opened by the inode that we hold: to
 * open it takes no lock and to close it drops none. */
void file_probe_clone(struct file *f)
{
	struct file_clone_range range = { .src_length = BLOCK };
	char link[32];
	int fd;

	if (!f->can_clone || f->size < BLOCK)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	fd = open(link, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return;
	range.src_fd = fd;
	if (ioctl(fd, FICLONERANGE, &range) &&
	    (errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS))
		f->can_clone = false;
	close(fd);
}

static uint64_t space_left(const struct statvfs *fs)
{
	return (uint64_t)fs->f_bavail * fs->f_frsize;
}

uint64_t file_space(const struct file *f)
{
	struct statvfs fs;

	if (f->block_device || fstatvfs(f->fd, &fs))
		return UINT64_MAX;
	return space_left(&fs);
}

uint64_t file_space_at(const char *folder, dev_t *dev)
{
	struct statvfs fs;
	struct stat st;

	if (stat(folder, &st) || statvfs(folder, &fs))
		return UINT64_MAX;
	*dev = st.st_dev;
	return space_left(&fs);
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
	out->free = space_left(&fs);
	out->size = (uint64_t)fs.f_blocks * fs.f_frsize;
	file_system_climb(out->mount, st.st_dev);
	return 0;
}
