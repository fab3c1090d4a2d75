/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Help and details: a text in a frame over the panes, scrolled and closed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
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

static void add_signs(struct str *out, bool ascii)
{
	str_addf(out, "\nIN FRONT OF THE FORMAT STAND MARKS\n"
		 "  T B  top and base of a job     r  read-only\n"
		 "  s    internal snapshots        z  compressed clusters\n"
		 "  d    dirty   X  corrupt        e  encrypted\n"
		 "  !    not open: missing or unreadable\n"
		 "  ?    the header does not say the backing file's format\n"
		 "\nMAPS\n"
		 "Each cell is an equal part of the disk, base and overlays "
		 "one below\nthe other: %s data, filled as much as this layer "
		 "holds; %s zeroes;\n%s compressed; %s nothing of its own.\n",
		 ascii ? ".:-=+*%#" : "▁▂▃▄▅▆▇█", "o 0",
		 ascii ? "z Z" : "▒ ▓", ascii ? "blank" : "·");
}

void overlay_help(struct sheet *s)
{
	struct str *out = &s->overlay.text;

	overlay_open_overlay(s, mem_dup("Help"));
	str_add(out, "Keys write a command into the prompt; Enter runs it, "
		"Esc takes it\nback. Everything can be typed there as well: "
		"'help' lists the\ncommands, Tab completes them.\n\nKEYS\n");
	for (unsigned i = 0; i < key_row_count; i++) {
		const char *help = key_rows[i].help;

		if (!help)
			continue;
		str_addf(out, "  %-8s ", key_rows[i].name);
		/* The rest of a long sentence stands below its beginning. */
		while (strlen(help) > 56) {
			size_t at = 56;

			while (at && help[at] != ' ')
				at--;
			str_add_mem(out, help, at);
			str_addf(out, "\n%11s", "");
			help += at + 1;
		}
		str_addf(out, "%s\n", help);
	}
	add_signs(out, s->canvas.ascii);
}

void overlay_details(struct sheet *s, const struct view_image *v)
{
	struct str *out = &s->overlay.text, words = STR_INIT, raw = STR_INIT;

	overlay_open_overlay(s, mem_dup(v->name));
	chains_words(s, v, &words);
	if (words.len)
		str_addf(out, "%s\n\n", str_get(&words));
	if (*v->node)
		str_addf(out, "node name: %s\n", v->node);
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
	str_release(&words);
	str_release(&raw);
}

static void overlay_scroll(struct overlay *o, int64_t by)
{
	int64_t to = (int64_t)o->first + by;
	int64_t last = o->lines > o->page ? o->lines - o->page : 0;

	o->first = (unsigned)(to < 0 ? 0 : to > last ? last : to);
}

bool overlay_key(struct sheet *s, const struct key *key)
{
	struct overlay *o = &s->overlay;
	enum action action = key_action(key->code, PANE_CHAINS);

	if (key->code == KEY_MOUSE) {
		if (key->mouse == MOUSE_WHEEL_UP)
			overlay_scroll(o, -3);
		else if (key->mouse == MOUSE_WHEEL_DOWN)
			overlay_scroll(o, 3);
		else if (key->mouse == MOUSE_PRESS)
			sheet_uncover(s);
		return true;
	}
	if (action == ACTION_UP || action == ACTION_DOWN)
		overlay_scroll(o, action == ACTION_UP ? -1 : 1);
	else if (action == ACTION_PAGE_UP)
		overlay_scroll(o, -(int64_t)o->page);
	else if (action == ACTION_PAGE_DOWN || key->code == ' ')
		overlay_scroll(o, o->page);
	else if (action == ACTION_FIRST || action == ACTION_LAST)
		overlay_scroll(o, action == ACTION_FIRST ? -(int64_t)o->lines
							 : (int64_t)o->lines);
	else if (action == ACTION_SUSPEND || action == ACTION_REDRAW)
		return false;
	else
		sheet_uncover(s);
	return true;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void overlay_draw(struct sheet *s)
{
	struct overlay *o = &s->overlay;
	struct canvas *c = &s->canvas;
	const char *line = str_get(&o->text);
	unsigned y = 1;

	if (!o->on)
		return;
	o->lines = count_lines(line);
	o->page = c->h > 4 ? c->h - 3 : 1;
	overlay_scroll(o, 0);
	for (unsigned i = 1; i + 1 < c->h; i++)
		canvas_repeat(c, 0, i, c->w, STYLE_TEXT, " ");
	canvas_repeat(c, 0, y, c->w, STYLE_RULE_FOCUS,
		      theme_glyph(GLYPH_RULE_FOCUS, c->ascii));
	canvas_putf(c, 1, y++, c->w, STYLE_RULE_FOCUS, " %s ", o->title);
	for (unsigned i = 0; i < o->first; i++)
		line = strchr(line, '\n') + 1;
	for (unsigned i = 0; i < o->page && *line; i++) {
		size_t len = strcspn(line, "\n");

		canvas_putf(c, 2, y++, c->w - 3, STYLE_TEXT, "%.*s",
			    (int)len, line);
		line += len + (line[len] == '\n');
	}
	canvas_repeat(c, 0, c->h - 1, c->w, STYLE_TEXT, " ");
	canvas_putf(c, 1, c->h - 1, c->w - 1, STYLE_HINT, "%u-%u of %u   "
		    "arrows scroll, Esc goes back", o->first + 1,
		    o->first + o->page < o->lines ? o->first + o->page :
		    o->lines, o->lines);
}
