/* qcow2_file.h - a new qcow2 image at a path. */
#ifndef BLKMON_TESTS_QCOW2_FILE_H
#define BLKMON_TESTS_QCOW2_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "engine/image/qcow2/qcow2.h"

/* In the place of what is there. */
static inline void qcow2_file_new(const char *path,
				  const struct qcow2_create *o)
{
	struct err err = ERR_INIT;
	struct file *f;

	unlink(path);
	if (file_create(&f, path, 0600, false, FILE_CACHE_WRITEBACK, &err))
		fail_msg("%s", err.text);
	assert_int_equal(qcow2_create(f, o), 0);
	file_close(f);
}

#endif
