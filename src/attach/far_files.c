/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What files are called. Where an image lies on another than its header names,
 * its end gives all that it was opened with as its name, as JSON; people, and
 * whoever looks for the file, want that of the file.
 */
#include <string.h>

#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

/* The file of an image that is all of it, or NULL. */
static const char *far_files_inner(const json_t *opened)
{
	const json_t *file = json_object_get(opened, "file");
	const char *flat = args_str(opened, "file.filename");

	/* A part of it is another thing than the file. */
	if (json_object_get(opened, "offset") ||
	    json_object_get(opened, "size"))
		return NULL;
	if (flat)
		return flat;
	if (strcmp(far_arg(file, "driver"), "file") &&
	    strcmp(far_arg(file, "driver"), "host_device"))
		return NULL;
	return args_str(file, "filename");
}

static void far_files_plain_member(json_t *object, const char *key)
{
	const char *name = far_arg(object, key), *inner;
	json_t *opened;

	if (strncmp(name, "json:", 5))
		return;
	opened = json_loads(name + 5, JSON_REJECT_DUPLICATES, NULL);
	inner = far_files_inner(opened);
	if (inner && *inner)
		json_object_set_new(object, key, json_string(inner));
	json_decref(opened);
}

void far_files_plain(json_t *node)
{
	json_t *image = json_object_get(node, "image");

	far_files_plain_member(node, "file");
	far_files_plain_member(node, "backing_file");
	for (; image; image = json_object_get(image, "backing-image"))
		far_files_plain_member(image, "filename");
}
