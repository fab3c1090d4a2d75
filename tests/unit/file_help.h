/* file_help.h - what tests of files have in common. */
#ifndef BLKMON_TESTS_FILE_HELP_H
#define BLKMON_TESTS_FILE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "engine/file/file.h"
#include "tests/unit/scratch.h"

static inline struct file *create(const char *path, enum file_cache cache)
{
	struct err err = ERR_INIT;
	struct file *f = NULL;

	if (file_create(&f, path, 0600, false, cache, &err))
		fail_msg("%s", err.text);
	return f;
}

static inline struct file *open_file(const char *path, bool writable,
				     enum file_cache cache)
{
	struct file_options o = {
		.path = path,
		.writable = writable,
		.role = writable ? LOCKS_WRITE : LOCKS_READ,
		.cache = cache,
	};
	struct err err = ERR_INIT;
	struct file *f = NULL;

	if (file_open(&f, &o, &err))
		fail_msg("%s", err.text);
	return f;
}

static inline void fill(uint8_t *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((i * 131 + seed * 7919) >> 3 | 1);
}

static inline void assert_reads(struct file *f, uint64_t off,
				const void *want, size_t len)
{
	uint8_t *buf = malloc(len);

	memset(buf, 0xee, len);
	assert_int_equal(file_read(f, off, buf, len), 0);
	assert_memory_equal(buf, want, len);
	free(buf);
}

static inline uint64_t size_on_disk(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static inline void assert_extent(struct file *f, uint64_t off, uint64_t look,
				 bool data, uint64_t len)
{
	bool got;

	assert_int_equal(file_extent(f, off, &look, &got), 0);
	assert_int_equal(got, data);
	assert_int_equal(look, len);
}

#endif
