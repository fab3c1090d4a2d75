/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/view/view_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "src/console/fields.h"
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
	if (use->requests > before->requests &&
	    use->busy_ns > before->busy_ns)
		use->latency_ns = (use->busy_ns - before->busy_ns) /
			(use->requests - before->requests);
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
		.busy_ns = field_u64(counts, "rd_total_time_ns") +
			field_u64(counts, "wr_total_time_ns"),
	};
	text_copy_safe(use->drive, sizeof(use->drive), drive);
	text_copy_safe(use->client, sizeof(use->client), client);
	now->n++;
	old = view_use_find(before, use);
	if (old)
		set_rates(use, old, now->ns - before->ns);
}

static void add_clients(struct view_uses *now, const struct view_uses *before,
			const char *drive, const json_t *clients)
{
	json_t *client;
	size_t i;

	json_array_foreach(clients, i, client) {
		char name[128];

		snprintf(name, sizeof(name), "client %ju %s",
			 (uintmax_t)field_u64(client, "number"),
			 field_str(client, "address"));
		view_use_add(now, before, drive, name, client);
	}
}

void view_uses_make(struct view_uses *now, const struct view_uses *before,
		    const json_t *exports, const json_t *stats, uint64_t ns)
{
	json_t *drive, *export;
	size_t i, k;

	*now = (struct view_uses) { .ns = ns };
	json_array_foreach(stats, i, drive) {
		const char *id = field_str(drive, "device");
		size_t of_drive = 0;

		json_array_foreach(exports, k, export)
			of_drive += !strcmp(field_str(export, "device"), id);
		if (!of_drive)
			continue;
		view_use_add(now, before, id, "",
			     json_object_get(drive, "stats"));
		json_array_foreach(exports, k, export)
			if (!strcmp(field_str(export, "device"), id))
				add_clients(now, before, id,
					    json_object_get(export,
							    "clients"));
	}
}
