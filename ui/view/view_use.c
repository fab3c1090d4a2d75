/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/view/view_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "src/console/fields.h"
#include "src/qmp/json/args.h"
#include "ui/draw/text.h"

static const struct view_use *view_use_find(const struct view_uses *uses,
					    const struct view_use *use)
{
	for (size_t i = 0; i < uses->n; i++)
		if (!strcmp(uses->list[i].drive, use->drive) &&
		    !strcmp(uses->list[i].client, use->client))
			return &uses->list[i];
	return NULL;
}

/* Counters that went back belong to another one of that name. */
static uint64_t per_second(uint64_t now, uint64_t before, uint64_t ns)
{
	return now > before && ns ? (uint64_t)((double)(now - before) *
		NS_PER_SEC / (double)ns) : 0;
}

static void set_rates(struct view_use *use, const struct view_use *before,
		      uint64_t ns)
{
	use->rd = per_second(use->rd_bytes, before->rd_bytes, ns);
	use->wr = per_second(use->wr_bytes, before->wr_bytes, ns);
	use->ops = per_second(use->requests, before->requests, ns);
	memcpy(use->spark, before->spark + 1,
	       (USE_SPARK - 1) * sizeof(*use->spark));
	use->spark[USE_SPARK - 1] = use->rd + use->wr;
}

static void view_use_add(struct view_uses *now, const struct view_uses *before,
			 const char *drive, const char *client,
			 const json_t *counts)
{
	struct view_use *use = &now->list[now->n];
	const struct view_use *old;

	if (now->n == USES_MAX)
		return;
	*use = (struct view_use) {
		.rd_bytes = field_u64(counts, "rd_bytes"),
		.wr_bytes = field_u64(counts, "wr_bytes"),
		.requests = field_u64(counts, "rd_operations") +
			field_u64(counts, "wr_operations"),
	};
	text_copy_safe(use->drive, sizeof(use->drive), drive);
	text_copy_safe(use->client, sizeof(use->client), client);
	now->n++;
	old = view_use_find(before, use);
	if (old)
		set_rates(use, old, now->ns - before->ns);
}

static void client_name(const json_t *client, char *name, size_t size)
{
	snprintf(name, size, "client %ju %s",
		 (uintmax_t)field_u64(client, "number"),
		 field_str(client, "address"));
}

static void add_clients(struct view_uses *now, const struct view_uses *before,
			const char *drive, const json_t *clients)
{
	json_t *client;
	size_t i;

	json_array_foreach(clients, i, client) {
		char name[128];

		client_name(client, name, sizeof(name));
		view_use_add(now, before, drive, name, client);
	}
}

/* All clients of a drive, whatever the export. */
static json_t *clients_of_drive(const json_t *exports, const char *id)
{
	json_t *all = json_array(), *export;
	size_t i;

	json_array_foreach(exports, i, export)
		if (!strcmp(field_str(export, "device"), id))
			json_array_extend(all, json_object_get(export,
							       "clients"));
	return all;
}

static bool is_exported(const json_t *exports, const char *id)
{
	json_t *export;
	size_t i;

	json_array_foreach(exports, i, export)
		if (!strcmp(field_str(export, "device"), id))
			return true;
	return false;
}

static void add_drive(struct view_uses *now, const struct view_uses *before,
		      const char *id, const json_t *stats, json_t *clients)
{
	size_t at = now->n;
	char name[128];

	view_use_add(now, before, id, "", stats);
	if (json_array_size(clients) != 1) {
		add_clients(now, before, id, clients);
	} else if (at < now->n) {
		client_name(json_array_get(clients, 0), name, sizeof(name));
		text_copy_safe(now->list[at].only, sizeof(now->list[at].only),
			       name);
	}
	json_decref(clients);
}

/* --- reads, image by image --- */

const struct view_read *view_read_of(const struct view_uses *uses,
				     const char *node)
{
	for (size_t i = 0; i < uses->read_count; i++)
		if (*node && !strcmp(uses->reads[i].node, node))
			return &uses->reads[i];
	return NULL;
}

/* An image with those below it, each once. */
static void add_reads(struct view_uses *now, const struct view_uses *before,
		      const json_t *entry)
{
	for (; entry; entry = json_object_get(entry, "backing")) {
		struct view_read *r = &now->reads[now->read_count];
		const char *node = field_str(entry, "node-name");
		const struct view_read *old = view_read_of(before, node);

		if (now->read_count == READS_MAX || !*node ||
		    view_read_of(now, node))
			return;
		text_copy_safe(r->node, sizeof(r->node), node);
		/* The drive's own are what was asked of it. */
		r->bytes = field_u64(json_object_get(json_object_get(entry,
			"parent"), "stats"), "rd_bytes");
		r->rate = old ? per_second(r->bytes, old->bytes,
					   now->ns - before->ns) : 0;
		now->read_count++;
	}
}

void view_uses_make(struct view_uses *now, const struct view_uses *before,
		    const json_t *exports, const json_t *stats, uint64_t ns)
{
	json_t *drive;
	size_t i;

	*now = (struct view_uses) { .ns = ns };
	json_array_foreach(stats, i, drive) {
		const char *id = field_str(drive, "device");

		if (is_exported(exports, id))
			add_drive(now, before, id,
				  json_object_get(drive, "stats"),
				  clients_of_drive(exports, id));
		add_reads(now, before, drive);
	}
}

/* --- latency --- */

static const json_t *bins_of(const json_t *list, const char *drive)
{
	return json_object_get(args_entry(list, "device", drive), "bins");
}

static uint64_t bin_part(const json_t *bin, size_t part)
{
	return (uint64_t)json_integer_value(json_array_get(bin, part));
}

/* Requests of bin @i of @after that came since @before. */
static uint64_t bin_since(const json_t *before, const json_t *after, size_t i)
{
	const json_t *bin = json_array_get(after, i);
	uint64_t count = bin_part(bin, 1), old;
	json_t *other;
	size_t k;

	json_array_foreach(before, k, other) {
		old = bin_part(other, 1);
		if (bin_part(other, 0) == bin_part(bin, 0))
			return count > old ? count - old : 0;
	}
	return count;
}

static uint64_t percentile(const json_t *before, const json_t *after,
			   uint64_t all, unsigned percent)
{
	uint64_t want = (all * percent + 99) / 100, sum = 0;

	for (size_t i = 0; all && i < json_array_size(after); i++) {
		sum += bin_since(before, after, i);
		if (sum >= want)
			return bin_part(json_array_get(after, i), 0);
	}
	return 0;
}

void view_uses_latency(struct view_uses *now, const json_t *before,
		       const json_t *after)
{
	for (size_t u = 0; u < now->n; u++) {
		struct view_use *use = &now->list[u];
		const json_t *old = bins_of(before, use->drive);
		const json_t *bins = bins_of(after, use->drive);
		uint64_t all = 0;

		if (*use->client)
			continue;
		for (size_t i = 0; i < json_array_size(bins); i++)
			all += bin_since(old, bins, i);
		use->p50_ns = percentile(old, bins, all, 50);
		use->p99_ns = percentile(old, bins, all, 99);
	}
}
