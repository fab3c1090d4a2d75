/* engine_plan_undo.c - what an undo would be; see undo.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/chain/node_open.h"
#include "engine/file/remove.h"
#include "engine/forecast/forecast.h"
#include "engine/undo.h"
#include "engine/undo_impl.h"

uint64_t undo_file_bytes(const char *path)
{
	struct removal *r;
	struct err none = ERR_INIT;
	uint64_t bytes, shared;

	if (removal_open(&r, path, &none))
		return 0;
	bytes = removal_freed(r, &shared);
	removal_close(r);
	return bytes;
}

/* Puts the images from @top down to above @base in front of base. */
static int undo_add_images(struct forecast *f, struct node *top,
			   const struct node *base)
{
	struct forecast_files old = f->after;
	int rc = 0;

	f->after = (struct forecast_files){ .file = NULL };
	for (size_t i = 0; i < old.count && !rc; i++) {
		const struct forecast_file *at = &old.file[i];

		for (struct node *n = top; !rc && n != base &&
		     !strcmp(at->node, base->name); n = n->backing)
			rc = forecast_add(&f->after, n, n->file->path, NULL,
					  false);
		if (!rc)
			rc = forecast_add(&f->after, NULL, at->path, NULL,
					  false);
		if (rc)
			break;
		f->after.file[f->after.count - 1].bytes = at->bytes;
		memcpy(f->after.file[f->after.count - 1].node, at->node,
		       NODE_NAME_MAX);
	}
	forecast_files_release(&old);
	return rc;
}

/* As undo_work(), up to its first change. */
static int undo_foresee(struct engine *e, const char *id,
			struct node *above, struct node *top,
			struct node *base, struct forecast *f,
			struct err *err)
{
	int rc = 0;

	snprintf(f->job, sizeof(f->job), "%s", id);
	if (forecast_top(f, base))
		return err_sys(err, ENOMEM, "No plan");
	f->layers.file[0].role = "base";
	graph_pause(&e->graph);
	f->freed = undo_file_bytes(base->file->path);
	graph_resume(&e->graph);
	if (top)
		rc = node_check_writable(above, err);
	if (top && !rc && undo_add_images(f, top, base))
		rc = err_sys(err, ENOMEM, "No plan");
	return rc;
}

static int undo_plan(struct engine *e, const char *id, bool force,
		     const struct siblings *s, struct forecast *f,
		     struct err *err)
{
	const struct undo *u = undo_named(e, id, err);
	struct node *base, *above, *top;
	int rc;

	if (!u || undo_prepare(e, u, force, s, &base, &above, &top, err))
		return -1;
	rc = undo_foresee(e, id, above, top, base, f, err);
	if (top)
		graph_put(top);
	return rc;
}

int engine_plan_undo(struct engine *e, const char *id, bool force,
		     struct forecast *f, struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	int rc;

	*f = (struct forecast){
		.kind = "undo", .cancel = "the commit can be made again",
	};
	undo_look(e, id, force, &s);
	graph_begin(&e->graph);
	rc = undo_plan(e, id, force, &s, f, err);
	graph_end(&e->graph);
	siblings_release(&s);
	if (rc)
		forecast_release(f);
	return rc;
}
