/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * info snapshots: which snapshots all disks have (without an id, for it may
 * differ from disk to disk), then what single disks have besides.
 */
#include <string.h>

#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hmp/hmp.h"
#include "src/console/image_text.h"

static bool can_snapshot(const json_t *device)
{
	const json_t *inserted = json_object_get(device, "inserted");

	return inserted && !field_bool(inserted, "ro") &&
	       !strcmp(field_str(inserted, "drv"), "qcow2");
}

static const json_t *snapshots_of(const json_t *device)
{
	return json_object_get(json_object_get(json_object_get(device,
			"inserted"), "image"), "snapshots");
}

static bool has_name(const json_t *snapshots, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(snapshots, i, entry)
		if (!strcmp(field_str(entry, "name"), name))
			return true;
	return false;
}

static bool all_have(const json_t *devices, const char *name)
{
	json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
		if (can_snapshot(device) &&
		    !has_name(snapshots_of(device), name))
			return false;
	return true;
}

/* Those of @device that all devices have, or that not all have. */
static void add_some(const json_t *devices, const json_t *device, bool common,
		     const char *title, struct str *out)
{
	json_t *entry;
	bool any = false;
	size_t i;

	json_array_foreach(snapshots_of(device), i, entry) {
		if (all_have(devices, field_str(entry, "name")) != common)
			continue;
		if (!any) {
			str_add(out, title);
			snapshot_head_text(out);
		}
		any = true;
		snapshot_text(entry, common ? "--" : field_str(entry, "id"),
			      out);
	}
}

static void add_partial(const json_t *devices, const json_t *device,
			struct str *out)
{
	struct str title = STR_INIT;

	str_addf(&title, "%sList of partial (non-loadable) snapshots on "
		 "'%s':\n", out->len ? "\n" : "",
		 field_str(device, "device"));
	add_some(devices, device, false, str_get(&title), out);
	str_release(&title);
}

int hmp_info_snapshots(struct console *c, json_t *args)
{
	json_t *devices = console_query(c, "query-block", json_pack(
					"{s:b}", "x-blkmon-filters", 0));
	json_t *device;
	struct str out = STR_INIT;
	bool first = true;
	size_t i;

	(void)args;
	if (!devices)
		return -1;
	json_array_foreach(devices, i, device) {
		if (!can_snapshot(device) || !first)
			continue;
		first = false;
		add_some(devices, device, true, "List of snapshots present on "
			 "all disks:\n", &out);
	}
	json_array_foreach(devices, i, device)
		if (can_snapshot(device))
			add_partial(devices, device, &out);
	console_printf(c, "%s", out.len ? str_get(&out) :
		       "There is no snapshot available.\n");
	str_release(&out);
	json_decref(devices);
	return 0;
}
