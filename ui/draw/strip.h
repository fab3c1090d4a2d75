/* strip.h - one cell of the map of an image.
 *
 * A cell stands for an equal part of the virtual disk and shows how much of it
 * this layer holds, in eighths: data a filled level, zeroes "0", compressed a
 * shade ("z" in ASCII). Any byte that is held shows, and no zeroes hide data:
 * where both are, the level is that of the data. Where no disk sees any of the
 * data that is held, it is a light shade ("x").
 */
#ifndef BLKMON_UI_STRIP_H
#define BLKMON_UI_STRIP_H

#include <stdbool.h>
#include <stdint.h>

#include "ui/draw/theme.h"

#define STRIP_CELLS 512		/* of the widest strip */

struct strip_cell {
	uint64_t data, zero, compressed;	/* bytes held */
	uint64_t dead;				/* of data and compressed */
};

/* The glyph for a part of @len bytes and how it is drawn. */
const char *strip_glyph(const struct strip_cell *cell, uint64_t len,
			bool ascii, enum style *style);
/* Cells of @from, @n of them, for a strip of another width: cell @i of @to.
 * Where it is narrower, the fullest of each kind that fall into one. */
struct strip_cell strip_scaled(const struct strip_cell *from, unsigned n,
			       unsigned i, unsigned to);

#endif
