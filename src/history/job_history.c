/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever adds a line holds the file's lock (flock), which only they take: so
 * one of them alone moves a full file away. The others, who wait for the lock
 * of what has been moved, see that the name leads to another file now and
 * open that one. Where the lock is not to be had, because its holder hangs,
 * the line is added all the same and nothing is moved.
 */
#include "src/history/job_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/own_file.h"
#include "src/qmp/json/text.h"

#define LOCK_WAIT_NS (500 * NS_PER_MS)
#define LOCK_STEP_NS (2 * NS_PER_MS)
#define OPEN_TRIES 16
/* Of what another program may have written there. */
#define READ_MOST (2 * JOB_HISTORY_BYTES)

/* --- adding --- */

static bool job_history_lock(int fd)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_NS };
	uint64_t until = clock_ns() + LOCK_WAIT_NS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if ((errno != EWOULDBLOCK && errno != EINTR) ||
		    clock_ns() >= until)
			return false;
		nanosleep(&step, NULL);
	}
	return true;
}

static bool job_history_is_at(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !lstat(path, &b) && a.st_dev == b.st_dev &&
		a.st_ino == b.st_ino;
}

/* What was cut short gets a line of its own. */
static bool job_history_ends_well(int fd, off_t size)
{
	char last;

	return !size || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

/* What did not fit is taken back, if it is the last in the file. */
static int job_history_write(int fd, const char *line, size_t len,
			     bool locked)
{
	ssize_t n = write(fd, line, len);
	struct stat st;

	if (n == (ssize_t)len)
		return 0;
	if (n < 0)
		return -errno;
	if (locked && !fstat(fd, &st) && st.st_size >= n &&
	    ftruncate(fd, st.st_size - n))
		return -errno;
	return -ENOSPC;
}

static int job_history_append(int fd, const char *text, size_t len,
			      bool locked, off_t size)
{
	char *line = mem_try(1, len + 3);
	int rc;

	if (!line)
		return -ENOMEM;
	len = (size_t)snprintf(line, len + 3, "%s%s\n",
			       job_history_ends_well(fd, size) ? "" : "\n",
			       text);
	rc = job_history_write(fd, line, len, locked);
	free(line);
	return rc;
}

static int job_history_rotate(const char *path)
{
	char *old = mem_printf("%s.1", path);
	int rc = rename(path, old) ? -errno : 0;

	free(old);
	return rc;
}

/* 0; -errno; or -EAGAIN: the file is another one now. */
static int job_history_add_to(int fd, const char *path, const char *text,
			      size_t len)
{
	bool locked = job_history_lock(fd);
	struct stat st;

	if (!job_history_is_at(fd, path))
		return -EAGAIN;
	if (fstat(fd, &st))
		return -errno;
	if (locked && st.st_size &&
	    (size_t)st.st_size + len >= JOB_HISTORY_BYTES) {
		int rc = job_history_rotate(path);

		return rc ? rc : -EAGAIN;
	}
	return job_history_append(fd, text, len, locked, st.st_size);
}

static int job_history_add_text(const char *path, const char *text)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < OPEN_TRIES; i++) {
		int fd = own_file_open(path, "{", 0600);

		if (fd < 0)
			return fd;
		rc = job_history_add_to(fd, path, text, strlen(text));
		close(fd);
	}
	return rc;
}

int job_history_add(const json_t *entry, struct err *err)
{
	char *path = own_file_state("jobs.jsonl"), *text;
	int rc = -ENOMEM;

	if (!path)
		return 0;
	text = qmp_dump_text(entry, JSON_COMPACT);
	if (text)
		rc = job_history_add_text(path, text);
	if (rc)
		err_sys(err, rc, "Could not write '%s'", path);
	free(text);
	free(path);
	return rc ? -1 : 0;
}

/* --- reading --- */

/* The end of the file, with a NUL behind it; NULL, and *rc says why. */
static char *job_history_load(int fd, size_t *len, int *rc)
{
	off_t end = lseek(fd, 0, SEEK_END), at;
	char *text;
	ssize_t n;

	at = end > (off_t)READ_MOST ? end - (off_t)READ_MOST : 0;
	text = mem_try(1, (size_t)(end - at) + 1);
	*len = 0;
	*rc = text ? 0 : -ENOMEM;
	while (text && at + (off_t)*len < end) {
		n = pread(fd, text + *len, (size_t)(end - at) - *len,
			  at + (off_t)*len);
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	return text;
}

/* Adds the entries of whole lines, the last line first. */
static void job_history_parse(char *text, size_t len, size_t most,
			      json_t *list)
{
	char *end = memrchr(text, '\n', len);

	while (end && json_array_size(list) < most) {
		char *before = memrchr(text, '\n', (size_t)(end - text));
		char *line = before ? before + 1 : text;
		json_t *entry = json_loadb(line, (size_t)(end - line), 0, NULL);

		if (json_is_object(entry))
			json_array_append(list, entry);
		json_decref(entry);
		end = before;
	}
}

static int job_history_take(int fd, size_t most, json_t *list)
{
	size_t len;
	int rc;
	char *text = job_history_load(fd, &len, &rc);

	if (text)
		job_history_parse(text, len, most, list);
	free(text);
	return rc;
}

/* A descriptor; -ENOENT, or -errno. */
static int job_history_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
		      O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

/* The new file is opened first: moved away meanwhile, it is the old one, and
 * is not read twice. */
static int job_history_read_both(const char *path, size_t most, json_t *list)
{
	char *name = mem_printf("%s.1", path);
	int fd = job_history_open(path), old = job_history_open(name);
	int rc = fd == -ENOENT ? 0 : fd;

	if (fd >= 0)
		rc = job_history_take(fd, most, list);
	if (!rc && old >= 0 && (fd < 0 || !job_history_is_at(fd, name)))
		rc = job_history_take(old, most, list);
	if (fd >= 0)
		close(fd);
	if (old >= 0)
		close(old);
	free(name);
	return rc;
}

json_t *job_history_read(size_t most, struct err *err)
{
	char *path = own_file_state("jobs.jsonl");
	json_t *list = json_array();
	int rc = path ? job_history_read_both(path, most, list) : 0;

	if (rc) {
		err_sys(err, rc, "Could not read '%s'", path);
		json_decref(list);
		list = NULL;
	}
	free(path);
	return list;
}
