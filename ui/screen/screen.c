/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/screen.h"

#include <string.h>

#include "ui/screen/bars.h"
#include "ui/screen/screen_impl.h"

static void draw_panes(struct screen *s)
{
	struct sheet *sheet = &s->sheet;

	chains_draw(sheet);
	guests_draw(sheet);
	jobs_draw(sheet);
	details_draw(sheet);
	if (!s->panel.on)
		log_draw(sheet);
	tour_draw(sheet);
	if (!s->ask.question)
		prompt_draw(sheet->layout.pane[PANE_PROMPT].y, sheet->focus ==
			    PANE_PROMPT, screen_wants_more(s));
	bars_draw(sheet);
	panel_draw(&s->panel, sheet);
	menu_draw(&s->menu, sheet);
	if (s->ask.question)
		ask_draw(&s->ask, &sheet->canvas);
}

void screen_draw(struct screen *s)
{
	struct canvas *c = &s->sheet.canvas;

	canvas_clear(c);
	panel_measure(&s->panel, &s->sheet);
	layout_make(&s->sheet);
	if (s->sheet.layout.too_small) {
		bars_too_small(&s->sheet);
		return;
	}
	draw_panes(s);
	overlay_draw(&s->sheet);
}

void screen_shoot(struct screen *s, const char *path)
{
	const struct screen_options *o = s->options;
	int rc;

	screen_draw(s);
	rc = canvas_save(&s->sheet.canvas, o->color ? o->theme : THEME_MONO,
			 path);
	if (rc)
		sheet_say(&s->sheet, LOG_ERROR, "Error: screenshot '%s': %s",
			  path, strerror(-rc));
	else
		sheet_say(&s->sheet, LOG_SCREEN, "the screen is in '%s'",
			  path);
}
