/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/args.h"

#include <string.h>

#include "engine/util/bug.h"

bool args_next(const char **spec, struct args_item *item)
{
	const char *s = *spec;
	size_t len = strcspn(s, ",");

	if (!*s)
		return false;
	*spec = s + len + (s[len] == ',');
	memset(item, 0, sizeof(*item));
	item->optional = *s == '*';
	if (item->optional) {
		s++;
		len--;
	}
	item->name = s;
	item->name_len = strcspn(s, ":");
	BUG_ON(item->name_len + 1 >= len);
	item->type = s[item->name_len + 1];
	if (item->type == 'e') {
		item->values = s + item->name_len + 3;
		item->values_len = len - item->name_len - 3;
	}
	return true;
}

static const char *type_name(char type)
{
	switch (type) {
	case 's':
	case 'e':
		return "string";
	case 'i':
		return "integer";
	case 'b':
		return "boolean";
	case 'o':
		return "object";
	case 'a':
		return "array";
	default:
		BUG("argument type '%c'", type);
	}
}

static bool type_fits(char type, const json_t *value)
{
	switch (type) {
	case 's':
	case 'e':
		return json_is_string(value);
	case 'i':
	case 'u':
		return json_is_integer(value);
	case 'b':
		return json_is_boolean(value);
	case 'o':
		return json_is_object(value);
	case 'a':
		return json_is_array(value);
	default:
		return type == 'v';
	}
}

static bool value_listed(const struct args_item *item, const char *word)
{
	size_t word_len = strlen(word);
	const char *s = item->values, *end = s + item->values_len;

	while (s < end) {
		size_t len = strcspn(s, "|,");

		if (len == word_len && !memcmp(s, word, len))
			return true;
		s += len + 1;
	}
	return false;
}

static int check_item(const struct args_item *item, json_t *args,
		      const char *prefix, struct err *err)
{
	json_t *value = json_object_getn(args, item->name, item->name_len);
	int len = (int)item->name_len;
	const char *word = json_string_value(value);

	if (!value && item->optional)
		return 0;
	if (!value)
		return err_set(err, ERR_GENERIC, "Parameter '%s%.*s' is "
			       "missing", prefix, len, item->name);
	if (item->type == 'u' && !type_fits(item->type, value))
		return err_set(err, ERR_GENERIC, "Parameter '%s%.*s' expects "
			       "uint64", prefix, len, item->name);
	if (!type_fits(item->type, value))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'%s%.*s', expected: %s", prefix, len,
			       item->name, type_name(item->type));
	if (item->type == 'e' && !value_listed(item, word))
		/* QEMU names no way to it here */
		return err_set(err, ERR_GENERIC, "Parameter '%.*s' does not "
			       "accept value '%s'", len, item->name, word);
	return 0;
}

static bool is_known(const char *spec, const char *key)
{
	struct args_item item;

	while (args_next(&spec, &item))
		if (strlen(key) == item.name_len &&
		    !memcmp(key, item.name, item.name_len))
			return true;
	return false;
}

int args_check(const char *spec, json_t *args, const char *prefix,
	       struct err *err)
{
	const char *rest = spec;
	struct args_item item;
	const char *key;
	json_t *value;

	while (args_next(&rest, &item))
		if (check_item(&item, args, prefix, err))
			return -1;
	json_object_foreach(args, key, value)
		if (!is_known(spec, key))
			return err_set(err, ERR_GENERIC,
				       "Parameter '%s%s' is unexpected",
				       prefix, key);
	return 0;
}

const char *args_str(const json_t *args, const char *name)
{
	return json_string_value(json_object_get(args, name));
}

int64_t args_int(const json_t *args, const char *name, int64_t otherwise)
{
	json_t *value = json_object_get(args, name);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool args_bool(const json_t *args, const char *name, bool otherwise)
{
	json_t *value = json_object_get(args, name);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

json_t *args_entry(const json_t *list, const char *name, const char *value)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)list, i, entry) {
		const char *text = args_str(entry, name);

		if (text && !strcmp(text, value))
			return entry;
	}
	return NULL;
}

bool args_are_strings(const json_t *list)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)list, i, entry)
		if (!json_is_string(entry))
			return false;
	return true;
}

bool args_lists(const json_t *list, const char *value)
{
	json_t *entry;
	size_t i;

	json_array_foreach((json_t *)list, i, entry)
		if (!strcmp(json_string_value(entry), value))
			return true;
	return false;
}
