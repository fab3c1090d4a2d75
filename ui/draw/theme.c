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

/* Eight colours: grey is either unreadable or no grey, so what is not looked
 * at first is dim; yellow and cyan are not to be seen on white. */
static const struct look dark_of_8[STYLE_COUNT] = {
	[STYLE_TEXT] = { -1, -1, 0 },
	[STYLE_DIM] = { -1, -1, DIM },
	[STYLE_STRONG] = { -1, -1, BOLD },
	[STYLE_BAR_TITLE] = { 7, 4, 0 },
	[STYLE_TITLE_WARN] = { 3, 4, BOLD },
	[STYLE_TITLE_BAD] = { 7, 1, BOLD },
	[STYLE_RULE] = { -1, -1, DIM },
	[STYLE_RULE_FOCUS] = { 6, -1, BOLD },
	[STYLE_DRIVE] = { 6, -1, BOLD },
	[STYLE_TREE] = { -1, -1, DIM },
	[STYLE_MARK] = { 3, -1, 0 },
	[STYLE_DATA] = { 4, -1, BOLD },
	[STYLE_DATA_ZERO] = { 7, 4, 0 },
	[STYLE_ZERO] = { -1, -1, DIM },
	[STYLE_COMPRESSED] = { 5, -1, 0 },
	[STYLE_DEAD] = { -1, -1, DIM },
	[STYLE_HOLE] = { -1, -1, DIM },
	[STYLE_PROGRESS] = { 2, -1, 0 },
	[STYLE_PROGRESS_REST] = { -1, -1, DIM },
	[STYLE_GOOD] = { 2, -1, BOLD },
	[STYLE_WARN] = { 3, -1, BOLD },
	[STYLE_BAD] = { 1, -1, BOLD },
	[STYLE_COMMAND] = { 6, -1, 0 },
	[STYLE_EVENT] = { 2, -1, 0 },
	[STYLE_MATCH] = { 0, 3, 0 },
	[STYLE_KEY] = { -1, -1, BOLD },
	[STYLE_HINT] = { -1, -1, 0 },
	[STYLE_TOUR] = { 7, 4, BOLD },
};

static const struct look light_of_8[STYLE_COUNT] = {
	[STYLE_TEXT] = { -1, -1, 0 },
	[STYLE_DIM] = { -1, -1, DIM },
	[STYLE_STRONG] = { -1, -1, BOLD },
	[STYLE_BAR_TITLE] = { 7, 4, 0 },
	[STYLE_TITLE_WARN] = { 3, 4, BOLD },
	[STYLE_TITLE_BAD] = { 7, 1, BOLD },
	[STYLE_RULE] = { -1, -1, DIM },
	[STYLE_RULE_FOCUS] = { 4, -1, BOLD },
	[STYLE_DRIVE] = { 4, -1, BOLD },
	[STYLE_TREE] = { -1, -1, DIM },
	[STYLE_MARK] = { 5, -1, 0 },
	[STYLE_DATA] = { 4, -1, 0 },
	[STYLE_DATA_ZERO] = { 7, 4, 0 },
	[STYLE_ZERO] = { -1, -1, DIM },
	[STYLE_COMPRESSED] = { 5, -1, 0 },
	[STYLE_DEAD] = { -1, -1, DIM },
	[STYLE_HOLE] = { -1, -1, DIM },
	[STYLE_PROGRESS] = { 2, -1, 0 },
	[STYLE_PROGRESS_REST] = { -1, -1, DIM },
	[STYLE_GOOD] = { 2, -1, BOLD },
	[STYLE_WARN] = { 5, -1, BOLD },
	[STYLE_BAD] = { 1, -1, BOLD },
	[STYLE_COMMAND] = { 4, -1, 0 },
	[STYLE_EVENT] = { 2, -1, 0 },
	[STYLE_MATCH] = { 0, 3, 0 },
	[STYLE_KEY] = { -1, -1, BOLD },
	[STYLE_HINT] = { -1, -1, 0 },
	[STYLE_TOUR] = { 7, 4, BOLD },
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

static const struct look *const themes[][2] = {
	[THEME_AUTO] = { dark, dark_of_8 }, [THEME_DARK] = { dark, dark_of_8 },
	[THEME_LIGHT] = { light, light_of_8 }, [THEME_MONO] = { mono, mono },
};

struct look theme_look(enum theme_name theme, enum style style, bool selected,
		       int colors)
{
	bool few = colors < 256;
	struct look look = themes[theme][few][style];

	if (selected && theme == THEME_MONO)
		look.attr ^= REV;
	else if (selected && few)
		look = (struct look) { 7, 4, BOLD };
	else if (selected)
		look.bg = theme == THEME_LIGHT ? 254 : 238;
	/* The terminal's own may be as the background is. */
	if (selected && look.bg >= 0 && look.fg < 0)
		look.fg = theme == THEME_LIGHT ? 16 : 255;
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
	[GLYPH_CLOSED] = { "○", "o" },
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
