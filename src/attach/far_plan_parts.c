/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of a plan: images, who else holds on to them, and what becomes of
 * them.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "src/attach/far_plan.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/text.h"

static uint64_t far_plan_bytes_of(const json_t *node)
{
	return (uint64_t)args_int(json_object_get(node, "image"),
				  "actual-size", 0);
}

json_t *far_plan_entry(const json_t *node, const char *role)
{
	json_t *entry = json_pack("{s:s, s:I, s:s}", "filename",
				  far_arg(node, "file"), "bytes",
				  (json_int_t)far_plan_bytes_of(node),
				  "node-name", far_arg(node, "node-name"));

	if (role)
		json_object_set_new(entry, "role", json_string(role));
	return entry;
}

json_t *far_plan_part(struct far_plan *p, const char *key)
{
	return json_object_get(p->out, key);
}

void far_plan_add(struct far_plan *p, const char *key, const json_t *node,
		  const char *role)
{
	json_array_append_new(far_plan_part(p, key),
			      far_plan_entry(node, role));
}

static void far_plan_add_hit(struct far_plan *p, const char *key, json_t *what)
{
	json_array_append_new(json_object_get(far_plan_part(p, "hits"), key),
			      what);
}

void far_plan_unknown(struct far_plan *p, const char *what)
{
	json_array_append_new(far_plan_part(p, "unknown"), json_string(what));
}

void far_plan_cancel_is(struct far_plan *p, const char *says)
{
	json_object_set_new(p->out, "cancel", json_pack(
		"{s:b, s:s}", "restores", 0, "says", says));
}

void far_plan_kind_is(struct far_plan *p, const char *kind)
{
	json_object_set_new(p->out, "kind", json_string(kind));
}

/* How much room there is, only the host itself knows. */
void far_plan_space_in(struct far_plan *p, const char *file, json_t *needs)
{
	const char *slash = strrchr(file, '/');
	bool other = !strncmp(file, "json:", 5) || strstr(file, "://");
	char *folder;

	far_plan_unknown(p, "free space");
	/* What is no file is in no folder. */
	if (other && *file != '/') {
		json_decref(needs);
		return;
	}
	folder = !slash ? mem_dup(".") : slash == file ? mem_dup("/") :
		mem_printf("%.*s", (int)(slash - file), file);

	json_object_set_new(p->out, "space", json_pack(
		"{s:o, s:o, s:n, s:i, s:n}", "folder", qmp_text(folder),
		"needs", needs, "free", "reserved", 0, "fits"));
	free(folder);
}

/* --- who else has to do with an image --- */

/* The same image, or the same file opened once more: each drive of a command
 * line opens all of its chain for itself. */
static bool far_plan_is_same(const json_t *a, const json_t *b)
{
	return a == b || (a && b && *far_arg(a, "file") &&
			  !strcmp(far_arg(a, "file"), far_arg(b, "file")) &&
			  !strcmp(far_arg(a, "drv"), far_arg(b, "drv")));
}

bool far_plan_chain_has(struct far_plan *p, const char *root,
			const char *node)
{
	size_t steps = json_array_size(p->names.nodes);
	const json_t *image = far_plan_node(p, node);

	for (; *root && steps; steps--, root = far_plan_below(p, root))
		if (far_plan_is_same(far_plan_node(p, root), image))
			return true;
	return false;
}

void far_plan_find_drives(struct far_plan *p, const char *target)
{
	for (size_t i = 0; i < p->names.n; i++) {
		const struct far_drive *drive = &p->names.drives[i];

		if (drive != p->drive &&
		    far_plan_chain_has(p, drive->node, target))
			far_plan_add_hit(p, "drives", qmp_text(drive->shown));
	}
}

void far_plan_find_exports(struct far_plan *p)
{
	json_t *export;
	size_t i;

	json_array_foreach(p->names.exports, i, export)
		if (!strcmp(far_arg(export, "node-name"), p->root))
			far_plan_add_hit(p, "exports", qmp_text(far_arg(export,
									"id")));
}

static bool far_plan_drops(const struct far_plan *p, size_t i)
{
	return i >= p->first && i < p->base;
}

/* It is open, and no image of the chain. */
static bool far_plan_is_other(struct far_plan *p, const char *node)
{
	return !far_names_is_filter(far_plan_node(p, node)) &&
		far_plan_find(p, node) == p->n;
}

/* Somebody besides this chain holds on to its image @i: a drive, an export,
 * another image on it, or the file is open once more. */
static bool far_plan_is_held(struct far_plan *p, size_t i)
{
	const json_t *image = p->chain[i];
	const char *node = far_arg(image, "node-name");
	json_t *entry;
	size_t k;

	for (k = 0; k < p->names.n; k++)
		if (&p->names.drives[k] != p->drive &&
		    !strcmp(p->names.drives[k].node, node))
			return true;
	json_array_foreach(p->names.exports, k, entry)
		if (i && !strcmp(far_arg(entry, "node-name"), node))
			return true;
	json_array_foreach(p->names.links, k, entry)
		if (!strcmp(far_arg(entry, "backing"), node) &&
		    far_plan_is_other(p, far_arg(entry, "node-name")))
			return true;
	json_array_foreach(p->names.nodes, k, entry)
		if (entry != image && far_plan_is_same(entry, image))
			return true;
	return false;
}

/* --- what becomes of the images --- */

void far_plan_find_layers(struct far_plan *p)
{
	size_t last = p->base < p->n ? p->base : p->n - 1;

	for (size_t i = p->top; i <= last; i++)
		far_plan_add(p, "layers", p->chain[i], i == p->top ? "top" :
			     i == p->base ? "base" : "between");
}

void far_plan_find_after(struct far_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!far_plan_drops(p, i))
			far_plan_add(p, "chain", p->chain[i], NULL);
}

void far_plan_find_unused(struct far_plan *p)
{
	uint64_t back = 0;

	for (size_t i = p->first; i < p->base && i < p->n; i++) {
		if (far_plan_is_held(p, i))
			break;
		back += far_plan_bytes_of(p->chain[i]);
		far_plan_add(p, "unused", p->chain[i], NULL);
	}
	json_object_set_new(p->out, "gives-back",
			    json_integer((json_int_t)back));
}

/* Images whose internal snapshots would read something else. */
void far_plan_find_snapshots(struct far_plan *p, bool stream)
{
	size_t end = stream ? p->top + 1 : p->base;

	for (size_t i = p->top; i < end && i < p->n; i++)
		if (json_array_size(json_object_get(json_object_get(
				    p->chain[i], "image"), "snapshots")))
			far_plan_add_hit(p, "snapshots",
					 far_plan_entry(p->chain[i], NULL));
}

/* Tables grow with what is written, and a few more are begun. */
#define FAR_PLAN_TABLES(bytes) ((bytes) / 4096 + (256u << 10))

/* By maps where there are some; else no more than the files have, tables and
 * all, and than there is of the disk. */
uint64_t far_plan_estimate(struct far_plan *p)
{
	uint64_t sum = 0, size = (uint64_t)args_int(json_object_get(
		p->chain[p->top], "image"), "virtual-size", 0);
	size_t end = p->base < p->n ? p->base : p->n;
	json_t *bytes = far_plan_part(p, "bytes");
	bool maps = far_map_moved(p->call, &p->names, p->chain + p->top,
				  end - p->top, p->first - p->top, &sum);

	for (size_t i = p->first; i < end && !maps; i++)
		sum += far_plan_bytes_of(p->chain[i]);
	sum = min_u64(sum, size);
	json_object_set_new(bytes, "left", json_integer((json_int_t)sum));
	json_object_set_new(bytes, "estimate", json_string(maps ? "maps" :
							   "files"));
	return sum && maps ? sum + FAR_PLAN_TABLES(sum) : sum;
}

void far_plan_job_is(struct far_plan *p, const char *id)
{
	json_object_set_new(p->out, "job-id", qmp_text(far_job_shown(id)));
}
