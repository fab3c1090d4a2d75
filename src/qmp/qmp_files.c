/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lies in the folders around the chains, and what may go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files.h"
#include "engine/undo.h"
#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/json/text.h"
#include "src/qmp/options.h"

#define TIP_NAMES 20	/* the rest is counted */

static void files_set(json_t *to, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(to, key, qmp_text(text));
}

static void files_set_link(json_t *to, const char *key,
			   const struct file_link *link)
{
	json_t *entry;

	if (!link->words)
		return;
	entry = json_pack("{s:o, s:b}", "file", qmp_text(link->words),
			  "missing", (int)link->missing);
	files_set(entry, "path", link->path);
	json_object_set_new(to, key, entry);
}

static void files_set_holder(json_t *to, const struct folder_image *image)
{
	json_t *holder;

	if (!image->holder)
		return;
	holder = json_pack("{s:I}", "pid", (json_int_t)image->holder);
	files_set(holder, "name", image->holder_name);
	json_object_set_new(to, "holder", holder);
}

static json_t *folder_entry_json(const struct folder_image *image)
{
	json_t *entry = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, "
				  "s:b, s:b, s:b, s:b}",
				  "path", qmp_text(image->path),
				  "role", file_role_name(image->role),
				  "virtual-size",
				  (json_int_t)image->virtual_size,
				  "disk-size", (json_int_t)image->disk_bytes,
				  "links", (json_int_t)image->links,
				  "modified", (json_int_t)image->modified,
				  "snapshots", (json_int_t)image->snapshots,
				  "overlays", (json_int_t)image->overlays,
				  "held", (int)image->held,
				  "left", (int)image->left,
				  "spoilt", (int)image->spoilt,
				  "outside", (int)image->outside);

	files_set(entry, "format", image->format);
	files_set(entry, "node-name", image->node);
	files_set_link(entry, "backing", &image->backing);
	files_set_link(entry, "data-file", &image->data);
	files_set(entry, "overlay-of", image->of);
	files_set(entry, "overlay-of-node", image->of_node);
	files_set_holder(entry, image);
	files_set(entry, "merged-into", image->merged_into);
	return entry;
}

static json_t *x_query_folder(struct qmp_context *ctx, json_t *args,
			      struct err *err)
{
	struct folder_report r;
	json_t *reply, *list;

	if (engine_query_folder(ctx->engine, args_str(args, "folder"), &r,
				err))
		return NULL;
	list = json_array();
	for (size_t i = 0; i < r.count; i++)
		json_array_append_new(list, folder_entry_json(&r.image[i]));
	reply = json_pack("{s:o, s:I, s:b, s:I, s:b}", "images", list, "files",
			  (json_int_t)r.files, "complete", (int)!r.cut,
			  "unread", (json_int_t)r.unread, "watched",
			  (int)r.watched);
	files_set(reply, "unread-file", r.first_unread);
	files_set(reply, "unread-folder", r.closed);
	folder_report_release(&r);
	return reply;
}

/* --- delete --- */

static json_t *delete_item_json(const struct delete_item *item)
{
	json_t *entry = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:b}",
				  "file", qmp_text(item->path),
				  "format", item->format,
				  "disk-size", (json_int_t)item->disk_bytes,
				  "freed", (json_int_t)item->freed,
				  "shared", (json_int_t)item->shared,
				  "links", (json_int_t)item->links,
				  "snapshots", (json_int_t)item->snapshots,
				  "deleted", (int)item->gone);
	json_t *data;

	if (!item->external)
		return entry;
	data = json_pack("{s:b}", "deleted-too", (int)item->data_goes);
	files_set(data, "file", item->data);
	json_object_set_new(entry, "data-file", data);
	return entry;
}

/* What went before it failed is said where it can be: in the error. */
static void tell_gone(const struct delete_report *r, struct err *err)
{
	struct str gone = STR_INIT;

	for (size_t i = 0; i < r->count; i++)
		if (r->item[i].gone)
			str_addf(&gone, "%s'%s'", gone.len ? ", " : "",
				 r->item[i].path);
	if (gone.len)
		err_prefix(err, "%s deleted, but: ", str_get(&gone));
	str_release(&gone);
}

static json_t *delete_reply(const struct delete_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(list, delete_item_json(&r->item[i]));
	return json_pack("{s:o, s:I}", "files", list, "freed",
			 (json_int_t)r->freed);
}

int options_names(const json_t *args, const char *key, const char ***names,
		  size_t *n, struct err *err)
{
	const json_t *list = json_object_get(args, key);

	*n = json_array_size(list);
	*names = *n ? mem_try(*n, sizeof(**names)) : NULL;
	if (*n && !*names)
		return err_sys(err, ENOMEM, "Could not read '%s'", key);
	for (size_t i = 0; i < *n; i++) {
		(*names)[i] = json_string_value(json_array_get(list, i));
		if ((*names)[i])
			continue;
		free(*names);
		*names = NULL;
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'%s[%zu]', expected: string", key, i);
	}
	return 0;
}

int options_delete(const json_t *args, struct delete_options *o,
		   struct err *err)
{
	const char **files;

	*o = (struct delete_options){
		.data_files = args_bool(args, "data-files", false),
		.dry_run = args_bool(args, "dry-run", false),
	};
	if (options_names(args, "files", &files, &o->count, err))
		return -1;
	o->files = files;
	return files ? 0 : err_set(err, ERR_INVALID_PARAMETER,
				   "Parameter 'files' names no file");
}

static char *tip_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? mem_printf("%.*s", (int)(slash - path + 1), path) :
		mem_dup(".");
}

static void tip_unused(const struct folder_report *r, struct err *err)
{
	struct str names = STR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		const char *path = r->image[i].path;

		if (r->image[i].outside || r->image[i].role != FILE_UNUSED ||
		    n++ >= TIP_NAMES)
			continue;
		str_addf(&names, "%s%s", names.len ? ", " : "",
			 strrchr(path, '/') + 1);
	}
	if (n > TIP_NAMES)
		str_addf(&names, " and %zu more", n - TIP_NAMES);
	err_tip(err, n ? "there nothing uses: %s" :
		"there is no image there that nothing uses%s", str_get(&names));
	str_release(&names);
}

int options_delete_error(struct engine *e, const struct delete_options *o,
			 struct err *err)
{
	struct err none = ERR_INIT;
	struct folder_report r;
	char *folder = NULL;

	for (size_t i = 0; !folder && i < o->count; i++)
		if (err->errnum == ENOENT && access(o->files[i], F_OK))
			folder = tip_folder(o->files[i]);
	if (folder && !engine_query_folder(e, folder, &r, &none)) {
		tip_unused(&r, err);
		folder_report_release(&r);
	}
	free(folder);
	return -1;
}

static json_t *x_delete(struct qmp_context *ctx, json_t *args, struct err *err)
{
	struct delete_options o;
	struct delete_report r;
	json_t *reply = NULL;

	if (options_delete(args, &o, err))
		return NULL;
	if (!engine_delete(ctx->engine, &o, &r, err)) {
		reply = delete_reply(&r);
	} else {
		tell_gone(&r, err);
		options_delete_error(ctx->engine, &o, err);
	}
	delete_report_release(&r);
	free((void *)o.files);
	return reply;
}

/* --- undo --- */

static json_t *undo_entry_json(const struct undo_info *info)
{
	json_t *entry = json_pack("{s:s, s:o, s:o, s:I, s:b}", "id", info->id,
				  "file", qmp_text(info->file), "kept",
				  qmp_text(info->kept), "bytes",
				  (json_int_t)info->bytes, "possible",
				  (int)!info->why_not);

	files_set(entry, "reason", info->why_not);
	return entry;
}

static json_t *x_query_undo(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	struct undo_info *info;
	size_t n;
	int rc = engine_query_undo(ctx->engine, &info, &n);
	json_t *list = rc ? NULL : json_array();

	(void)args;
	if (rc)
		err_sys(err, rc, "No list of what is kept");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, undo_entry_json(&info[i]));
	undo_info_free(info, n);
	return list;
}

static json_t *x_undo(struct qmp_context *ctx, json_t *args, struct err *err)
{
	return qmp_done(engine_undo(ctx->engine, args_str(args, "id"),
				    args_bool(args, "x-blkmon-force", false),
				    err));
}

static json_t *x_drop_undo(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	return qmp_done(engine_drop_undo(ctx->engine, args_str(args, "id"),
					 err));
}

const struct qmp_command qmp_file_commands[] = {
	{ "x-blkmon-query-folder", "*folder:s", x_query_folder, false },
	{ "x-blkmon-delete", "files:a,*data-files:b,*dry-run:b", x_delete,
	  false },
	{ "x-blkmon-query-undo", "", x_query_undo, false },
	{ "x-blkmon-undo", "id:s,*x-blkmon-force:b", x_undo, false },
	{ "x-blkmon-drop-undo", "id:s", x_drop_undo, false },
	{ .name = NULL }
};
