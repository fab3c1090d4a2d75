/* theme.h - from what a cell means to how it looks.
 *
 * Drawing code names a meaning only. A theme has a row for each; meaning never
 * hangs on colour alone, so the mono theme loses nothing.
 */
#ifndef BLKMON_UI_THEME_H
#define BLKMON_UI_THEME_H

#include <stdbool.h>

enum style {
	STYLE_TEXT,
	STYLE_DIM,		/* what is not looked at first */
	STYLE_STRONG,
	STYLE_BAR_TITLE,	/* the first line of the screen */
	STYLE_TITLE_WARN,	/* in it */
	STYLE_TITLE_BAD,
	STYLE_RULE,		/* heads of panes */
	STYLE_RULE_FOCUS,
	STYLE_DRIVE,
	STYLE_TREE,
	STYLE_MARK,
	STYLE_DATA,		/* cells of a strip */
	STYLE_DATA_ZERO,	/* data, and zeroes where it is not */
	STYLE_ZERO,
	STYLE_COMPRESSED,
	STYLE_DEAD,		/* data that nobody sees any more */
	STYLE_HOLE,
	STYLE_PROGRESS,
	STYLE_PROGRESS_REST,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_COMMAND,		/* lines that were typed */
	STYLE_EVENT,
	STYLE_MATCH,		/* found by a search */
	STYLE_KEY,		/* a key's name */
	STYLE_HINT,		/* what the key does */
	STYLE_TOUR,
	STYLE_COUNT
};

/* auto: as the terminal is; without one, dark. */
enum theme_name { THEME_AUTO, THEME_DARK, THEME_LIGHT, THEME_MONO };
#define THEME_WORDS "auto|dark|light|mono"	/* in that order */

#define LOOK_BOLD 1u
#define LOOK_DIM 2u
#define LOOK_REVERSE 4u
#define LOOK_UNDERLINE 8u

/* Colours are numbers of the 256-colour palette, -1 the terminal's own. The
 * first eight are those that every colour terminal has. */
struct look {
	short fg, bg;
	unsigned attr;		/* LOOK_... */
};

/* @colors: how many the terminal has; for less than 256 there are tables of
 * eight. A look that has a background has a foreground too. */
struct look theme_look(enum theme_name theme, enum style style, bool selected,
		       int colors);

enum glyph {
	GLYPH_TREE_FIRST, GLYPH_TREE_MIDDLE, GLYPH_TREE_LAST, GLYPH_TREE_ONLY,
	GLYPH_TREE_BRANCH, GLYPH_TREE_BRANCH_LAST, GLYPH_TREE_LINE,
	GLYPH_RULE, GLYPH_DRIVE, GLYPH_ARROW, GLYPH_BULLET, GLYPH_MORE,
	GLYPH_RULE_FOCUS, GLYPH_ELLIPSIS, GLYPH_RETURN, GLYPH_STRIP_LEFT,
	GLYPH_STRIP_RIGHT, GLYPH_PROGRESS_REST, GLYPH_CLOSED, GLYPH_COUNT
};

const char *theme_glyph(enum glyph glyph, bool ascii);
/* A horizontal bar cell filled @eighths / 8, and a vertical one. */
const char *theme_bar(unsigned eighths, bool ascii);
const char *theme_level(unsigned eighths, bool ascii);

#endif
