/* snapshot_plan.c - what a snapshot would be; nothing is made. */
#include "engine/snapshot_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"
#include "engine/forecast/forecast.h"
#include "engine/util/mem.h"

/* The file is there: it is only looked at. */
static int plan_existing(struct snapshot *s, struct err *err)
{
	struct node_options o = snapshot_node(s);
	struct node *node;

	o.read_only = true;
	if (node_open(&node, &o, err))
		return -1;
	node_close(node);
	return 0;
}

static bool is_same_name(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* One of the same transaction holds it by then. */
static bool is_held_before(const struct snapshot *all,
			   const struct snapshot *s)
{
	for (const struct snapshot *other = all; other < s; other++)
		if (is_same_name(other->path, s->path))
			return true;
	return false;
}

/* Would the file be refused, and how large is it? */
static int plan_file(const struct snapshot *all, struct snapshot *s,
		     uint64_t *bytes, struct err *err)
{
	struct qcow2_create create;
	int rc;

	*bytes = 0;
	if (is_held_before(all, s))
		return snapshot_file_held(s, err);
	if (s->o->existing)
		return plan_existing(s, err);
	if (!s->o->overwrite && file_check_create(s->path, true, err))
		return -1;
	if (snapshot_header(s, &create, err))
		return -1;
	rc = qcow2_create_size(&create, bytes);
	return rc ? err_sys(err, rc, "Could not create '%s'", s->path) : 0;
}

/* In the image that is the active layer by then. */
static int plan_inside(const struct snapshot *all, struct snapshot *s,
		       struct err *err)
{
	bool covered = false, taken = false;
	int rc;

	for (const struct snapshot *o = all; o < s; o++) {
		if (o->drive != s->drive)
			continue;
		covered |= !o->o->internal;
		taken = o->o->internal &&
			(taken || is_same_name(o->o->internal,
					       s->o->internal));
	}
	if (taken)
		return internal_there(s->o->device, s->o->internal, err);
	if (covered)
		return 0;
	graph_pause(&s->engine->graph);
	rc = internal_take(s->old, s->o->device, s->o->internal, true, err);
	graph_resume(&s->engine->graph);
	return rc;
}

/* What the switch would find because of those before. Graph begun. */
static int plan_switch(const struct snapshot *all, struct snapshot *s,
		       struct err *err)
{
	for (const struct snapshot *o = all; o < s; o++)
		if (is_same_name(o->o->snapshot_node_name,
				 s->o->snapshot_node_name))
			return err_set(err, ERR_GENERIC, "New overlay "
				       "node-name already in use");
	return s->o->internal ? plan_inside(all, s, err) : 0;
}

static int plan_add_new(struct forecast *f, const struct snapshot *s)
{
	const char *path = s->path || !s->overlay ? s->path :
			   s->overlay->file->path;
	int rc;

	if (!path)
		return 0;
	rc = forecast_add(&f->layers, s->overlay, path, "overlay", true);
	return rc ? rc : forecast_add(&f->after, s->overlay, path, NULL, true);
}

/* The chain, with the new image on top if there is one: of this action, or,
 * inside of which this one is, of one before. Graph begun. */
static int plan_chain(struct forecast *f, const struct snapshot *all,
		      const struct snapshot *s)
{
	int rc = forecast_top(f, s->old);

	for (const struct snapshot *o = all; o <= s && !rc; o++)
		if (o->drive == s->drive)
			rc = plan_add_new(f, o);
	return rc;
}

/* All that is refused before the first file, or because of it. */
static int plan_prepare(struct snapshot *all, struct snapshot *s,
			struct forecast *f, struct err *err)
{
	*f = (struct forecast){
		.kind = "snapshot",
		.cancel = s->o->internal ?
			  "snapshot_delete_blkdev_internal takes it back" :
			  "a commit of the new image takes it back",
	};
	if (snapshot_examine(all, s, err))
		return -1;
	return s->path ? plan_file(all, s, &f->space.needs, err) : 0;
}

/* The same of the switch; then the rest of the plan. */
static int plan_snapshot(struct snapshot *all, struct snapshot *s,
			 struct forecast *f, struct err *err)
{
	struct engine *e = s->engine;
	int rc;

	graph_begin(&e->graph);
	rc = plan_switch(all, s, err);
	if (!rc && plan_chain(f, all, s))
		rc = err_sys(err, ENOMEM, "No plan");
	graph_end(&e->graph);
	if (!rc && s->path && forecast_space_at(f, &e->jobs, s->path))
		rc = err_sys(err, ENOMEM, "No plan");
	return rc;
}

static void plan_let_go(struct engine *e, struct snapshot *s, size_t n)
{
	graph_begin(&e->graph);
	for (size_t i = 0; i < n; i++)
		snapshot_let_go(&s[i]);
	graph_end(&e->graph);
	for (size_t i = 0; i < n; i++)
		snapshot_release(&s[i], true);
	free(s);
}

int engine_plan_snapshots(struct engine *e, const struct snapshot_options *o,
			  size_t n, struct forecast *f, struct err *err)
{
	struct snapshot *s = mem_try(n + 1, sizeof(*s));
	size_t ready = 0;
	int rc = 0;

	if (!s)
		return err_sys(err, ENOMEM, "No plan");
	for (size_t i = 0; i < n; i++) {
		s[i].engine = e;
		s[i].o = &o[i];
	}
	for (; ready < n && !rc; ready++)
		rc = plan_prepare(s, &s[ready], &f[ready], err);
	for (size_t i = 0; i < n && !rc; i++)
		rc = plan_snapshot(s, &s[i], &f[i], err);
	plan_let_go(e, s, n);
	for (size_t i = 0; i < ready && rc; i++)
		forecast_release(&f[i]);
	return rc;
}
