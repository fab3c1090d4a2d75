/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/view/view_place.h"

#include <string.h>

#include "src/console/fields.h"
#include "src/console/place_words.h"

unsigned view_place_count(const json_t *places)
{
	unsigned n = 0;
	json_t *place;
	size_t i;

	json_array_foreach(places, i, place)
		n += !field_bool(place, "here");
	return n;
}

void view_place_add_state(const json_t *place, const char *fixed_time,
			  struct str *out)
{
	const char *state = field_str(place, "state");

	if (!strcmp(state, "live"))
		return;
	str_add_safe(out, strcmp(state, "slow") ? state : "answers slowly");
	if (!strcmp(state, "gone"))
		place_add_since(place, fixed_time, out);
	place_add_as_of(place, fixed_time, out);
}

void view_place_add_run(const json_t *place, struct str *out)
{
	if (place_answers(place))
		str_add_safe(out, field_str(place, "run"));
}

void view_place_add_only_run(const json_t *places, struct str *out)
{
	if (json_array_size(places) == 1 && view_place_count(places))
		view_place_add_run(json_array_get(places, 0), out);
}

void view_place_add_troubles(const json_t *places, const char *fixed_time,
			     struct str *out)
{
	json_t *place;
	size_t i;

	json_array_foreach(places, i, place) {
		if (!strcmp(field_str(place, "state"), "live"))
			continue;
		str_add(out, "   ");
		str_add_safe(out, field_str(place, "name"));
		str_add_char(out, ' ');
		view_place_add_state(place, fixed_time, out);
	}
}

bool view_place_is_lost(const json_t *places, const char *name)
{
	const json_t *place = place_of(places, name);

	return place && !place_answers(place);
}
