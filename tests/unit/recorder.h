/* recorder.h - a hook on files that writes a history of them, by the last part
 * of their names. Between begin and end of an operation other threads get a
 * turn, so that who does not wait for it is seen.
 */
#ifndef BLKMON_TESTS_RECORDER_H
#define BLKMON_TESTS_RECORDER_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file/file.h"
#include "tests/unit/history.h"

static struct history *recorder_history;

static inline const char *recorder_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static inline unsigned recorder_disk(const struct file *f)
{
	const char *name = recorder_name(f->path);
	struct history *h = recorder_history;
	unsigned n;

	pthread_mutex_lock(&h->lock);
	n = history_find(h, name);
	if (n == DISKS) {
		n = history_disk(h, name, NULL, 0);
		h->disk[n].fresh = true;
	}
	pthread_mutex_unlock(&h->lock);
	return n;
}

/* As zeroes, but it does not make the file longer. */
static inline size_t recorder_discard(struct history *h, unsigned disk,
				      uint64_t off, uint64_t len)
{
	uint64_t size;

	pthread_mutex_lock(&h->lock);
	size = h->disk[disk].size;
	pthread_mutex_unlock(&h->lock);
	off = off < size ? off : size;
	len = len < size - off ? len : size - off;
	return history_write(h, disk, off, len, NULL);
}

static int recorder_hook(const struct file *f, enum file_op op, uint64_t off,
			 uint64_t len, const void *buf)
{
	struct history *h = recorder_history;
	unsigned disk;
	size_t n;

	if (op == FILE_OP_READ || op == FILE_OP_OPEN || op == FILE_OP_RESERVE)
		return 0;
	/* what it would bring is not seen here; then it is copied */
	if (op == FILE_OP_CLONE)
		return -EOPNOTSUPP;
	if (op == FILE_OP_SYNC_DIR) {
		history_sync_dir(h);
		return 0;
	}
	disk = recorder_disk(f);
	if (op == FILE_OP_FLUSH)
		n = history_flush(h, disk);
	else if (op == FILE_OP_TRUNCATE)
		n = history_resize(h, disk, off);
	else if (op == FILE_OP_DISCARD)
		n = recorder_discard(h, disk, off, len);
	else
		n = history_write(h, disk, off, len, buf);
	sched_yield();
	history_end(h, n);
	return 0;
}

static inline uint8_t *recorder_load(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	if (fd < 0 || fstat(fd, &st))
		abort();
	*size = (uint64_t)st.st_size;
	data = malloc(*size + 1);
	if (pread(fd, data, *size, 0) != (ssize_t)*size)
		abort();
	close(fd);
	return data;
}

/* From here on; what the files @name hold now counts as durable. */
static inline void recorder_start(struct history *h, const char *const *name)
{
	uint64_t size;

	for (; *name; name++) {
		uint8_t *data = recorder_load(*name, &size);

		history_disk(h, *name, data, size);
	}
	recorder_history = h;
	file_set_hook(recorder_hook);
}

static inline void recorder_stop(void)
{
	file_set_hook(NULL);
	recorder_history = NULL;
}

#endif
