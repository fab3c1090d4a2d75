/* forecast.c - see forecast.h: layers, files, who else sees them. */
#include "engine/forecast/forecast.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain_walk.h"
#include "engine/chain/graph.h"
#include "engine/util/mem.h"

void forecast_files_release(struct forecast_files *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->file[i].path);
	free(list->file);
}

void forecast_release(struct forecast *f)
{
	forecast_files_release(&f->layers);
	forecast_files_release(&f->unused);
	forecast_files_release(&f->after);
	forecast_files_release(&f->snapshots);
	forecast_files_release(&f->siblings);
	free(f->drives.name);
	free(f->jobs.name);
	free(f->space.folder);
	*f = (struct forecast){ 0 };
}

int forecast_add(struct forecast_files *list, const struct node *node,
		 const char *path, const char *role, bool first)
{
	size_t at = first ? 0 : list->count;
	void *p = mem_try_more(list->file, &list->cap, list->count + 1,
			       sizeof(*list->file));
	char *copy = p ? mem_try_dup(path, strlen(path)) : NULL;

	if (p)
		list->file = p;
	if (!copy)
		return -ENOMEM;
	memmove(&list->file[at + 1], &list->file[at],
		(list->count++ - at) * sizeof(*list->file));
	list->file[at] = (struct forecast_file){
		.path = copy, .role = role,
		.bytes = node ? file_disk_bytes(node->file) : 0,
	};
	if (node)
		memcpy(list->file[at].node, node->name, NODE_NAME_MAX);
	return 0;
}

static int add_node(struct forecast_files *list, const struct node *node,
		    const char *role)
{
	return forecast_add(list, node, node->file->path, role, false);
}

int forecast_add_name(struct forecast_names *list, const char *name)
{
	void *p = mem_try_more(list->name, &list->cap, list->count + 1,
			       sizeof(*list->name));

	if (!p)
		return -ENOMEM;
	list->name = p;
	snprintf(list->name[list->count++], sizeof(*list->name), "%s", name);
	return 0;
}

/* --- which images are let go of: [first, base) --- */

static struct node *first_dropped(const struct work *w)
{
	return w->kind == WORK_STREAM ? w->top->backing : w->top;
}

static bool forecast_drops(const struct work *w, const struct node *node)
{
	for (const struct node *n = first_dropped(w); n && n != w->base;
	     n = n->backing)
		if (n == node)
			return true;
	return false;
}

/* Somebody besides the chain of the work holds on to @node. */
static bool forecast_is_held(const struct work *w, struct node *node)
{
	const struct root *root = graph_root_of(node);
	struct node *above;

	if (root && *root->id && (!w->drive || root != &w->drive->root))
		return true;
	if (node != first_dropped(w) && node->overlays < 2)
		return false;
	for (unsigned i = 0; (above = graph_overlay(node, i)); i++)
		if (!forecast_drops(w, above) && above != w->top &&
		    !(w->kind == WORK_COMMIT && node == w->top))
			return true;
	return false;
}

static int find_unused(struct forecast *f, const struct work *w,
		       const struct siblings *found)
{
	int rc = 0;

	for (struct node *n = first_dropped(w); n && n != w->base && !rc;
	     n = n->backing) {
		size_t at = 0;

		if (forecast_is_held(w, n) || siblings_next(found, n, &at))
			break;
		rc = add_node(&f->unused, n, NULL);
	}
	return rc;
}

/* --- chains --- */

static const char *role_in(const struct work *w, const struct node *n)
{
	return n == w->top ? "top" : n == w->base ? "base" : "between";
}

static int find_layers(struct forecast *f, const struct work *w)
{
	int rc = 0;

	if (w->overlay && w->overlay != w->top)
		rc = add_node(&f->layers, w->overlay, "overlay");
	for (struct node *n = w->top; n && !rc; n = n->backing) {
		rc = add_node(&f->layers, n, role_in(w, n));
		if (n == w->base)
			break;
	}
	return rc;
}

/* Where the chain that @top is in begins. */
static struct node *chain_begin(struct forecast *f, struct node *top)
{
	const struct root *root = graph_root_above(top);

	if (!root)
		return top;
	snprintf(f->drive, sizeof(f->drive), "%s", root->id);
	return root->node;
}

static int find_after(struct forecast *f, const struct work *w)
{
	const struct node *first = first_dropped(w);
	bool dropped = false;
	int rc = 0;

	for (struct node *n = chain_begin(f, w->top); n && !rc;
	     n = n->backing) {
		dropped = (dropped || n == first) && n != w->base;
		if (!dropped)
			rc = add_node(&f->after, n, NULL);
	}
	return rc;
}

int forecast_top(struct forecast *f, struct node *top)
{
	int rc = add_node(&f->layers, top, "top");

	for (struct node *n = chain_begin(f, top); n && !rc; n = n->backing)
		rc = add_node(&f->after, n, NULL);
	return rc;
}

/* --- who is hit --- */

static int find_drives(struct forecast *f, const struct work *w)
{
	int rc = 0;

	list_for_each(link, &w->top->graph->roots) {
		const struct root *root = container_of(link, struct root, link);

		if (!rc && *root->id && strcmp(root->id, f->drive) &&
		    chain_has(root->node, work_target(w)))
			rc = forecast_add_name(&f->drives, root->id);
	}
	return rc;
}

/* Those that the start of it refuses unless it is forced. */
static int find_snapshots(struct forecast *f, const struct work *w)
{
	int rc = 0;

	for (struct node *n = w->top; n && n != w->base && !rc;
	     n = n->backing) {
		if (n->drv->snapshots && n->drv->snapshots(n, NULL, NULL) > 0)
			rc = add_node(&f->snapshots, n, NULL);
		if (w->kind == WORK_STREAM)
			break;
	}
	return rc;
}

/* The same: what a commit writes to lies below them. */
static int find_siblings(struct forecast *f, const struct work *w,
			 const struct siblings *found)
{
	const char *path;
	int rc = 0;

	if (w->kind == WORK_STREAM)
		return 0;
	for (struct node *n = w->top->backing; n && !rc; n = n->backing) {
		for (size_t at = 0; !rc &&
		     (path = siblings_next(found, n, &at));)
			rc = forecast_add(&f->siblings, NULL, path, NULL,
					  true);
		if (n == w->base)
			break;
	}
	return rc;
}

/* Whoever goes by headers that do not say what is open. */
static int find_other_readers(struct forecast *f, const struct work *w,
			      const struct siblings *found)
{
	const char *path;
	int rc = 0;

	list_for_each(link, &w->top->graph->nodes) {
		struct node *n = container_of(link, struct node, link);
		size_t at = 0;

		if (rc || !work_shows_otherwise(w, n))
			continue;
		if (n != w->top && n->drv->snapshots &&
		    n->drv->snapshots(n, NULL, NULL) > 0)
			rc = add_node(&f->snapshots, n, NULL);
		while (!rc && (path = siblings_next(found, n, &at)))
			rc = forecast_add(&f->siblings, NULL, path, NULL,
					  true);
	}
	return rc;
}

static const struct {
	const char *kind, *cancel;
} kinds[] = {
	[WORK_STREAM] = { "stream", "what was copied stays in the top image; "
		"the disk shows the same" },
	[WORK_COMMIT] = { "commit", "base keeps what was copied, unseen; the "
		"chain stays as it is" },
	[WORK_ACTIVE] = { "active-commit", "base keeps what was copied, "
		"unseen; the chain stays as it is" },
};

int forecast_work(struct forecast *f, const struct work *w,
		  const struct siblings *found)
{
	int rc = found->lost ? -found->lost : find_layers(f, w);

	f->kind = kinds[w->kind].kind;
	f->cancel = kinds[w->kind].cancel;
	snprintf(f->job, sizeof(f->job), "%s", w->job.id);
	if (!rc)
		rc = find_after(f, w);
	if (!rc)
		rc = find_unused(f, w, found);
	if (!rc)
		rc = find_siblings(f, w, found);
	if (!rc)
		rc = find_drives(f, w);
	if (!rc)
		rc = find_snapshots(f, w);
	return rc ? rc : find_other_readers(f, w, found);
}
