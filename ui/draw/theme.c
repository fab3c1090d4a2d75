/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/draw/theme.h"

#define BOLD LOOK_BOLD
#define DIM LOOK_DIM
#define REV LOOK_REVERSE
#define UNDER LOOK_UNDERLINE

static const struct look dark[STYLE_COUNT] = {
	[STYLE_TEXT] = { -1, -1, 0 },
	[STYLE_DIM] = { 245, -1, 0 },
	[STYLE_STRONG] = { -1, -1, BOLD },
	[STYLE_BAR_TITLE] = { 252, 236, 0 },
	[STYLE_TITLE_WARN] = { 221, 236, BOLD },
	[STYLE_TITLE_BAD] = { 203, 236, BOLD },
	[STYLE_RULE] = { 244, -1, 0 },
	[STYLE_RULE_FOCUS] = { 80, -1, BOLD },
	[STYLE_DRIVE] = { 80, -1, BOLD },
	[STYLE_TREE] = { 242, -1, 0 },
	[STYLE_MARK] = { 180, -1, 0 },
	[STYLE_DATA] = { 75, -1, 0 },
	[STYLE_DATA_ZERO] = { 75, 237, 0 },
	[STYLE_ZERO] = { 242, -1, 0 },
	[STYLE_COMPRESSED] = { 176, -1, 0 },
	[STYLE_DEAD] = { 243, -1, 0 },
	[STYLE_HOLE] = { 238, -1, 0 },
	[STYLE_PROGRESS] = { 114, -1, 0 },
	[STYLE_PROGRESS_REST] = { 239, -1, 0 },
	[STYLE_GOOD] = { 114, -1, BOLD },
	[STYLE_WARN] = { 221, -1, BOLD },
	[STYLE_BAD] = { 203, -1, BOLD },
	[STYLE_COMMAND] = { 80, -1, 0 },
	[STYLE_EVENT] = { 114, -1, 0 },
	[STYLE_MATCH] = { 16, 221, 0 },
	[STYLE_KEY] = { -1, -1, BOLD },
	[STYLE_HINT] = { 245, -1, 0 },
	[STYLE_TOUR] = { 231, 24, 0 },
};

static const struct look light[STYLE_COUNT] = {
	[STYLE_TEXT] = { -1, -1, 0 },
	[STYLE_DIM] = { 243, -1, 0 },
	[STYLE_STRONG] = { -1, -1, BOLD },
	[STYLE_BAR_TITLE] = { 236, 253, 0 },
	[STYLE_TITLE_WARN] = { 94, 253, BOLD },
	[STYLE_TITLE_BAD] = { 160, 253, BOLD },
	[STYLE_RULE] = { 245, -1, 0 },
	[STYLE_RULE_FOCUS] = { 25, -1, BOLD },
	[STYLE_DRIVE] = { 25, -1, BOLD },
	[STYLE_TREE] = { 247, -1, 0 },
	[STYLE_MARK] = { 94, -1, 0 },
	[STYLE_DATA] = { 25, -1, 0 },
	[STYLE_DATA_ZERO] = { 25, 252, 0 },
	[STYLE_ZERO] = { 246, -1, 0 },
	[STYLE_COMPRESSED] = { 90, -1, 0 },
	[STYLE_DEAD] = { 247, -1, 0 },
	[STYLE_HOLE] = { 251, -1, 0 },
	[STYLE_PROGRESS] = { 28, -1, 0 },
	[STYLE_PROGRESS_REST] = { 251, -1, 0 },
	[STYLE_GOOD] = { 28, -1, BOLD },
	[STYLE_WARN] = { 130, -1, BOLD },
	[STYLE_BAD] = { 160, -1, BOLD },
	[STYLE_COMMAND] = { 25, -1, 0 },
	[STYLE_EVENT] = { 28, -1, 0 },
	[STYLE_MATCH] = { 16, 222, 0 },
	[STYLE_KEY] = { -1, -1, BOLD },
	[STYLE_HINT] = { 243, -1, 0 },
	[STYLE_TOUR] = { 16, 153, 0 },
};

static const struct look mono[STYLE_COUNT] = {
	[STYLE_TEXT] = { -1, -1, 0 },
	[STYLE_DIM] = { -1, -1, DIM },
	[STYLE_STRONG] = { -1, -1, BOLD },
	[STYLE_BAR_TITLE] = { -1, -1, REV },
	[STYLE_TITLE_WARN] = { -1, -1, REV | BOLD },
	[STYLE_TITLE_BAD] = { -1, -1, REV | BOLD | UNDER },
	[STYLE_RULE] = { -1, -1, 0 },
	[STYLE_RULE_FOCUS] = { -1, -1, BOLD },
	[STYLE_DRIVE] = { -1, -1, BOLD },
	[STYLE_TREE] = { -1, -1, DIM },
	[STYLE_MARK] = { -1, -1, 0 },
	[STYLE_DATA] = { -1, -1, 0 },
	[STYLE_DATA_ZERO] = { -1, -1, 0 },
	[STYLE_ZERO] = { -1, -1, DIM },
	[STYLE_COMPRESSED] = { -1, -1, 0 },
	[STYLE_DEAD] = { -1, -1, DIM },
	[STYLE_HOLE] = { -1, -1, DIM },
	[STYLE_PROGRESS] = { -1, -1, 0 },
	[STYLE_PROGRESS_REST] = { -1, -1, DIM },
	[STYLE_GOOD] = { -1, -1, BOLD },
	[STYLE_WARN] = { -1, -1, BOLD },
	[STYLE_BAD] = { -1, -1, BOLD | UNDER },
	[STYLE_COMMAND] = { -1, -1, BOLD },
	[STYLE_EVENT] = { -1, -1, 0 },
	[STYLE_MATCH] = { -1, -1, REV },
	[STYLE_KEY] = { -1, -1, BOLD },
	[STYLE_HINT] = { -1, -1, 0 },
	[STYLE_TOUR] = { -1, -1, REV },
};

static const struct look *const themes[] = {
	[THEME_AUTO] = dark, [THEME_DARK] = dark, [THEME_LIGHT] = light,
	[THEME_MONO] = mono,
};

/* Of one of 6 * 6 * 6 colours, which of red, green and blue are more than half
 * as strong as the strongest; greys are black or white. */
static short basic(short color)
{
	short c = (short)(color - 16);
	short part[] = { (short)(c / 36), (short)(c / 6 % 6), (short)(c % 6) };
	short most = 0, bits = 0;

	if (color < 8)
		return color;
	if (color < 16)
		return (short)(color - 8);
	if (color >= 232)
		return color >= 240 ? 7 : 0;
	for (int i = 0; i < 3; i++)
		most = part[i] > most ? part[i] : most;
	for (int i = 0; i < 3; i++)
		bits |= (short)(part[i] * 2 > most ? 1 << i : 0);
	return bits;
}

struct look theme_look(enum theme_name theme, enum style style, bool selected,
		       int colors)
{
	struct look look = themes[theme][style];

	if (selected && theme == THEME_MONO)
		look.attr ^= REV;
	else if (selected && colors < 256)
		look = (struct look) { 7, 4, BOLD };
	else if (selected)
		look.bg = theme == THEME_LIGHT ? 254 : 238;
	/* The terminal's own may be as the background is. */
	if (selected && look.bg >= 0 && look.fg < 0)
		look.fg = theme == THEME_LIGHT ? 16 : 255;
	if (colors >= 256)
		return look;
	/* Grey on eight colours is either unreadable or no grey. */
	if (look.fg >= 232 && look.bg < 0)
		look = (struct look) { -1, -1, look.attr };
	look.fg = basic(look.fg);
	look.bg = basic(look.bg);
	return look;
}

static const char *const glyphs[GLYPH_COUNT][2] = {
	[GLYPH_TREE_FIRST] = { "┬", "+" },
	[GLYPH_TREE_MIDDLE] = { "├", "|" },
	[GLYPH_TREE_LAST] = { "└", "`" },
	[GLYPH_TREE_ONLY] = { "─", "-" },
	[GLYPH_TREE_BRANCH] = { "├─", "|-" },
	[GLYPH_TREE_BRANCH_LAST] = { "└─", "`-" },
	[GLYPH_TREE_LINE] = { "│ ", "| " },
	[GLYPH_RULE] = { "─", "-" },
	[GLYPH_DRIVE] = { "◀ ", "< " },
	[GLYPH_ARROW] = { "→", "->" },
	[GLYPH_BULLET] = { "●", "*" },
	[GLYPH_MORE] = { "▾", "v" },
	[GLYPH_RULE_FOCUS] = { "━", "=" },
	[GLYPH_ELLIPSIS] = { "…", "~" },
	[GLYPH_RETURN] = { "↵", "|" },
	[GLYPH_STRIP_LEFT] = { "▕", "[" },
	[GLYPH_STRIP_RIGHT] = { "▏", "]" },
	[GLYPH_PROGRESS_REST] = { "─", "." },
};

const char *theme_glyph(enum glyph glyph, bool ascii)
{
	return glyphs[glyph][ascii];
}

const char *theme_bar(unsigned eighths, bool ascii)
{
	static const char *const bars[] = {
		" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█",
	};

	return ascii ? eighths >= 8 ? "#" : eighths >= 4 ? "=" : "-" :
		bars[eighths > 8 ? 8 : eighths];
}

const char *theme_level(unsigned eighths, bool ascii)
{
	static const char *const levels[] = {
		" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█",
	};
	static const char *const ramp[] = {
		" ", ".", ":", "-", "=", "+", "*", "%", "#",
	};

	return (ascii ? ramp : levels)[eighths > 8 ? 8 : eighths];
}
