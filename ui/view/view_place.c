/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/view/view_place.h"

#include <string.h>
#include <time.h>

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

static void view_place_add_time(const json_t *place, const char *fixed_time,
				struct str *out)
{
	time_t when = (time_t)(field_u64(place, "since-us") / 1000000);
	char text[16] = "";
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	str_addf(out, " since %s", fixed_time ? fixed_time : text);
}

void view_place_add_state(const json_t *place, const char *fixed_time,
			  struct str *out)
{
	const char *state = field_str(place, "state");

	if (!strcmp(state, "live"))
		return;
	str_add_safe(out, strcmp(state, "slow") ? state : "answers slowly");
	if (!strcmp(state, "gone"))
		view_place_add_time(place, fixed_time, out);
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
	const char *state = field_str(place, "state");

	return place && strcmp(state, "live") && strcmp(state, "slow");
}
