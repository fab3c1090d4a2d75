/* format.h - the table of image formats. */
#ifndef BLKMON_FORMAT_H
#define BLKMON_FORMAT_H

#include "engine/image/driver.h"

const struct driver *format_find(const char *name);	/* or NULL */
/* As a header says it: a bare file as backing file is recorded by QEMU under
 * the name of its protocol driver. */
const struct driver *format_find_said(const char *name);
/* Its name by what the file begins and ends with, "raw" if nothing else fits;
 * it may be none of the table. 0 or -errno. */
int format_probe(struct file *file, const char **name);

#endif
