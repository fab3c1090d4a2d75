/* file_fault.h - a host that fails at one kind of operation. */
#ifndef BLKMON_TESTS_FILE_FAULT_H
#define BLKMON_TESTS_FILE_FAULT_H

#include <errno.h>

#include "engine/file/file.h"

static enum file_op file_fault_op;

static inline int file_fault(const struct file *f, enum file_op op,
			     uint64_t off, uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)len;
	(void)buf;
	return op == file_fault_op ? -EIO : 0;
}

/* From now on each @op ends with -EIO, until file_set_hook(NULL). */
static inline void file_fail(enum file_op op)
{
	file_fault_op = op;
	file_set_hook(file_fault);
}

#endif
