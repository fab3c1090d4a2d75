/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/draw/strip.h"

static unsigned eighths(uint64_t part, uint64_t len)
{
	double share;

	if (!part)
		return 0;
	if (part >= len)
		return 8;
	share = (double)part / (double)len * 8;
	return share < 1 ? 1 : (unsigned)share;
}

const char *strip_glyph(const struct strip_cell *cell, uint64_t len,
			bool ascii, enum style *style)
{
	uint64_t data = cell->data + cell->compressed;
	unsigned level = eighths(data + cell->zero, len);

	if (!level) {
		*style = STYLE_HOLE;
		return ascii ? " " : "·";
	}
	if (!data) {
		*style = STYLE_ZERO;
		return level > 4 ? "0" : "o";
	}
	if (cell->dead >= data) {
		*style = STYLE_DEAD;
		return ascii ? "x" : "░";
	}
	if (cell->data >= cell->compressed) {
		*style = cell->zero ? STYLE_DATA_ZERO : STYLE_DATA;
		return theme_level(eighths(data, len), ascii);
	}
	*style = STYLE_COMPRESSED;
	if (ascii)
		return level > 4 ? "Z" : "z";
	return level > 4 ? "▓" : "▒";
}

static uint64_t strip_most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct strip_cell strip_scaled(const struct strip_cell *from, unsigned n,
			       unsigned i, unsigned to)
{
	struct strip_cell cell = { 0 };
	unsigned at, end;
	bool alive = false;

	if (!n || !to)
		return cell;
	at = (unsigned)((uint64_t)i * n / to);
	end = (unsigned)((uint64_t)(i + 1) * n / to);
	do {
		cell.data = strip_most(cell.data, from[at].data);
		cell.zero = strip_most(cell.zero, from[at].zero);
		cell.compressed = strip_most(cell.compressed,
					     from[at].compressed);
		alive |= from[at].data + from[at].compressed > from[at].dead;
	} while (++at < end);
	cell.dead = alive ? 0 : cell.data + cell.compressed;
	return cell;
}
