/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What only HMP has over there: a line is made of the request, and what it
 * prints is what went wrong.
 */
#include <string.h>

#include "engine/util/str.h"
#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

json_t *far_pass(const struct far_call *call, const char *name, json_t *args,
		 struct err *err)
{
	return far_order(call, name, json_incref(args), FAR_LIMIT_NS, err);
}

static void far_hmp_quote(struct str *out, const char *text)
{
	str_add_char(out, '"');
	for (; *text; text++) {
		if (strchr("\"\\", *text))
			str_add_char(out, '\\');
		str_add_char(out, *text);
	}
	str_add_char(out, '"');
}

/* A line of HMP; what it prints is what went wrong, but for @well. */
static json_t *far_hmp(const struct far_call *call, const char *line,
		       const char *well, struct err *err)
{
	const char *said;
	json_t *value;
	size_t len;

	/* Such a character could end the line, and begin another command. */
	for (const char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			err_set(err, ERR_GENERIC, "a name with a control "
				"character in it cannot be given to HMP");
			return NULL;
		}
	value = far_order(call, "human-monitor-command",
			  json_pack("{s:s}", "command-line", line), UINT64_MAX,
			  err);
	said = json_string_value(value);
	len = said ? strcspn(said, "\r\n") : 0;
	if (!value)
		return NULL;
	if (said && *said && !(len == strlen(well) &&
			       !strncmp(said, well, len))) {
		err_set(err, ERR_GENERIC, "%.*s", (int)len, said);
		json_decref(value);
		return NULL;
	}
	json_decref(value);
	return json_object();
}

json_t *far_not_here(const char *what, struct err *err)
{
	err_set(err, ERR_COMMAND_NOT_FOUND, "%s is not possible through this "
		"monitor", what);
	return NULL;
}

int far_check_keep(const struct far_call *call, const json_t *args,
		   struct err *err)
{
	if (far_speaks_dialect(call->far) ||
	    !json_is_true(json_object_get(args, "x-blkmon-keep")))
		return 0;
	far_not_here("to keep what is written over", err);
	return -1;
}

int far_check_commit(const struct far_drive *drive, struct err *err)
{
	if (*drive->device)
		return 0;
	return err_set(err, ERR_NOT_SUPPORTED, "commit needs a drive with a "
		       "name, and '%s' has none: block_commit does it",
		       drive->shown);
}

json_t *far_commit(const struct far_call *call, const char *name,
		   json_t *args, struct err *err)
{
	const struct far_drive *drive;
	struct str line = STR_INIT;
	struct far_names names;
	json_t *value = NULL;

	/* Older ones do not know that word; here it is waited for. */
	json_object_del(args, "wait");
	if (far_speaks_dialect(call->far))
		return far_order(call, name, json_incref(args), UINT64_MAX,
				 err);
	if (far_check_keep(call, args, err))
		return NULL;
	if (!far_can(call->far, "human-monitor-command"))
		return far_not_here("commit", err);
	if (far_names_load(&names, call, err))
		return NULL;
	drive = far_names_find(&names, far_arg(args, "device"));
	str_add(&line, "commit ");
	far_hmp_quote(&line, drive ? drive->device : far_arg(args, "device"));
	if (!drive || !far_check_commit(drive, err))
		value = far_hmp(call, str_get(&line), "", err);
	far_names_release(&names);
	str_release(&line);
	return value;
}

static void far_drive_option(struct str *out, const char *key,
			     const json_t *value)
{
	const char *text = json_string_value(value);

	if (!value)
		return;
	str_addf(out, "%s%s=", out->len ? "," : "", key);
	if (json_is_boolean(value))
		text = json_is_true(value) ? "on" : "off";
	for (; text && *text; text++) {
		str_add_char(out, *text);
		if (*text == ',')
			str_add_char(out, ',');
	}
}

/* A bare "file=" of HMP, with the options that both sides have. */
json_t *far_drive_add(const struct far_call *call, const char *name,
		      json_t *args, struct err *err)
{
	static const char *const keys[][2] = {
		{ "file", "file" }, { "id", "id" }, { "format", "format" },
		{ "read-only", "readonly" }, { "cache", "cache" },
		{ "rerror", "rerror" }, { "werror", "werror" },
	};
	struct str options = STR_INIT, line = STR_INIT;
	json_t *value;

	if (far_speaks_dialect(call->far))
		return far_pass(call, name, args, err);
	if (!far_can(call->far, "human-monitor-command"))
		return far_not_here("drive_add without -n", err);
	str_add(&options, "if=none");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		far_drive_option(&options, keys[i][1],
				 json_object_get(args, keys[i][0]));
	str_add(&line, "drive_add 0 ");
	far_hmp_quote(&line, str_get(&options));
	value = far_hmp(call, str_get(&line), "OK", err);
	str_release(&options);
	str_release(&line);
	return value;
}

json_t *far_drive_del(const struct far_call *call, const char *name,
		      json_t *args, struct err *err)
{
	struct str line = STR_INIT;
	json_t *value;

	if (far_speaks_dialect(call->far))
		return far_pass(call, name, args, err);
	if (!far_can(call->far, "human-monitor-command"))
		return far_not_here("drive_del of a drive", err);
	str_add(&line, "drive_del ");
	far_hmp_quote(&line, far_arg(args, "id"));
	value = far_hmp(call, str_get(&line), "", err);
	str_release(&line);
	return value;
}
