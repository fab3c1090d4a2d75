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
	uint64_t held = cell->data + cell->zero + cell->compressed;
	unsigned level = eighths(held, len);

	if (!level) {
		*style = STYLE_HOLE;
		return ascii ? " " : "·";
	}
	if (cell->data >= cell->zero && cell->data >= cell->compressed) {
		*style = STYLE_DATA;
		return theme_level(eighths(cell->data, len), ascii);
	}
	if (cell->compressed >= cell->zero) {
		*style = STYLE_COMPRESSED;
		if (ascii)
			return level > 4 ? "Z" : "z";
		return level > 4 ? "▓" : "▒";
	}
	*style = STYLE_ZERO;
	return level > 4 ? "0" : "o";
}

struct strip_cell strip_scaled(const struct strip_cell *from, unsigned n,
			       unsigned i, unsigned to)
{
	if (!n || !to)
		return (struct strip_cell) { 0 };
	return from[(uint64_t)i * n / to];
}
