/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/draw/canvas.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/own_file.h"
#include "engine/util/str.h"
#include "ui/draw/text.h"

static const struct cell blank = { .ch = L" ", .width = 1 };

void canvas_init(struct canvas *c, unsigned w, unsigned h)
{
	*c = (struct canvas) { 0 };
	canvas_resize(c, w, h);
}

void canvas_release(struct canvas *c)
{
	free(c->cells);
}

void canvas_resize(struct canvas *c, unsigned w, unsigned h)
{
	c->w = w;
	c->h = h;
	c->cells = mem_grow(c->cells, (size_t)w * h + 1, sizeof(*c->cells));
	canvas_clear(c);
}

void canvas_clear(struct canvas *c)
{
	for (size_t i = 0; i < (size_t)c->w * c->h; i++)
		c->cells[i] = blank;
	c->cursor_x = c->cursor_y = -1;
}

static struct cell *cell_at(const struct canvas *c, unsigned x, unsigned y)
{
	return x < c->w && y < c->h ? &c->cells[(size_t)y * c->w + x] : NULL;
}

/* A wide character of which one half is overwritten is gone. */
static void unjoin(const struct canvas *c, unsigned x, unsigned y)
{
	struct cell *cell = cell_at(c, x, y), *next = cell_at(c, x + 1, y);

	if (cell->width == 0 && x > 0)
		*cell_at(c, x - 1, y) = blank;
	if (cell->width == 2 && next)
		*next = blank;
}

static void combine(const struct canvas *c, unsigned x, unsigned y, wchar_t wc)
{
	struct cell *cell = cell_at(c, x, y);

	if (cell && cell->width == 0 && x > 0)
		cell = cell_at(c, x - 1, y);
	for (size_t i = 1; cell && i < CELL_CHARS; i++)
		if (!cell->ch[i]) {
			cell->ch[i] = wc;
			return;
		}
}

static void canvas_set(const struct canvas *c, unsigned x, unsigned y,
		       wchar_t wc, unsigned width, enum style style)
{
	struct cell *cell = cell_at(c, x, y);

	if (!cell)
		return;
	unjoin(c, x, y);
	*cell = (struct cell) { .ch = { wc }, .width = (unsigned char)width,
				.style = (unsigned char)style };
	if (width < 2)
		return;
	unjoin(c, x + 1, y);
	*cell_at(c, x + 1, y) = (struct cell) {
		.style = (unsigned char)style,
	};
}

unsigned canvas_put(struct canvas *c, unsigned x, unsigned y, unsigned max,
		    enum style style, const char *text)
{
	unsigned used = 0;
	wchar_t wc;

	if (x >= c->w || y >= c->h)
		return 0;
	if (max > c->w - x)
		max = c->w - x;
	while (*text) {
		unsigned width = text_next(&text, &wc);

		if (width > max - used)
			break;
		if (c->ascii && wc > 126) {
			wc = L'?';
			if (width == 2)
				canvas_set(c, x + used++, y, wc, 1, style);
			if (!width)
				continue;
			width = 1;
		}
		if (width)
			canvas_set(c, x + used, y, wc, width, style);
		else if (used)
			combine(c, x + used - 1, y, wc);
		used += width;
	}
	return used;
}

unsigned canvas_putf(struct canvas *c, unsigned x, unsigned y, unsigned max,
		     enum style style, const char *fmt, ...)
{
	struct str text = STR_INIT;
	unsigned used;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	used = canvas_put(c, x, y, max, style, str_get(&text));
	str_release(&text);
	return used;
}

unsigned canvas_wrap(struct canvas *c, unsigned x, unsigned y, unsigned w,
		     enum style style, const char *text)
{
	unsigned rows = 0, used = 0;

	do {
		size_t len = text_row(text, w);

		used = canvas_putf(c, x, y + rows++, w, style, "%.*s",
				   (int)len, text);
		text += len + (text[len] == '\n');
	} while (*text);
	return used;
}

unsigned canvas_put_right(struct canvas *c, unsigned x, unsigned y,
			  unsigned max, enum style style, const char *text)
{
	unsigned columns = text_columns(text);

	if (columns > max)
		columns = max;
	if (columns > x)
		columns = x;
	return canvas_put(c, x - columns, y, columns, style, text);
}

unsigned canvas_glyph(struct canvas *c, unsigned x, unsigned y,
		      enum style style, enum glyph glyph)
{
	return canvas_put(c, x, y, UINT_MAX, style,
			  theme_glyph(glyph, c->ascii));
}

void canvas_repeat(struct canvas *c, unsigned x, unsigned y, unsigned n,
		   enum style style, const char *text)
{
	wchar_t wc;

	text_next(&text, &wc);
	if (c->ascii && wc > 126)
		wc = L'?';
	for (unsigned i = 0; i < n && x + i < c->w; i++)
		canvas_set(c, x + i, y, wc, 1, style);
}

void canvas_select(struct canvas *c, unsigned x, unsigned y, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct cell *cell = cell_at(c, x + i, y);

		if (!cell)
			return;
		cell->selected = true;
	}
}

void canvas_restyle(struct canvas *c, unsigned x, unsigned y, unsigned n,
		    enum style style)
{
	for (unsigned i = 0; i < n; i++) {
		struct cell *cell = cell_at(c, x + i, y);

		if (!cell)
			return;
		cell->style = (unsigned char)style;
	}
}

void canvas_mark(struct canvas *c, unsigned x, unsigned y, const char *text,
		 const char *needle)
{
	const char *at = text;
	size_t n = strlen(needle);

	while (n && (at = text_find(at, needle))) {
		canvas_restyle(c, x + text_columns_upto(text,
							(size_t)(at - text)),
			       y, text_columns_upto(at, n), STYLE_MATCH);
		at += n;
	}
}

bool cell_equal(const struct cell *a, const struct cell *b)
{
	return a->width == b->width && a->style == b->style &&
		a->selected == b->selected &&
		!memcmp(a->ch, b->ch, sizeof(a->ch));
}

/* --- out of the program --- */

static void add_wide(struct str *out, wchar_t wc)
{
	char bytes[MB_LEN_MAX];
	mbstate_t state = { 0 };
	size_t len = wcrtomb(bytes, wc, &state);

	if (len == (size_t)-1)
		str_add_char(out, '?');
	else
		str_add_mem(out, bytes, len);
}

static void add_cell(struct str *out, const struct cell *cell)
{
	if (!cell->width)
		return;
	for (size_t i = 0; i < CELL_CHARS && cell->ch[i]; i++)
		add_wide(out, cell->ch[i]);
}

void canvas_write_text(const struct canvas *c, FILE *out)
{
	struct str line = STR_INIT;

	for (unsigned y = 0; y < c->h; y++) {
		str_clear(&line);
		for (unsigned x = 0; x < c->w; x++)
			add_cell(&line, cell_at(c, x, y));
		while (line.len && line.s[line.len - 1] == ' ')
			line.s[--line.len] = '\0';
		fprintf(out, "%s\n", str_get(&line));
	}
	str_release(&line);
}

static void add_look(struct str *out, struct look look)
{
	str_add(out, "\033[0");
	if (look.attr & LOOK_BOLD)
		str_add(out, ";1");
	if (look.attr & LOOK_DIM)
		str_add(out, ";2");
	if (look.attr & LOOK_UNDERLINE)
		str_add(out, ";4");
	if (look.attr & LOOK_REVERSE)
		str_add(out, ";7");
	if (look.fg >= 0)
		str_addf(out, ";38;5;%d", look.fg);
	if (look.bg >= 0)
		str_addf(out, ";48;5;%d", look.bg);
	str_add_char(out, 'm');
}

void canvas_write_ansi(const struct canvas *c, enum theme_name theme,
		       FILE *out)
{
	struct str line = STR_INIT;

	for (unsigned y = 0; y < c->h; y++) {
		const struct cell *last = NULL;

		str_clear(&line);
		for (unsigned x = 0; x < c->w; x++) {
			const struct cell *cell = cell_at(c, x, y);

			if (!last || last->style != cell->style ||
			    last->selected != cell->selected)
				add_look(&line, theme_look(theme, cell->style,
					 cell->selected, 256));
			add_cell(&line, cell);
			last = cell;
		}
		fprintf(out, "%s\033[0m\n", str_get(&line));
	}
	str_release(&line);
}

int canvas_save(const struct canvas *c, enum theme_name theme,
		const char *path)
{
	size_t len = strlen(path);
	int fd = own_file_new(path, 0666), rc;
	FILE *out;

	if (fd < 0)
		return fd;
	out = fdopen(fd, "w");
	if (!out) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (len > 4 && !strcmp(path + len - 4, ".ans"))
		canvas_write_ansi(c, theme, out);
	else
		canvas_write_text(c, out);
	rc = ferror(out) ? -EIO : 0;
	if (fclose(out) && !rc)
		rc = -errno;
	return rc;
}
