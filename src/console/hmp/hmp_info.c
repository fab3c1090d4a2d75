/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The `info` commands (monitor.md, 1.4).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/history_text.h"
#include "src/console/hmp/hmp.h"
#include "src/console/image_text.h"

/* The end of a query: 0, or -1 if it failed and @value is NULL. */
static int hmp_info_drop(json_t *value)
{
	int rc = value ? 0 : -1;

	json_decref(value);
	return rc;
}

/* --- info block --- */

static void hmp_info_add_head(const json_t *inserted, const char *device,
			      struct str *out)
{
	const char *node = field_str(inserted, "node-name");

	if (*device)
		str_addf(out, *node ? "%s (%s)" : "%s", device, node);
	else
		str_add(out, node);
	str_add(out, ": ");
	str_add_safe(out, field_str(inserted, "file"));
	str_addf(out, " (%s%s%s)\n", field_str(inserted, "drv"),
		 field_bool(inserted, "ro") ? ", read-only" : "",
		 field_bool(inserted, "encrypted") ? ", encrypted" : "");
}

static void add_state(const json_t *entry, struct str *out)
{
	const char *status = field_str(entry, "io-status");

	if (*field_str(entry, "qdev"))
		str_addf(out, "    Attached to:      %s\n",
			 field_str(entry, "qdev"));
	if (*status && strcmp(status, "ok"))
		str_addf(out, "    I/O status:       %s\n", status);
	if (field_bool(entry, "removable"))
		str_addf(out, "    Removable device: %slocked, tray %s\n",
			 field_bool(entry, "locked") ? "" : "not ",
			 field_bool(entry, "tray_open") ? "open" : "closed");
}

static void hmp_info_add_limits(const json_t *inserted, struct str *out)
{
	static const char *const limits[] = {
		"bps", "bps_rd", "bps_wr", "bps_max", "bps_rd_max",
		"bps_wr_max", "iops", "iops_rd", "iops_wr", "iops_max",
		"iops_rd_max", "iops_wr_max", "iops_size",
	};
	uint64_t any = 0;

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		any |= field_u64(inserted, limits[i]);
	if (!any)
		return;
	str_add(out, "    I/O throttling:  ");
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		str_addf(out, " %s=%llu", limits[i], (unsigned long long)
			 field_u64(inserted, limits[i]));
	str_addf(out, " group=%s\n", field_str(inserted, "group"));
}

static unsigned hmp_info_depth_of(const json_t *inserted)
{
	const json_t *image = json_object_get(inserted, "image");
	unsigned depth = 0;

	while ((image = json_object_get(image, "backing-image")))
		depth++;
	return depth;
}

static void add_layers(const json_t *inserted, struct str *out)
{
	const json_t *cache = json_object_get(inserted, "cache");
	const json_t *below = json_object_get(json_object_get(inserted,
					"image"), "backing-image");
	const char *zeroes = field_str(inserted, "detect_zeroes");

	str_addf(out, "    Cache mode:       %s%s%s\n",
		 field_bool(cache, "writeback") ? "writeback" :
		 "writethrough",
		 field_bool(cache, "direct") ? ", direct" : "",
		 field_bool(cache, "no-flush") ? ", ignore flushes" : "");
	if (below && *field_str(inserted, "backing_file")) {
		str_add(out, "    Backing file:     ");
		str_add_safe(out, field_str(below, "filename"));
		str_addf(out, " (chain depth: %u)\n",
			 hmp_info_depth_of(inserted));
	}
	if (*zeroes && strcmp(zeroes, "off"))
		str_addf(out, "    Detect zeroes:    %s\n", zeroes);
}

static void add_images(const json_t *inserted, struct str *out)
{
	const json_t *image = json_object_get(inserted, "image");

	str_add(out, "\nImages:\n");
	for (; image; image = json_object_get(image, "backing-image"))
		image_text(image, out);
}

/* What was known of a place before it was gone is not said as if it were so. */
static bool hmp_info_is_lost(struct console *c, const json_t *entry)
{
	const char *name = field_str(entry, "device");

	if (!field_bool(entry, "x-blkmon-lost"))
		return false;
	console_printf(c, "Error: %s: nobody answers for it\n",
		       *name ? name : field_str(entry, "node-name"));
	return true;
}

/* @entry is of query-block; NULL for a node that stands alone. 0. */
static int add_block(const json_t *entry, const json_t *inserted,
		      bool verbose, struct str *out)
{
	const char *device = field_str(entry, "device");

	if (out->len)
		str_add_char(out, '\n');
	if (!inserted) {
		str_addf(out, "%s: [not inserted]\n", device);
		add_state(entry, out);
		return 0;
	}
	hmp_info_add_head(inserted, device, out);
	add_state(entry, out);
	add_layers(inserted, out);
	hmp_info_add_limits(inserted, out);
	if (verbose)
		add_images(inserted, out);
	return 0;
}

/* All devices, or the one of the name @only. */
static int add_devices(struct console *c, const char *only, bool verbose,
		       struct str *out)
{
	json_t *list = console_query(c, "query-block", NULL), *entry;
	int rc = 0;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!*only || !strcmp(only, field_str(entry, "device")))
			rc |= hmp_info_is_lost(c, entry) ? -1 :
				add_block(entry, json_object_get(entry,
					  "inserted"), verbose, out);
	return hmp_info_drop(list) | rc;
}

static int hmp_info_add_nodes(struct console *c, const char *only, bool verbose,
			      struct str *out)
{
	json_t *list = console_query(c, "query-named-block-nodes", NULL);
	json_t *entry;
	int rc = 0;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!*only || !strcmp(only, field_str(entry, "node-name")))
			rc |= hmp_info_is_lost(c, entry) ? -1 :
				add_block(NULL, entry, verbose, out);
	return hmp_info_drop(list) | rc;
}

/* A name that no device has may be a node's. */
int hmp_info_block(struct console *c, json_t *args)
{
	const char *only = field_str(args, "device");
	bool verbose = field_bool(args, "verbose");
	struct str out = STR_INIT;
	int rc = 0;

	if (!field_bool(args, "nodes"))
		rc = add_devices(c, only, verbose, &out);
	if (!rc && !out.len && (*only || field_bool(args, "nodes")))
		rc = hmp_info_add_nodes(c, only, verbose, &out);
	console_printf(c, "%s", str_get(&out));
	str_release(&out);
	return *only || rc ? rc : hmp_places_check(c);
}

/* --- the others --- */

static void hmp_info_job_line(struct console *c, const json_t *job)
{
	const char *type = field_str(job, "type");
	bool stream = !strcmp(type, "stream");

	console_printf(c, "%s%s%s %s: Completed %llu of %llu bytes, speed "
		       "limit %llu bytes/s\n", stream ? "" : "Type ",
		       stream ? "Streaming" : type,
		       stream ? " device" : ", device",
		       field_str(job, "device"),
		       (unsigned long long)field_u64(job, "offset"),
		       (unsigned long long)field_u64(job, "len"),
		       (unsigned long long)field_u64(job, "speed"));
}

int hmp_info_block_jobs(struct console *c, json_t *args)
{
	json_t *list = console_query(c, "query-block-jobs", NULL), *job;
	size_t i;

	(void)args;
	if (list && !json_array_size(list))
		console_printf(c, "No active jobs\n");
	json_array_foreach(list, i, job)
		if (!field_bool(job, "x-blkmon-lost"))
			hmp_info_job_line(c, job);
	return hmp_info_drop(list) ? -1 : hmp_places_check(c);
}

static void stats_line(struct console *c, const json_t *entry)
{
	static const char *const keys[] = {
		"rd_bytes", "wr_bytes", "rd_operations", "wr_operations",
		"flush_operations", "wr_total_time_ns", "rd_total_time_ns",
		"flush_total_time_ns", "rd_merged", "wr_merged",
		"idle_time_ns",
	};
	const json_t *stats = json_object_get(entry, "stats");
	struct str line = STR_INIT;

	str_addf(&line, "%s:", field_str(entry, "device"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		str_addf(&line, " %s=%llu", keys[i], (unsigned long long)
			 field_u64(stats, keys[i]));
	console_printf(c, "%s\n", str_get(&line));
	str_release(&line);
}

int hmp_info_blockstats(struct console *c, json_t *args)
{
	json_t *list = console_query(c, "query-blockstats", NULL), *entry;
	size_t i;

	(void)args;
	json_array_foreach(list, i, entry)
		if (!field_bool(entry, "x-blkmon-lost"))
			stats_line(c, entry);
	return hmp_info_drop(list) ? -1 : hmp_places_check(c);
}

int hmp_info_status(struct console *c, json_t *args)
{
	json_t *value = console_query(c, "query-status", NULL);
	const char *status = field_str(value, "status");

	(void)args;
	if (field_bool(value, "running") || !strcmp(status, "paused"))
		console_printf(c, "VM status: %s\n", status);
	else if (value)
		console_printf(c, "VM status: paused (%s)\n", status);
	return hmp_info_drop(value);
}

int hmp_info_version(struct console *c, json_t *args)
{
	json_t *value = console_query(c, "query-version", NULL);
	const json_t *qemu = json_object_get(value, "qemu");

	(void)args;
	if (value)
		console_printf(c, "%u.%u.%u%s\n",
			       (unsigned)field_u64(qemu, "major"),
			       (unsigned)field_u64(qemu, "minor"),
			       (unsigned)field_u64(qemu, "micro"),
			       field_str(value, "package"));
	return hmp_info_drop(value);
}

int hmp_info_history(struct console *c, json_t *args)
{
	(void)args;
	for (size_t i = 0; i < c->history_len; i++)
		console_printf(c, "%zu: '%s'\n", i, c->history[i]);
	return 0;
}

static bool hmp_info_count(struct console *c, const char *word, long *count)
{
	char *end;

	errno = 0;
	*count = *word ? strtol(word, &end, 10) : 20;
	if (!*word || (!errno && end != word && !*end && *count >= 0 &&
		       *count <= 100000))
		return true;
	console_printf(c, "info history-jobs: '%s' is no number of jobs\n",
		       word);
	return false;
}

int hmp_info_history_jobs(struct console *c, json_t *args)
{
	struct str text = STR_INIT;
	json_t *list;
	long count;

	if (!hmp_info_count(c, field_str(args, "count"), &count))
		return -1;
	list = console_query(c, "x-blkmon-query-history",
			     json_pack("{s:I}", "count", (json_int_t)count));
	if (list)
		history_text(list, &text);
	console_printf(c, "%s", str_get(&text));
	str_release(&text);
	return hmp_info_drop(list);
}
