/* cat.h - the guest's content of a disk to stdout. */
#ifndef BLKMON_CAT_H
#define BLKMON_CAT_H

#include <stdint.h>

#include "engine/engine.h"
#include "engine/util/interrupt.h"

/* From @offset on, @length bytes or to the end. A regular file gets holes
 * where the disk reads as zeroes. 0, or -1 and err. */
int cat_image(struct engine *engine, const char *device, uint64_t offset,
	      uint64_t length, const struct interrupt *interrupt,
	      struct err *err);

#endif
