/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the console is attached to.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hmp/hmp.h"
#include "src/console/place_words.h"

static void hmp_places_line(struct console *c, const json_t *place)
{
	const char *state = field_str(place, "state");
	struct str out = STR_INIT;

	str_addf(&out, "%s: ", field_str(place, "name"));
	if (field_bool(place, "here"))
		str_add(&out, "the images of this program");
	else
		str_addf(&out, "%s, %s", field_str(place, "address"), state);
	if (*state && strcmp(state, "live"))
		place_add_since(place, NULL, &out);
	if (*field_str(place, "why"))
		str_addf(&out, " (%s)", field_str(place, "why"));
	if (field_bool(place, "look"))
		str_add(&out, ", only looked at");
	console_printf(c, "%s\n", str_get(&out));
	str_release(&out);
}

int hmp_places(struct console *c, json_t *args)
{
	json_t *list = console_query(c, "x-blkmon-query-places", NULL), *place;
	int rc = list ? 0 : -1;
	size_t i;

	(void)args;
	json_array_foreach(list, i, place)
		hmp_places_line(c, place);
	json_decref(list);
	return rc;
}

int hmp_places_check(struct console *c)
{
	json_t *reply = console_call(c, "x-blkmon-query-places", NULL), *place;
	int rc = 0;
	size_t i;

	json_array_foreach(json_object_get(reply, "return"), i, place) {
		const char *why = field_str(place, "why");

		if (place_answers(place))
			continue;
		console_printf(c, "Error: %s: it is %s%s%s\n",
			       field_str(place, "name"),
			       field_str(place, "state"), *why ? ": " : "",
			       why);
		rc = -1;
	}
	json_decref(reply);
	return rc;
}

int hmp_use(struct console *c, json_t *args)
{
	const char *name = field_str(args, "place");
	json_t *value = console_query(c, "x-blkmon-use",
				      json_pack("{s:s}", "place", name));

	if (!value)
		return -1;
	free(c->place);
	name = field_str(value, "place");
	c->place = field_bool(value, "prefix") && *name ? mem_dup(name) : NULL;
	json_decref(value);
	return 0;
}
