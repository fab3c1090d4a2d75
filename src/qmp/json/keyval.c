/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/keyval.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "engine/util/str.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/json_stream.h"

/* --- values --- */

static const char *const booleans[] = {
	"allow-oob", "auto-read-only", "direct", "discard-no-unref",
	"force-share", "lazy-refcounts", "mux", "no-flush",
	"pass-discard-other", "pass-discard-request", "pass-discard-snapshot",
	"pretty", "read-only", "read-zeroes", "server", "signal", "telnet",
	"wait", "writable", "writethrough",
};

static const char *const integers[] = {
	"cache-clean-interval", "cache-size", "fd", "l2-cache-entry-size",
	"l2-cache-size", "latency-ns", "max-connections", "offset",
	"reconnect", "refcount-cache-size", "size",
};

static bool keyval_is_listed(const char *const *list, size_t n,
			     const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

static bool is_boolean(const char *name)
{
	return keyval_is_listed(booleans, sizeof(booleans) / sizeof(*booleans),
				name);
}

static json_t *boolean(const char *text)
{
	static const char *const words[][2] = {
		{ "off", "on" }, { "no", "yes" }, { "false", "true" },
		{ "n", "y" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		for (int value = 0; value < 2; value++)
			if (!strcmp(words[i][value], text))
				return json_boolean(value);
	return NULL;
}

static json_t *integer(const char *text)
{
	const char *end;
	uint64_t value;

	if (size_parse(text, &value, &end) || *end || value > INT64_MAX)
		return NULL;
	return json_integer((json_int_t)value);
}

/* What does not look like its type stays a string: the command says so. */
static json_t *keyval_value_of(const char *name, const char *text)
{
	json_t *value = NULL;

	if (is_boolean(name))
		value = boolean(text);
	else if (keyval_is_listed(integers,
				  sizeof(integers) / sizeof(*integers), name))
		value = integer(text);
	return value ? value : json_string(text);
}

/* --- keys --- */

static int keyval_set(json_t *args, char *key, const char *text,
		      struct err *err)
{
	unsigned level = 1;
	char *dot;

	for (; (dot = strchr(key, '.')); key = dot + 1) {
		json_t *next;

		*dot = '\0';
		next = json_object_get(args, key);
		if (!next) {
			json_object_set_new(args, key, json_object());
			next = json_object_get(args, key);
		}
		if (!*key || !json_is_object(next) ||
		    ++level > JSON_STREAM_DEPTH)
			return err_set(err, ERR_GENERIC, "Parameters '%s.*' "
				       "used inconsistently", key);
		args = next;
	}
	if (!*key)
		return err_set(err, ERR_GENERIC, "Invalid parameter ''");
	if (json_is_object(json_object_get(args, key)))
		return err_set(err, ERR_GENERIC, "Parameters '%s.*' used "
			       "inconsistently", key);
	if (json_object_set_new(args, key, keyval_value_of(key, text)))
		return err_set(err, ERR_GENERIC, "'%s=%s' is not UTF-8", key,
			       text);
	return 0;
}

/* The piece up to the next single comma, with doubled ones halved. */
static char *keyval_next_piece(const char **s)
{
	struct str piece = STR_INIT;

	for (; **s; ++*s) {
		if (**s == ',' && (*s)[1] != ',')
			break;
		*s += **s == ',';
		str_add_char(&piece, **s);
	}
	*s += **s == ',';
	return str_detach(&piece);
}

static int set_piece(json_t *args, char *piece, const char *implied,
		     struct err *err)
{
	char *eq = strchr(piece, '=');
	bool off = str_has_prefix(piece, "no") && is_boolean(piece + 2);
	char *key;
	int rc;

	if (eq) {
		*eq = '\0';
		return keyval_set(args, piece, eq + 1, err);
	}
	if (!implied)
		return keyval_set(args, off ? piece + 2 : piece,
				  off ? "off" : "on", err);
	key = mem_dup(implied);
	rc = keyval_set(args, key, piece, err);
	free(key);
	return rc;
}

static json_t *parse_json(const char *text, struct err *err)
{
	struct json_stream stream = { .depth = 0 };
	size_t len = strlen(text);
	json_t *value;

	if (!json_stream_next(&stream, &text, &len, &value, err))
		err_set(err, ERR_GENERIC, "JSON parse error, the end is "
			"missing");
	if (value && text[strspn(text, " \t\r\n")]) {
		err_set(err, ERR_GENERIC, "JSON parse error, something "
			"follows the object");
		json_decref(value);
		value = NULL;
	}
	json_stream_release(&stream);
	return value;
}

json_t *keyval_parse(const char *text, const char *implied, struct err *err)
{
	json_t *args;

	if (*text == '{')
		return parse_json(text, err);
	args = json_object();
	while (*text) {
		char *piece = keyval_next_piece(&text);
		int rc = set_piece(args, piece, implied, err);

		free(piece);
		implied = NULL;
		if (rc) {
			json_decref(args);
			return NULL;
		}
	}
	return args;
}

int keyval_types(json_t *args, const char *spec, struct err *err)
{
	struct args_item item;

	while (args_next(&spec, &item)) {
		const char *text = json_string_value(json_object_getn(args,
						item.name, item.name_len));
		json_t *value = !text ? NULL : item.type == 'b' ?
				boolean(text) : item.type == 'i' ?
				integer(text) : NULL;

		if (value)
			json_object_setn_new(args, item.name, item.name_len,
					     value);
		else if (text && item.type == 'b')
			return err_set(err, ERR_GENERIC, "Parameter '%.*s' "
				       "expects 'on' or 'off'",
				       (int)item.name_len, item.name);
	}
	return 0;
}
