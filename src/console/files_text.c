/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/files_text.h"

#include <string.h>

#include "engine/util/size.h"
#include "src/console/fields.h"

static void add_name(struct str *out, const char *before, const char *name,
		     const char *behind)
{
	str_add(out, before);
	str_add_char(out, '\'');
	str_add_safe(out, name);
	str_addf(out, "'%s", behind);
}

static void add_size(struct str *out, const char *before, uint64_t bytes,
		     const char *behind)
{
	char text[16];

	size_format(bytes, text, sizeof(text));
	str_addf(out, "%s%s%s", before, text, behind);
}

/* --- a folder --- */

static void add_held(const json_t *image, struct str *out)
{
	const json_t *holder = json_object_get(image, "holder");

	if (!field_bool(image, "held"))
		return;
	str_add(out, ", in use by ");
	if (!holder) {
		str_add(out, "another process");
		return;
	}
	str_add_safe(out, field_str(holder, "name"));
	str_addf(out, "[%llu]", (unsigned long long)field_u64(holder, "pid"));
}

static void add_role(const json_t *image, struct str *out)
{
	const char *role = field_str(image, "role");

	if (!strcmp(role, "active"))
		str_addf(out, "open, active layer (%s)",
			 field_str(image, "node-name"));
	else if (!strcmp(role, "layer") || !strcmp(role, "data"))
		str_addf(out, "open, %s of %s", strcmp(role, "data") ? "layer" :
			 "data file", field_str(image, "node-name"));
	else if (!strcmp(role, "overlay"))
		add_name(out, "not open, reads from ",
			 field_str(image, "overlay-of"), "");
	else if (!strcmp(role, "orphan"))
		str_add(out, "not open, and incomplete");
	else if (!strcmp(role, "below"))
		str_addf(out, "not open, %llu image%s on it",
			 (unsigned long long)field_u64(image, "overlays"),
			 field_u64(image, "overlays") == 1 ? "" : "s");
	else
		str_add(out, strcmp(role, "held") ?
			"not open, no image needs it" : "not open here");
	add_held(image, out);
}

static void folder_add_link(const json_t *image, const char *key,
			    const char *what, struct str *out)
{
	const json_t *link = json_object_get(image, key);
	const char *path = field_str(link, "path");

	if (!link)
		return;
	str_addf(out, "    %s ", what);
	add_name(out, "", field_str(link, "file"), "");
	if (field_bool(link, "missing"))
		add_name(out, " is MISSING; looked for at ", path, "");
	else if (*path && strcmp(path, field_str(link, "file")))
		add_name(out, " (", path, ")");
	str_add_char(out, '\n');
}

static void folder_add_image(const json_t *image, struct str *out)
{
	const char *format = field_str(image, "format");
	const char *merged = field_str(image, "merged-into");
	uint64_t snapshots = field_u64(image, "snapshots");

	str_add_safe(out, field_str(image, "path"));
	str_addf(out, ": %s", *format ? format : "can't be read");
	add_size(out, ", ", field_u64(image, "virtual-size"), "");
	add_size(out, ", ", field_u64(image, "disk-size"), " on disk; ");
	add_role(image, out);
	str_add_char(out, '\n');
	folder_add_link(image, "backing", "backing file", out);
	folder_add_link(image, "data-file", "data file", out);
	if (field_bool(image, "spoilt"))
		str_add(out, "    SPOILT: what it reads from below was changed "
			"by force\n");
	if (*merged)
		add_name(out, "    merged into ", merged, "\n");
	else if (field_bool(image, "left"))
		str_add(out, "    taken out of a chain here\n");
	if (snapshots)
		str_addf(out, "    snapshots inside: %llu\n",
			 (unsigned long long)snapshots);
}

static void folder_add_limits(const json_t *reply, struct str *out)
{
	const char *closed = field_str(reply, "unread-folder");

	if (!field_bool(reply, "complete"))
		str_addf(out, "There are more: %llu files were looked at\n",
			 (unsigned long long)field_u64(reply, "files"));
	if (field_u64(reply, "unread")) {
		str_addf(out, "%llu of the files can't be read",
			 (unsigned long long)field_u64(reply, "unread"));
		add_name(out, ", such as ", field_str(reply, "unread-file"),
			 "\n");
	}
	if (*closed)
		add_name(out, "The folder ", closed, " can't be read\n");
}

void folder_text(const json_t *reply, struct str *out)
{
	const json_t *list = json_object_get(reply, "images");
	json_t *image;
	size_t i;

	json_array_foreach(list, i, image)
		folder_add_image(image, out);
	if (reply && !json_array_size(list))
		str_add(out, "No images\n");
	folder_add_limits(reply, out);
}

/* --- what is deleted --- */

static void deletion_add_why(const json_t *file, struct str *out)
{
	uint64_t links = field_u64(file, "links");

	if (links > 1)
		str_addf(out, " (it has %llu other name%s)",
			 (unsigned long long)(links - 1),
			 links == 2 ? "" : "s");
	else if (field_u64(file, "shared"))
		add_size(out, " (", field_u64(file, "shared"),
			 " shared with other files)");
}

static void deletion_add_file(const json_t *file, bool plan, struct str *out)
{
	const json_t *data = json_object_get(file, "data-file");
	uint64_t snapshots = field_u64(file, "snapshots");

	add_name(out, plan ? "would delete " : "deleted ",
		 field_str(file, "file"), "");
	str_addf(out, " (%s)", field_str(file, "format"));
	add_size(out, ", ", field_u64(file, "freed"), " given back");
	deletion_add_why(file, out);
	if (snapshots)
		str_addf(out, ", with %llu snapshot%s inside",
			 (unsigned long long)snapshots,
			 snapshots == 1 ? "" : "s");
	str_add_char(out, '\n');
	if (!data || field_bool(data, "deleted-too"))
		return;
	if (*field_str(data, "file"))
		add_name(out, "    its data file ", field_str(data, "file"),
			 " stays\n");
	else
		str_add(out, "    its data file, which it does not name, "
			"stays\n");
}

void deletion_text(const json_t *reply, bool plan, struct str *out)
{
	const json_t *list = json_object_get(reply, "files");
	json_t *file;
	size_t i;

	json_array_foreach(list, i, file)
		deletion_add_file(file, plan, out);
	if (json_array_size(list) > 1)
		add_size(out, "", field_u64(reply, "freed"),
			 " given back in all\n");
}
