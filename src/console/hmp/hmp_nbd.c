/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands of the NBD server (monitor.md, 1.2).
 */
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hmp/hmp.h"
#include "src/qmp/json/nbd_address.h"

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

/* --- info nbd --- */

static void add_counts(const json_t *entry, struct str *out)
{
	static const char *const keys[] = {
		"rd_bytes", "wr_bytes", "rd_operations", "wr_operations",
		"requests",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		str_addf(out, " %s=%llu", keys[i],
			 (unsigned long long)field_u64(entry, keys[i]));
	str_add_char(out, '\n');
}

static void export_lines(struct console *c, const json_t *entry)
{
	const json_t *clients = json_object_get(entry, "clients"), *client;
	struct str out = STR_INIT;
	size_t i;

	str_addf(&out, "%s: export '%s' of %s%s%s%s\n",
		 field_str(entry, "id"), field_str(entry, "name"),
		 field_str(entry, "node-name"),
		 *field_str(entry, "address") ? " at " : "",
		 field_str(entry, "address"),
		 json_is_false(json_object_get(entry, "writable")) ?
		 " (read-only)" : "");
	if (json_object_get(entry, "rd_bytes")) {
		str_add(&out, "   ");
		add_counts(entry, &out);
	}
	json_array_foreach(clients, i, client) {
		str_addf(&out, "    client %llu (%s):",
			 (unsigned long long)field_u64(client, "number"),
			 field_str(client, "address"));
		add_counts(client, &out);
	}
	console_printf(c, "%s", str_get(&out));
	str_release(&out);
}

int hmp_info_nbd(struct console *c, json_t *args)
{
	json_t *list = console_query(c, "x-blkmon-query-exports", NULL);
	json_t *entry;
	size_t i;
	int rc = list ? 0 : -1;

	(void)args;
	if (list && !json_array_size(list))
		console_printf(c, "No exports\n");
	json_array_foreach(list, i, entry)
		export_lines(c, entry);
	json_decref(list);
	return rc;
}
