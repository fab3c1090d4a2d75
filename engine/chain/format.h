/* format.h - the table of image formats. */
#ifndef BLKMON_FORMAT_H
#define BLKMON_FORMAT_H

#include "engine/image/driver.h"

const struct driver *format_find(const char *name);	/* or NULL */
/* By the first bytes of the file; raw if nothing else fits. 0 or -errno. */
int format_probe(struct file *file, const struct driver **out);

#endif
