/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Help and details: a text over the panes, wrapped, scrolled, searched and
 * closed. It has keys of its own, and the last line tells them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/fields.h"
#include "src/console/image_text.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

static void overlay_open_overlay(struct sheet *s, char *title)
{
	struct overlay *o = &s->overlay;

	sheet_uncover(s);
	o->on = true;
	o->title = title;
}

#define HELP_COLUMN 66u		/* of one alone */
#define HELP_TWO 112u		/* columns of the screen for two of them */
#define HELP_KEY 11u		/* in front of what a key does */

/* @text in rows of @w columns, all but the first behind @indent blanks. */
static void help_add(struct str *out, const char *text, unsigned indent,
		     unsigned w)
{
	while (*text) {
		size_t len = text_row(text, w);

		str_add_mem(out, text, len);
		str_add_char(out, '\n');
		text += len + (text[len] == '\n');
		if (*text)
			str_addf(out, "%*s", (int)indent, "");
	}
}

static void help_signs(struct str *out, bool ascii, unsigned w)
{
	struct str maps = STR_INIT;

	str_addf(out, "\nIN FRONT OF THE NUMBERS STAND MARKS\n"
		"  T B  top and base of a job   r  read-only\n"
		"  s    internal snapshots      z  compressed clusters\n"
		"  d    dirty   X  corrupt      e  encrypted\n"
		"  !    not open: missing or unreadable\n"
		"  u    of another machine, where no drive uses it\n"
		"  %s    a file of the folder that is not open\n"
		"  ?    no format given for the backing file\n"
		"\nMAPS\n", theme_glyph(GLYPH_CLOSED, ascii));
	str_addf(&maps, "Each cell is an equal part of the disk, base and "
		 "overlays one below the other: %s data, filled as much as "
		 "this layer holds; %s dead: no disk sees it any more; %s "
		 "zeroes; %s compressed; %s nothing of its own. What no layer "
		 "has data in is left out where it is most; %s shows all.",
		 ascii ? ".:-=+*%#" : "▁▂▃▄▅▆▇█", ascii ? "x" : "░", "o 0",
		 ascii ? "z Z" : "▒ ▓", ascii ? "blank" : "·",
		 keys_name(ACTION_MAP));
	help_add(out, str_get(&maps), 0, w);
	str_release(&maps);
}

static void help_plans(struct str *out, unsigned w)
{
	static const enum action plans[] = {
		ACTION_SNAPSHOT, ACTION_STREAM, ACTION_COMMIT, ACTION_CANCEL,
	};
	struct str text = STR_INIT;

	for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++)
		str_addf(&text, "%s%s", i ? ", " : "", keys_name(plans[i]));
	str_addf(&text, " and %s show what they would do, before it is "
		 "done: Enter runs it, Esc leaves it, e edits its line in the "
		 "prompt, f forces what is refused, b plans what has to be "
		 "rebased first, u keeps a way back of a commit, - and + give "
		 "it a speed, y copies the line. Other keys write a command "
		 "into the prompt; Enter runs it, Esc takes it back. "
		 "Everything can be typed there as well: 'help' lists the "
		 "commands, Tab completes them.", keys_name(ACTION_COMPLETE));
	help_add(out, str_get(&text), 0, w);
	str_release(&text);
}

static void help_text(struct str *out, bool ascii, unsigned w)
{
	help_plans(out, w);
	str_add(out, "\nKEYS\n");
	for (unsigned i = 0; i < key_row_count; i++) {
		if (!key_rows[i].help)
			continue;
		str_addf(out, "  %-8s ", key_rows[i].name);
		help_add(out, key_rows[i].help, HELP_KEY, w - HELP_KEY);
	}
	help_signs(out, ascii, w);
}

/* The rows of @text from the left to the right, in two columns of @w. */
static void help_fold(struct str *out, const char *text, unsigned w)
{
	unsigned rows = text_rows(text, w), half = (rows + 1) / 2;
	const char *right = text;

	for (unsigned i = 0; i < half && *right; i++)
		right += strcspn(right, "\n") + 1;
	while (half--) {
		size_t len = strcspn(text, "\n"), of = strcspn(right, "\n");

		str_add_mem(out, text, len);
		if (of)
			str_addf(out, "%*s%.*s", (int)(w + 2 -
				 text_columns_upto(text, len)), "", (int)of,
				 right);
		str_add_char(out, '\n');
		text += len + 1;
		right += of + (right[of] == '\n');
	}
}

void overlay_help(struct sheet *s)
{
	bool two = s->canvas.w >= HELP_TWO;
	unsigned w = two ? (s->canvas.w - 5) / 2 : HELP_COLUMN;
	struct str text = STR_INIT;

	overlay_open_overlay(s, mem_dup("Help"));
	if (w > s->canvas.w - 4)
		w = s->canvas.w - 4;
	help_text(two ? &text : &s->overlay.text, s->canvas.ascii, w);
	if (two)
		help_fold(&s->overlay.text, str_get(&text), w);
	str_release(&text);
}

static void overlay_link(struct str *out, const json_t *entry, const char *key,
			 const char *name)
{
	const json_t *link = json_object_get(entry, key);

	if (!link)
		return;
	str_addf(out, "%s: ", name);
	str_add_safe(out, field_str(link, "file"));
	str_addf(out, "\n  %s ", field_bool(link, "missing") ?
		 "missing; looked for in" : "there:");
	str_add_safe(out, *field_str(link, "path") ? field_str(link, "path") :
		     "no local file");
	str_add_char(out, '\n');
}

/* What the header of a file says that is not open. */
static void overlay_closed(struct str *out, const struct view_image *v)
{
	const char *merged = field_str(v->entry, "merged-into");
	char size[16], disk[16];

	str_addf(out, "file format: %s\nvirtual size: %s\ndisk size: %s\n",
		 *v->format ? v->format : "unknown",
		 size_short(v->size, size, sizeof(size)),
		 size_short(v->disk, disk, sizeof(disk)));
	overlay_link(out, v->entry, "backing", "backing file");
	overlay_link(out, v->entry, "data-file", "data file");
	if (*merged) {
		str_add(out, "what it held is part of: ");
		str_add_safe(out, merged);
		str_add_char(out, '\n');
	}
}

void overlay_details(struct sheet *s, const struct view_image *v)
{
	struct str *out = &s->overlay.text, words = STR_INIT, raw = STR_INIT;

	overlay_open_overlay(s, mem_dup(v->name));
	s->overlay.copy = mem_dup(v->full);
	chains_words(s, v, &words);
	if (words.len)
		str_addf(out, "%s\n\n", str_get(&words));
	if (*v->node)
		str_addf(out, "node name: %s\n", v->node);
	if (strcmp(v->full, v->file)) {
		str_add(out, "path: ");
		str_add_safe(out, v->full);
		str_add_char(out, '\n');
	}
	if (v->image) {
		image_text(v->image, &raw);
		for (const char *line = str_get(&raw); *line; ) {
			size_t len = strcspn(line, "\n");
			char *text = mem_printf("%.*s", (int)len, line);

			str_add_safe(out, text);
			str_add_char(out, '\n');
			free(text);
			line += len + (line[len] == '\n');
		}
	} else {
		str_addf(out, "image: %s\n", v->path);
	}
	if (v->entry)
		overlay_closed(out, v);
	str_release(&words);
	str_release(&raw);
}

/* --- rows --- */

/* The row at *@at, of *@len bytes; *@at moves on to the next. NULL: the end. */
static const char *overlay_next_row(const struct overlay *o, const char **at,
				    size_t *len)
{
	const char *row = *at;

	if (!*row)
		return NULL;
	*len = text_row(row, o->w);
	*at = row + *len + (row[*len] == '\n');
	return row;
}

static unsigned overlay_count(const struct overlay *o)
{
	const char *at = str_get(&o->text);
	unsigned n = 0;
	size_t len;

	while (overlay_next_row(o, &at, &len))
		n++;
	return n;
}

static void overlay_scroll(struct overlay *o, int64_t by)
{
	int64_t to = (int64_t)o->first + by;
	int64_t last = o->lines > o->page ? o->lines - o->page : 0;

	o->first = (unsigned)(to < 0 ? 0 : to > last ? last : to);
}

/* --- searching --- */

static bool overlay_row_matches(const char *row, size_t len, const char *what)
{
	char *text = mem_printf("%.*s", (int)len, row);
	bool matches = text_find(text, what);

	free(text);
	return matches;
}

/* The first matching row from @from on, or the last before it. */
static void overlay_find(struct overlay *o, unsigned from, bool back)
{
	const char *at = str_get(&o->text), *row, *what = str_get(&o->find);
	unsigned found = o->lines;
	size_t len;

	for (unsigned i = 0; (row = overlay_next_row(o, &at, &len)); i++) {
		if (back ? i >= from : i < from)
			continue;
		if (!overlay_row_matches(row, len, what))
			continue;
		found = i;
		if (!back)
			break;
	}
	o->says = found < o->lines ? NULL : "no match";
	if (found == o->lines)
		return;
	o->found = found;
	if (found < o->first || found >= o->first + o->page)
		overlay_scroll(o, (int64_t)found - (int64_t)o->first);
}

static void overlay_again(struct overlay *o, bool back)
{
	if (!o->find.len)
		o->says = "/ searches";
	else
		overlay_find(o, back ? o->found : o->found + 1, back);
}

static void chop(struct str *text)
{
	while (text->len && (text->s[--text->len] & 0xc0) == 0x80)
		;
	if (text->s)
		text->s[text->len] = '\0';
}

/* While it is typed, what is found moves with it. */
static void overlay_type(struct overlay *o, const struct key *key)
{
	if (key->code == KEY_RETURN || key->code == KEY_ESC ||
	    key->code == KEY_CTRL_C) {
		o->typing = false;
		if (key->code != KEY_RETURN)
			str_clear(&o->find);
		return;
	}
	if (key->code == KEY_BS || key->code == '\b')
		chop(&o->find);
	else if (key->code >= ' ' && key->code < KEY_NAMED)
		str_add_mem(&o->find, key->bytes, key->len);
	if (o->find.len)
		overlay_find(o, o->first, false);
}

/* --- keys --- */

static void overlay_mouse(struct sheet *s, const struct key *key)
{
	if (key->mouse == MOUSE_WHEEL_UP)
		overlay_scroll(&s->overlay, -3);
	else if (key->mouse == MOUSE_WHEEL_DOWN)
		overlay_scroll(&s->overlay, 3);
	else if (key->mouse == MOUSE_PRESS)
		sheet_uncover(s);
}

static bool overlay_move(struct overlay *o, int code)
{
	int64_t page = o->page > 1 ? o->page - 1 : 1;

	switch (key_action(code, PANE_CHAINS)) {
	case ACTION_UP:
		overlay_scroll(o, -1);
		return true;
	case ACTION_DOWN:
		overlay_scroll(o, 1);
		return true;
	case ACTION_PAGE_UP:
		overlay_scroll(o, -page);
		return true;
	case ACTION_PAGE_DOWN:
		overlay_scroll(o, page);
		return true;
	case ACTION_FIRST:
		overlay_scroll(o, -(int64_t)o->lines);
		return true;
	case ACTION_LAST:
		overlay_scroll(o, o->lines);
		return true;
	default:
		if (code == ' ')
			overlay_scroll(o, page);
		return code == ' ';
	}
}

static void overlay_act(struct sheet *s, enum action action, int code)
{
	struct overlay *o = &s->overlay;

	if (action == ACTION_SEARCH) {
		o->typing = true;
		str_clear(&o->find);
	} else if (action == ACTION_AGAIN || action == ACTION_BACK) {
		overlay_again(o, action == ACTION_BACK);
	} else if (action == ACTION_COPY && o->copy) {
		sheet_copy(s, o->copy);
		o->says = "its path went to the terminal's clipboard";
	} else if (code == KEY_ESC || action == ACTION_QUIT ||
		   action == ACTION_DETAILS || action == ACTION_HELP ||
		   action == ACTION_INTERRUPT) {
		sheet_uncover(s);
	} else {
		o->says = "no such key here";
	}
}

bool overlay_key(struct sheet *s, const struct key *key)
{
	struct overlay *o = &s->overlay;
	enum action action = key_action(key->code, PANE_CHAINS);

	if (action == ACTION_SUSPEND || action == ACTION_REDRAW)
		return false;
	if (key->code == KEY_MOUSE) {
		overlay_mouse(s, key);
		return true;
	}
	o->says = NULL;
	if (o->typing)
		overlay_type(o, key);
	else if (!overlay_move(o, key->code))
		overlay_act(s, action, key->code);
	return true;
}

/* --- drawing --- */

static unsigned overlay_hint(struct canvas *c, unsigned x, const char *key,
			     const char *what)
{
	unsigned y = c->h - 1;

	if (x + text_columns(key) + 1 + text_columns(what) > c->w)
		return x;
	x += canvas_put(c, x, y, c->w, STYLE_KEY, key) + 1;
	return x + canvas_put(c, x, y, c->w, STYLE_HINT, what) + 2;
}

static void overlay_draw_bar(struct sheet *s)
{
	struct overlay *o = &s->overlay;
	struct canvas *c = &s->canvas;
	unsigned y = c->h - 1, x = 1, end = o->first + o->page;

	canvas_repeat(c, 0, y, c->w, STYLE_TEXT, " ");
	if (o->typing) {
		x += canvas_putf(c, x, y, c->w, STYLE_TEXT, "/%s",
				 str_get(&o->find));
		c->cursor_x = (int)x;
		c->cursor_y = (int)y;
		canvas_putf(c, x + 3, y, c->w, STYLE_WARN, "%s",
			    o->says ? o->says : "");
		return;
	}
	if (o->says) {
		x = overlay_hint(c, x, "Esc", "Back");
		canvas_put(c, x, y, c->w - x, STYLE_WARN, o->says);
		return;
	}
	x += canvas_putf(c, x, y, c->w, STYLE_HINT, "%u-%u of %u",
			 o->lines ? o->first + 1 : 0,
			 end < o->lines ? end : o->lines, o->lines) + 3;
	x = overlay_hint(c, x, "Esc", "Back");
	x = overlay_hint(c, x, c->ascii ? "Up Down" : "↑ ↓", "Scroll");
	x = overlay_hint(c, x, "/ n N", "Search");
	if (o->copy)
		overlay_hint(c, x, "y", "Copy path");
}

static void overlay_draw_rows(struct sheet *s, unsigned y)
{
	struct overlay *o = &s->overlay;
	struct canvas *c = &s->canvas;
	const char *at = str_get(&o->text), *row;
	size_t len;

	for (unsigned i = 0; i < o->first + o->page; i++) {
		char *text;

		row = overlay_next_row(o, &at, &len);
		if (!row)
			return;
		if (i < o->first)
			continue;
		text = mem_printf("%.*s", (int)len, row);
		canvas_put(c, 2, y, c->w - 3, STYLE_TEXT, text);
		canvas_mark(c, 2, y++, text, str_get(&o->find));
		free(text);
	}
}

void overlay_draw(struct sheet *s)
{
	struct overlay *o = &s->overlay;
	struct canvas *c = &s->canvas;

	struct str title = STR_INIT;

	if (!o->on)
		return;
	c->cursor_x = c->cursor_y = -1;
	o->w = c->w > 3 ? c->w - 3 : 1;
	o->lines = overlay_count(o);
	o->page = c->h > 4 ? c->h - 3 : 1;
	overlay_scroll(o, 0);
	for (unsigned i = 1; i + 1 < c->h; i++)
		canvas_repeat(c, 0, i, c->w, STYLE_TEXT, " ");
	canvas_repeat(c, 0, 1, c->w, STYLE_RULE_FOCUS,
		      theme_glyph(GLYPH_RULE_FOCUS, c->ascii));
	text_fit_middle(&title, o->title, c->w - 4, c->ascii);
	canvas_putf(c, 1, 1, c->w - 2, STYLE_RULE_FOCUS, " %s ",
		    str_get(&title));
	str_release(&title);
	overlay_draw_rows(s, 2);
	overlay_draw_bar(s);
}
