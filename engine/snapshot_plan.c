/* snapshot_plan.c - what a snapshot would be; nothing is made. */
#include "engine/snapshot_impl.h"

#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"
#include "engine/forecast/forecast.h"

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

/* Would the file be refused, and how large is it? */
static int plan_file(struct snapshot *s, uint64_t *bytes, struct err *err)
{
	struct qcow2_create create;
	int rc;

	*bytes = 0;
	if (s->o->existing)
		return plan_existing(s, err);
	if (!s->o->overwrite && file_check_create(s->path, true, err))
		return -1;
	if (snapshot_header(s, &create, err))
		return -1;
	rc = qcow2_create_size(&create, bytes);
	return rc ? err_sys(err, rc, "Could not create '%s'", s->path) : 0;
}

/* The chain with the new image on top. Graph read-held. */
static int plan_chain(struct forecast *f, const struct snapshot *s)
{
	const char *path = s->path ? s->path : s->overlay->file->path;
	int rc = forecast_top(f, s->old);

	if (!rc)
		rc = forecast_add(&f->layers, s->overlay, path, "overlay",
				  true);
	if (!rc)
		rc = forecast_add(&f->after, s->overlay, path, NULL, true);
	return rc;
}

static int plan_snapshot(struct snapshot *s, struct forecast *f,
			 struct err *err)
{
	struct engine *e = s->engine;
	int rc = s->o->overlay ? 0 : plan_file(s, &f->space.needs, err);

	if (rc)
		return rc;
	rwlock_read(&e->graph.lock);
	rc = plan_chain(f, s);
	rwlock_drop(&e->graph.lock);
	if (!rc && s->path)
		rc = forecast_space_at(f, &e->jobs, s->path);
	return rc ? err_sys(err, rc, "No plan") : 0;
}

int engine_plan_snapshot(struct engine *e, const struct snapshot_options *o,
			 struct forecast *f, struct err *err)
{
	struct snapshot s = { .engine = e, .o = o };
	int rc = snapshot_examine(&s, &s, err);

	*f = (struct forecast){
		.kind = "snapshot",
		.cancel = "a commit of the new image takes it back",
	};
	if (!rc)
		rc = plan_snapshot(&s, f, err);
	graph_begin(&e->graph);
	snapshot_let_go(&s);
	graph_end(&e->graph);
	snapshot_release(&s, true);
	if (rc)
		forecast_release(f);
	return rc;
}
