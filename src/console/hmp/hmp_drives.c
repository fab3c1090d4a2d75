/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drive_add and drive_del, whose options are written as on a command line.
 * QEMU prints what is wrong with them without "Error: ".
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hint.h"
#include "src/console/hmp/hmp.h"

/* Up to a comma, or the end; a doubled comma is one. *text goes behind it. */
static char *hmp_drives_next_option(const char **text)
{
	struct str option = STR_INIT;
	const char *s = *text;

	for (; *s && (*s != ',' || s[1] == ','); s++) {
		s += *s == ',';
		str_add_char(&option, *s);
	}
	*text = s + (*s == ',');
	return str_detach(&option);
}

static json_t *typed(const char *value)
{
	char *end;
	long long n = strtoll(value, &end, 10);

	if (!strcmp(value, "on") || !strcmp(value, "off"))
		return json_boolean(!strcmp(value, "on"));
	return *value && !*end ? json_integer(n) : json_string(value);
}

/* "file.driver" is member driver of member file. */
static void set_dotted(json_t *object, const char *key, json_t *value)
{
	const char *dot = strchr(key, '.');
	json_t *inner;
	char *name;

	if (!dot) {
		json_object_set_new(object, key, value);
		return;
	}
	name = mem_printf("%.*s", (int)(dot - key), key);
	inner = json_object_get(object, name);
	if (!json_is_object(inner)) {
		inner = json_object();
		json_object_set_new(object, name, inner);
	}
	set_dotted(inner, dot + 1, value);
	free(name);
}

/* The options as a nested object; NULL after saying what is wrong. */
static json_t *parse_options(struct console *c, const char *text)
{
	json_t *options = json_object();

	while (*text) {
		char *option = hmp_drives_next_option(&text), *value;

		value = strchr(option, '=');
		if (!value) {
			console_printf(c, "Expected '=' after parameter "
				       "'%s'\n", option);
			json_decref(options);
			free(option);
			return NULL;
		}
		*value++ = '\0';
		set_dotted(options, option, typed(value));
		free(option);
	}
	return options;
}

static int hmp_drives_say(struct console *c, const char *name, json_t *args,
			  const char *well)
{
	json_t *reply = console_call(c, name, args);
	const char *error = channel_error(reply);

	if (error || *well)
		console_printf(c, "%s\n", error ? error : well);
	json_decref(reply);
	return error ? -1 : 0;
}

static int hmp_drives_add_node(struct console *c, json_t *options)
{
	if (*field_str(options, "node-name"))
		return hmp_drives_say(c, "blockdev-add", options, "");
	console_printf(c, "'node-name' needs to be specified\n");
	json_decref(options);
	return -1;
}

/* The members that x-blkmon-drive-add knows by another name, or not. */
static int hmp_drives_add_drive(struct console *c, json_t *options)
{
	json_t *old = json_object_get(options, "readonly");
	const char *bus = field_str(options, "if");

	if (*bus && strcmp(bus, "none")) {
		console_printf(c, "Only if=none is supported\n");
		json_decref(options);
		return -1;
	}
	if (old)
		json_object_set(options, "read-only", old);
	json_object_del(options, "readonly");
	json_object_del(options, "if");
	if (json_object_get(options, "force"))
		json_object_set(options, "x-blkmon-force",
				json_object_get(options, "force"));
	json_object_del(options, "force");
	return hmp_drives_say(c, "x-blkmon-drive-add", options, "OK");
}

int hmp_drive_add(struct console *c, json_t *args)
{
	json_t *options = parse_options(c, field_str(args, "opts"));

	if (!options)
		return -1;
	return field_bool(args, "node") ? hmp_drives_add_node(c, options)
					: hmp_drives_add_drive(c, options);
}

static bool is_device(struct console *c, const char *id)
{
	json_t *reply = console_call(c, "query-block", NULL), *entry;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(reply, "return"), i, entry)
		found |= !strcmp(field_str(entry, "device"), id);
	json_decref(reply);
	return found;
}

/* What is no device may be a node that drive_add -n made. */
int hmp_drive_del(struct console *c, json_t *args)
{
	const char *id = field_str(args, "id");
	json_t *reply;
	const char *error;
	int rc;

	if (is_device(c, id))
		return hmp_drives_say(c, "x-blkmon-drive-del",
				      json_pack("{s:s}", "id", id), "");
	reply = console_call(c, "blockdev-del", json_pack("{s:s}",
							  "node-name", id));
	error = channel_error(reply);
	rc = error ? -1 : 0;
	if (error && !strncmp(error, "Failed to find", 14)) {
		console_printf(c, "Device '%s' not found\n", id);
		hint_devices(c);
	} else if (error) {
		console_printf(c, "%s\n", error);
	}
	json_decref(reply);
	return rc;
}
