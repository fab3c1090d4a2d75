/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files around the chains: what is there, and what may go.
 */
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/files_text.h"
#include "src/console/hmp/hmp.h"

int hmp_info_folder(struct console *c, json_t *args)
{
	json_t *reply = console_query(c, "x-blkmon-query-folder",
				      json_incref(args));
	struct str out = STR_INIT;

	if (!reply)
		return -1;
	folder_text(reply, &out);
	console_printf(c, "%s", str_get(&out));
	str_release(&out);
	json_decref(reply);
	return 0;
}

int hmp_delete(struct console *c, json_t *args)
{
	json_t *reply = console_query(c, "x-blkmon-delete", json_incref(args));
	struct str out = STR_INIT;

	if (!reply)
		return -1;
	deletion_text(reply, field_bool(args, "dry-run"), &out);
	console_printf(c, "%s", str_get(&out));
	str_release(&out);
	json_decref(reply);
	return 0;
}

int hmp_rebase(struct console *c, json_t *args)
{
	if (field_bool(args, "force"))
		json_object_set_new(args, "x-blkmon-force", json_true());
	json_object_del(args, "force");
	return console_do(c, "x-blkmon-rebase", json_incref(args));
}

int hmp_undo(struct console *c, json_t *args)
{
	if (field_bool(args, "force"))
		json_object_set_new(args, "x-blkmon-force", json_true());
	json_object_del(args, "force");
	return console_do(c, "x-blkmon-undo", json_incref(args));
}

int hmp_info_undo(struct console *c, json_t *args)
{
	json_t *list = console_query(c, "x-blkmon-query-undo", NULL), *entry;
	int rc = list ? 0 : -1;
	size_t i;

	(void)args;
	if (list && !json_array_size(list))
		console_printf(c, "Nothing is kept\n");
	json_array_foreach(list, i, entry)
		console_printf(c, "%s: %s is kept as %s%s%s\n",
			       field_str(entry, "id"),
			       field_str(entry, "file"),
			       field_str(entry, "kept"),
			       field_bool(entry, "possible") ? "" : "; ",
			       field_str(entry, "reason"));
	json_decref(list);
	return rc;
}
