/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands of the NBD server (monitor.md, 1.2).
 */
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hmp.h"
#include "src/qmp/nbd_address.h"

/* Every device that has an image. All or none: where one can't be exported,
 * the server ends again. */
static int export_all(struct console *c, bool writable)
{
	json_t *drives = console_query(c, "query-block", json_object());
	json_t *drive;
	size_t i;
	int rc = drives ? 0 : -1;

	json_array_foreach(drives, i, drive)
		if (!rc && json_object_get(drive, "inserted"))
			rc = console_do(c, "nbd-server-add", json_pack(
				"{s:s, s:b}", "device",
				field_str(drive, "device"),
				"writable", (int)writable));
	json_decref(drives);
	if (rc)
		json_decref(console_call(c, "nbd-server-stop",
					 json_object()));
	return rc;
}

int hmp_nbd_server_start(struct console *c, json_t *args)
{
	bool all = field_bool(args, "all"), writable = field_bool(args,
								 "writable");
	struct err err = ERR_INIT;
	json_t *addr;

	if (writable && !all) {
		console_printf(c, "Error: -w only valid together with -a\n");
		return -1;
	}
	addr = nbd_address(field_str(args, "uri"), &err);
	if (!addr) {
		console_printf(c, "Error: %s\n", err.text);
		return -1;
	}
	if (console_do(c, "nbd-server-start",
		       json_pack("{s:o}", "addr", addr)))
		return -1;
	return all ? export_all(c, writable) : 0;
}

int hmp_nbd_server_remove(struct console *c, json_t *args)
{
	return console_do(c, "nbd-server-remove", json_pack("{s:s, s:s}",
			  "name", field_str(args, "name"), "mode",
			  field_bool(args, "force") ? "hard" : "safe"));
}
