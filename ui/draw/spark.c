/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/draw/spark.h"

static unsigned spark_level(uint64_t value, uint64_t most)
{
	unsigned level = most ? (unsigned)((double)value * 8 / (double)most) :
		0;

	return value && !level ? 1 : level;
}

void spark_draw(struct canvas *c, unsigned x, unsigned y, unsigned w,
		const uint64_t *values, unsigned n)
{
	uint64_t most = 0;

	if (n > w) {
		values += n - w;
		n = w;
	}
	for (unsigned i = 0; i < n; i++)
		most = values[i] > most ? values[i] : most;
	for (unsigned i = 0; i < n; i++)
		canvas_put(c, x + w - n + i, y, 1, STYLE_PROGRESS,
			   theme_level(spark_level(values[i], most),
				       c->ascii));
}
