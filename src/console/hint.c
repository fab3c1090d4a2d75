/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/hint.h"

#include <string.h>

#include "src/console/fields.h"

#define HINT_NAMES 20	/* the rest is counted */

static void hint_say(struct console *c, const struct str *text)
{
	console_print(c, CONSOLE_HINT, str_get(text));
}

static json_t *hint_ask(struct console *c, const char *name)
{
	json_t *reply = channel_call(c->channel, name, NULL);
	json_t *list = json_incref(json_object_get(reply, "return"));

	json_decref(reply);
	return list;
}

struct hint_kind {
	const char *begins;	/* how the sentence begins that misses one */
	const char *what, *command, *member;
};

static const struct hint_kind hint_kinds[] = {
	{ "Cannot find device=", "device", "query-block", "device" },
	{ "Block job '", "job", "query-block-jobs", "device" },
	{ "Device '", "device", "query-block", "device" },
	{ "Job not found", "job", "query-jobs", "id" },
	{ "Failed to find node with node-name=", "node",
	  "query-named-block-nodes", "node-name" },
	{ "Export '", "export", "query-block-exports", "id" },
};

static void hint_list(struct console *c, const struct hint_kind *kind)
{
	json_t *list = hint_ask(c, kind->command), *entry;
	const char *what = kind->what;
	size_t n = json_array_size(list), i;
	struct str text = STR_INIT;

	if (json_is_array(list) && !n)
		str_addf(&text, "there is no %s", what);
	json_array_foreach(list, i, entry) {
		if (i == HINT_NAMES) {
			str_addf(&text, " and %zu more", n - i);
			break;
		}
		str_add(&text, i ? ", " : "");
		if (!i)
			str_addf(&text, n > 1 ? "the %ss are: " :
				 "the only %s is: ", what);
		str_add(&text, field_str(entry, kind->member));
	}
	hint_say(c, &text);
	str_release(&text);
	json_decref(list);
}

void hint_devices(struct console *c)
{
	hint_list(c, hint_kinds);
}

void hint_jobs(struct console *c)
{
	hint_list(c, hint_kinds + 1);
}

/* Some of QEMU's errors of this kind have a class that says so; all say it. */
static void hint_missing(struct console *c, const char *desc)
{
	const struct hint_kind *kind = hint_kinds;
	size_t n = sizeof(hint_kinds) / sizeof(*hint_kinds);

	if (!strstr(desc, "not found") && !strstr(desc, " find "))
		return;
	for (; n--; kind++)
		if (str_has_prefix(desc, kind->begins)) {
			hint_list(c, kind);
			return;
		}
}

void hint_try_qmp(struct console *c, struct near *near)
{
	json_t *list = hint_ask(c, "query-commands"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		near_try(near, field_str(entry, "name"));
	json_decref(list);
}

void hint_near(struct console *c, const char *prefix, const struct near *near)
{
	const char *found = near_found(near);
	struct str text = STR_INIT;

	if (!found)
		return;
	str_addf(&text, "did you mean '%s%s'?", prefix, found);
	hint_say(c, &text);
	str_release(&text);
}

static void hint_way_out(struct console *c, const json_t *way)
{
	struct str text = STR_INIT;

	if (!*field_str(way, "hmp"))
		return;
	str_addf(&text, "the way out, after which it can be tried again: %s",
		 field_str(way, "hmp"));
	hint_say(c, &text);
	str_release(&text);
}

json_t *hint_without(const json_t *reply)
{
	json_t *copy = json_copy((json_t *)reply);
	json_t *error = json_copy(json_object_get(reply, "error"));

	json_object_del(error, "x-blkmon-tip");
	if (error)
		json_object_set_new(copy, "error", error);
	return copy;
}

static void hint_tip(struct console *c, const char *tip)
{
	if (*tip)
		console_print(c, CONSOLE_HINT, tip);
}

void hint_reply(struct console *c, const json_t *reply, const char *name)
{
	const json_t *error = json_object_get(reply, "error");
	const char *class = field_str(error, "class");
	const char *tip = field_str(error, "x-blkmon-tip");
	struct near near;

	hint_tip(c, tip);
	hint_way_out(c, json_object_get(error, "x-blkmon-way-out"));
	if (!strcmp(class, "DeviceNotFound")) {
		if (!*tip)
			hint_devices(c);
	} else if (!strcmp(class, "DeviceNotActive")) {
		hint_jobs(c);
	} else if (!strcmp(class, "CommandNotFound") && name) {
		near_init(&near, name, strlen(name));
		hint_try_qmp(c, &near);
		hint_near(c, "", &near);
	} else if (!*tip) {
		hint_missing(c, field_str(error, "desc"));
	}
}
