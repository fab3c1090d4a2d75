/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/place_words.h"

#include <string.h>
#include <time.h>

#include "src/console/fields.h"

bool place_has(const json_t *place, const char *name)
{
	const char *word = field_str(place, "name");
	size_t len = strlen(word);

	return len && !strncmp(word, name, len) && name[len] == '/';
}

const json_t *place_of(const json_t *places, const char *name)
{
	const json_t *found = NULL;
	json_t *place;
	size_t i;

	json_array_foreach(places, i, place)
		if (place_has(place, name))
			return field_bool(place, "here") ? NULL : place;
		else if (field_bool(place, "used") ||
			 json_array_size(places) == 1)
			found = place;
	return field_bool(found, "here") ? NULL : found;
}

/* "[USER@]HOST:PATH" up to the colon; an address of IPv6 is in brackets. */
static void place_add_login(const char *text, struct str *out)
{
	const char *open = strpbrk(text, ":["), *end = NULL;

	if (open && *open == '[' && (open == text || open[-1] == '@'))
		end = strchr(open, ']');
	str_add_mem(out, text, end ? (size_t)(end - text) + 1 :
		    strcspn(text, ":"));
}

/* "ssh:root@host2:/run/x" is host2. */
void place_add_host(const json_t *place, struct str *out)
{
	const char *address = field_str(place, "address");
	const char *rest = strchr(address, ':'), *at;
	struct str host = STR_INIT;

	if (rest && str_has_prefix(address, "ssh:")) {
		place_add_login(rest + 1, &host);
		at = strrchr(str_get(&host), '@');
		str_add_safe(out, at ? at + 1 : str_get(&host));
	} else if (rest && str_has_prefix(address, "tcp:")) {
		str_add_safe(out, rest + 1);
	} else {
		str_add(out, "this host");
	}
	str_release(&host);
}

void place_add_name(const json_t *place, const char *name, struct str *out)
{
	if (place && !place_has(place, name)) {
		str_add_safe(out, field_str(place, "name"));
		str_add_char(out, '/');
	}
	str_add_safe(out, name);
	if (!place)
		return;
	str_add(out, " (");
	place_add_host(place, out);
	str_add_char(out, ')');
}

bool place_answers(const json_t *place)
{
	const char *state = field_str(place, "state");

	return !strcmp(state, "live") || !strcmp(state, "slow");
}

static void place_add_time(const json_t *place, const char *key,
			   const char *fixed_time, struct str *out)
{
	time_t when = (time_t)(field_u64(place, key) / 1000000);
	char text[16] = "";
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	str_add(out, fixed_time ? fixed_time : text);
}

void place_add_since(const json_t *place, const char *fixed_time,
		     struct str *out)
{
	str_add(out, " since ");
	place_add_time(place, "since-us", fixed_time, out);
}

void place_add_as_of(const json_t *place, const char *fixed_time,
		     struct str *out)
{
	if (!field_u64(place, "heard-us"))
		return;
	str_add(out, ", as of ");
	place_add_time(place, "heard-us", fixed_time, out);
}
