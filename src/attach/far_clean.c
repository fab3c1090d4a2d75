/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Words of others. Whoever prints goes by lines, and a line feed in a name
 * would begin one that nobody here has said. Names of images and jobs have no
 * control characters at any end that is in order; those of files may, and are
 * escaped where they are printed, for they are also given back.
 */
#include <string.h>

#include "engine/util/str.h"
#include "src/attach/far_impl.h"

static bool far_is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool far_is_path(const char *key)
{
	size_t len = strlen(key);

	return (len >= 4 && !strcmp(key + len - 4, "file")) ||
		(len >= 8 && !strcmp(key + len - 8, "filename")) ||
		!strcmp(key, "path");
}

/* NULL: it stays as it is. */
static json_t *far_cleaned(const json_t *value)
{
	const char *text = json_string_value(value);
	struct str safe = STR_INIT;
	json_t *clean;

	if (!text || far_is_plain(text))
		return NULL;
	str_add_safe(&safe, text);
	clean = json_string(str_get(&safe));
	str_release(&safe);
	return clean;
}

static void far_clean_object(json_t *object)
{
	json_t *member, *clean;
	const char *key;
	void *next;

	json_object_foreach_safe(object, next, key, member) {
		clean = far_is_path(key) ? NULL : far_cleaned(member);
		if (clean)
			json_object_set_new(object, key, clean);
		else
			far_clean(member);
	}
}

void far_clean(json_t *value)
{
	json_t *entry, *clean;
	size_t i;

	if (json_is_object(value))
		far_clean_object(value);
	json_array_foreach(value, i, entry) {
		clean = far_cleaned(entry);
		if (clean)
			json_array_set_new(value, i, clean);
		else
			far_clean(entry);
	}
}
