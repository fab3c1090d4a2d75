/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/bars.h"
#include "ui/screen/screen_impl.h"

static bool is_in(const struct area *area, const struct key *key)
{
	return key->y >= area->y && key->y < area->y + area->h &&
		key->x >= area->x && key->x < area->x + area->w;
}

static void wheel(struct screen *s, enum pane pane, enum action action)
{
	enum pane focus = s->sheet.focus;

	s->sheet.focus = pane;
	for (int i = 0; i < 3; i++)
		action_run(s, action);
	s->sheet.focus = focus;
}

void mouse_key(struct screen *s, const struct key *key)
{
	const struct layout *l = &s->sheet.layout;
	enum pane pane = 0;

	if (l->too_small || key->mouse == MOUSE_OTHER)
		return;
	if (is_in(&l->hints, key)) {
		if (key->mouse == MOUSE_PRESS)
			action_run(s, bars_hint_at(&s->sheet, key->x));
		return;
	}
	while (pane < PANE_COUNT && !is_in(&l->pane[pane], key))
		pane++;
	if (pane == PANE_COUNT)
		return;
	if (key->mouse != MOUSE_PRESS) {
		if (pane != PANE_PROMPT)
			wheel(s, pane, key->mouse == MOUSE_WHEEL_UP ?
			      ACTION_UP : ACTION_DOWN);
		return;
	}
	sheet_focus(&s->sheet, pane);
	if (pane == PANE_CHAINS && key->y >= l->pane[pane].y + CHAINS_HEAD)
		chains_click(&s->sheet, key->y - l->pane[pane].y -
			     CHAINS_HEAD);
	if (pane == PANE_JOBS && key->y > l->pane[pane].y)
		jobs_click(&s->sheet, key->y - l->pane[pane].y - 1);
}
