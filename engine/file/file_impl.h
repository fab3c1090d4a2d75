/* file_impl.h - what file.c and file_io.c share; nobody else's. */
#ifndef BLKMON_FILE_IMPL_H
#define BLKMON_FILE_IMPL_H

#include "engine/file/file.h"

/* Asks the hook: 0 or its -errno. */
int file_hooked(const struct file *f, enum file_op op, uint64_t off,
		uint64_t len, const void *buf);

#endif
