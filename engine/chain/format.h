/* format.h - the table of image formats. */
#ifndef BLKMON_FORMAT_H
#define BLKMON_FORMAT_H

#include "engine/image/driver.h"

const struct driver *format_find(const char *name);	/* or NULL */
/* Its name by what the file begins and ends with, "raw" if nothing else fits;
 * it may be none of the table. 0 or -errno. */
int format_probe(struct file *file, const char **name);

#endif
