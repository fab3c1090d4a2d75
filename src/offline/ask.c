/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request to the engine of this process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/console/fields.h"
#include "src/offline/command.h"
#include "src/qmp/channel.h"

/* As err.way. */
static void ask_take_way(const json_t *reply, struct err *err)
{
	const json_t *way = json_object_get(json_object_get(reply, "error"),
					    "x-blkmon-way-out");
	const json_t *args = json_object_get(json_object_get(way, "qmp"),
					     "arguments");

	if (!args)
		return;
	snprintf(err->way.file, sizeof(err->way.file), "%s",
		 field_str(args, "file"));
	snprintf(err->way.base, sizeof(err->way.base), "%s",
		 field_str(args, "base"));
	err->way.format = !*field_str(args, "base-format") ? NULL :
			  strcmp(field_str(args, "base-format"), "raw") ?
			  "qcow2" : "raw";
}

json_t *offline_ask(struct machine *machine, const char *name, json_t *args,
		    struct err *err)
{
	struct channel *channel = channel_local_new(machine);
	json_t *reply, *value = NULL;

	if (!channel) {
		json_decref(args);
		err_sys(err, EMFILE, "Could not ask the engine");
		return NULL;
	}
	reply = channel_call(channel, name, args);
	if (channel_error(reply)) {
		err_set(err, ERR_GENERIC, "%s", channel_error(reply));
		ask_take_way(reply, err);
		err_tip(err, "%s", field_str(json_object_get(reply, "error"),
					     "x-blkmon-tip"));
	} else {
		value = json_incref(json_object_get(reply, "return"));
	}
	json_decref(reply);
	channel_free(channel);
	return value;
}
