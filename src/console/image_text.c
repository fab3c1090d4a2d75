/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/image_text.h"

#include <string.h>
#include <time.h>

#include "engine/util/size.h"
#include "src/console/fields.h"

static void add_sizes(const json_t *image, struct str *out)
{
	uint64_t size = field_u64(image, "virtual-size");
	char virtual[16], actual[16];

	size_format(size, virtual, sizeof(virtual));
	size_format(field_u64(image, "actual-size"), actual, sizeof(actual));
	str_addf(out, "virtual size: %s (%llu bytes)\ndisk size: %s\n",
		 virtual, (unsigned long long)size, actual);
	if (field_bool(image, "encrypted"))
		str_add(out, "encrypted: yes\n");
	if (json_object_get(image, "cluster-size"))
		str_addf(out, "cluster_size: %llu\n", (unsigned long long)
			 field_u64(image, "cluster-size"));
	if (field_bool(image, "dirty-flag"))
		str_add(out, "cleanly shut down: no\n");
}

static void image_text_add_backing(const json_t *image, struct str *out)
{
	const char *name = field_str(image, "backing-filename");
	const char *full = field_str(image, "full-backing-filename");
	const char *format = field_str(image, "backing-filename-format");

	if (!*name)
		return;
	str_add(out, "backing file: ");
	str_add_safe(out, name);
	if (*full && strcmp(full, name)) {
		str_add(out, " (actual path: ");
		str_add_safe(out, full);
		str_add_char(out, ')');
	}
	str_add_char(out, '\n');
	if (*format)
		str_addf(out, "backing file format: %s\n", format);
}

void snapshot_text(const json_t *s, const char *id, struct str *out)
{
	time_t when = (time_t)field_u64(s, "date-sec");
	uint64_t clock = field_u64(s, "vm-clock-sec");
	char date[32] = "", size[16], vm_clock[32], icount[24] = "";
	struct str name = STR_INIT;
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	size_format(field_u64(s, "vm-state-size"), size, sizeof(size));
	snprintf(vm_clock, sizeof(vm_clock), "%02u:%02u:%02u.%03u",
		 (unsigned)(clock / 3600), (unsigned)(clock / 60 % 60),
		 (unsigned)(clock % 60),
		 (unsigned)(field_u64(s, "vm-clock-nsec") / 1000000));
	if (json_object_get(s, "icount"))
		snprintf(icount, sizeof(icount), "%llu", (unsigned long long)
			 field_u64(s, "icount"));
	str_add_safe(&name, field_str(s, "name"));
	str_addf(out, "%-9s %-16s %8s%20s%13s%11s\n", id, str_get(&name),
		 size, date, vm_clock, icount);
	str_release(&name);
}

void snapshot_head_text(struct str *out)
{
	str_addf(out, "%-9s %-16s %8s%20s%13s%11s\n", "ID", "TAG",
		 "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
}

static void image_text_add_snapshots(const json_t *image, struct str *out)
{
	const json_t *list = json_object_get(image, "snapshots");
	json_t *entry;
	size_t i;

	if (!json_array_size(list))
		return;
	str_add(out, "Snapshot list:\n");
	snapshot_head_text(out);
	json_array_foreach(list, i, entry)
		snapshot_text(entry, field_str(entry, "id"), out);
}

static void image_text_add_value(const char *label, const json_t *value,
				 struct str *out)
{
	struct str text = STR_INIT;

	if (json_is_string(value))
		str_add_safe(&text, json_string_value(value));
	if (json_is_string(value))
		str_addf(out, "    %s: %s\n", label, str_get(&text));
	else if (json_is_integer(value))
		str_addf(out, "    %s: %lld\n", label,
			 (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		str_addf(out, "    %s: %s\n", label,
			 json_is_true(value) ? "true" : "false");
	str_release(&text);
}

static void image_text_add_specific(const json_t *image, struct str *out)
{
	static const char *const members[][2] = {
		{ "compat", "compat" },
		{ "compression-type", "compression type" },
		{ "lazy-refcounts", "lazy refcounts" },
		{ "refcount-bits", "refcount bits" },
		{ "corrupt", "corrupt" },
		{ "data-file", "data file" },
		{ "data-file-raw", "data file raw" },
		{ "extended-l2", "extended l2" },
	};
	const json_t *data = json_object_get(json_object_get(image,
						"format-specific"), "data");

	if (!data)
		return;
	str_add(out, "Format specific information:\n");
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		image_text_add_value(members[i][1],
				     json_object_get(data, members[i][0]), out);
}

void image_text(const json_t *image, struct str *out)
{
	str_add(out, "image: ");
	str_add_safe(out, field_str(image, "filename"));
	str_addf(out, "\nfile format: %s\n", field_str(image, "format"));
	add_sizes(image, out);
	image_text_add_backing(image, out);
	image_text_add_snapshots(image, out);
	image_text_add_specific(image, out);
}

void amount_text(double bytes, struct str *out)
{
	static const char *const units[] = {
		"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
	};
	char number[32];
	size_t unit = 0, len;

	for (; bytes >= 1024 && unit < 6; unit++)
		bytes /= 1024;
	len = (size_t)snprintf(number, sizeof(number), "%.3f", bytes);
	if (!strcmp(number + len - 4, ".000"))
		number[len - 4] = '\0';
	str_addf(out, "%s %s", number, units[unit]);
}
