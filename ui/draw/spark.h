/* spark.h - numbers over time, one column each. */
#ifndef BLKMON_UI_SPARK_H
#define BLKMON_UI_SPARK_H

#include <stdint.h>

#include "ui/draw/canvas.h"

/* The last of @n values ends in front of column @x + @w; as many as fit. The
 * largest one fills its cell, none that is not 0 is empty. */
void spark_draw(struct canvas *c, unsigned x, unsigned y, unsigned w,
		const uint64_t *values, unsigned n);

#endif
