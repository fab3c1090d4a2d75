/* qcow2_fixture.h - small images for the unit tests of qcow2*.c, made by
 * qcow2_create() and then changed byte by byte. */
#ifndef BLKMON_TESTS_QCOW2_FIXTURE_H
#define BLKMON_TESTS_QCOW2_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

struct image {
	char dir[64];
	char path[96];
	struct file *file;
};

/* A new empty file in a folder of its own, in memory where that is possible:
 * flushes cost nothing there. */
static inline void image_new_empty(struct image *img)
{
	struct err err = ERR_INIT;

	strcpy(img->dir, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	strcat(img->dir, "/blkmon-qcow2-XXXXXX");
	assert_non_null(mkdtemp(img->dir));
	snprintf(img->path, sizeof(img->path), "%s/x.qcow2", img->dir);
	if (file_create(&img->file, img->path, 0600, false,
			FILE_CACHE_WRITEBACK, &err))
		fail_msg("%s", err.text);
}

static inline void image_new(struct image *img, const struct qcow2_create *o)
{
	image_new_empty(img);
	assert_int_equal(qcow2_create(img->file, o), 0);
}

static inline void image_free(struct image *img)
{
	file_close(img->file);
	unlink(img->path);
	rmdir(img->dir);
}

static inline void image_put(struct image *img, uint64_t at, const void *data,
			     size_t len)
{
	assert_int_equal(file_write(img->file, at, data, len), 0);
}

/* The low @width bytes of @value, big-endian. */
static inline void image_patch(struct image *img, uint64_t at, unsigned width,
			       uint64_t value)
{
	uint8_t be[8];

	put_be64(be, value);
	image_put(img, at, be + 8 - width, width);
}

static inline void image_read(struct image *img, struct qcow2_header *h)
{
	struct err err = ERR_INIT;

	if (qcow2_header_read(img->file, h, &err))
		fail_msg("%s", err.text);
}

/* Runs a line of shell that calls QEMU's tools on the image, "$I". Its status,
 * or -1 if they are not there. The image must not be locked by then, so the
 * file is closed and opened again. */
static inline int image_shell(struct image *img, const char *line)
{
	struct file_options o = { .path = img->path, .writable = true,
				  .role = LOCKS_WRITE };
	struct err err = ERR_INIT;
	char *quiet;
	int status;

	if (system("{ command -v qemu-img && command -v qemu-io; } >/dev/null"))
		return -1;
	setenv("I", img->path, 1);
	quiet = mem_printf("{ %s; } >/dev/null", line);
	file_close(img->file);
	status = system(quiet);
	free(quiet);
	if (file_open(&img->file, &o, &err))
		fail_msg("%s", err.text);
	return WEXITSTATUS(status);
}

static inline double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The most memory the program ever used; sanitizers keep what is freed. */
static inline long peak_kib(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return 0;
#else
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
#endif
}

#endif
