/* engine_undo_file.c - commits at once that can be taken back, and the undo of
 * what another process has committed; see undo.h. A commit at once changes no
 * header and empties nothing: to go back the clone takes the place of base.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/forest.h"
#include "engine/engine_impl.h"
#include "engine/file/keep.h"
#include "engine/file/remove.h"
#include "engine/job/job_kinds.h"
#include "engine/undo.h"
#include "engine/undo_impl.h"
#include "engine/util/mem.h"

/* What base of the commit is; errors of the request are for the commit to
 * tell. Begun. */
static struct node *kept_base(struct engine *e, const struct sync_options *o,
			      struct node **above)
{
	const struct drive *drive = drive_find(&e->graph, o->device);
	struct node *top = drive ? drive->root.node : NULL;
	struct node *base = top ? top->backing : NULL;
	struct err none = ERR_INIT;

	if (base && o->base && chain_find(top, o->base, &base, &none))
		base = NULL;
	*above = base && base != top ? chain_above(top, base) : NULL;
	return *above ? base : NULL;
}

/* *made false and 0: there is nothing to be kept. */
static int keep_before(struct engine *e, const struct sync_options *o,
		       struct undo *u, bool *made, struct err *err)
{
	struct node *base, *over;
	int rc = 0;

	graph_begin(&e->graph);
	base = kept_base(e, o, &over);
	*made = base;
	if (base && base->data)
		rc = err_set(err, ERR_NOT_SUPPORTED, "'%s' can't be kept for "
			     "an undo: it has an external data file",
			     base->file->path);
	if (base && !rc) {
		u->above = (struct undo_image){ .dev = over->file->dev,
						.ino = over->file->ino };
		graph_pause(&e->graph);
		rc = keep_make(&u->keep, base->file->path, err);
	}
	graph_end(&e->graph);
	return rc;
}

static bool is_as_kept(const struct keep *keep)
{
	struct stat st, clone;

	return !lstat(keep->path, &st) && !lstat(keep->clone, &clone) &&
	       st.st_mtim.tv_sec == clone.st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == clone.st_mtim.tv_nsec;
}

/* One that has not written to base needs none. */
static int keep_after(struct engine *e, const struct undo *u, struct err *err)
{
	const struct keep *keep = &u->keep;
	int rc;

	if (is_as_kept(keep))
		return keep_drop(keep, err);
	rc = undo_note(u, true);
	if (rc)
		return err_sys(err, rc, "Could not note for an undo what '%s' "
			       "is", keep->path);
	event_notice(&e->events, "'%s' is kept as '%s': blkmon undo takes the "
		     "commit back", keep->path, keep->clone);
	return 0;
}

int undo_commit_kept(struct engine *e, const struct sync_options *o,
		     struct err *err)
{
	struct undo *u = mem_alloc(sizeof(*u));
	struct err after = ERR_INIT;
	bool made;
	int rc;

	u->id = mem_dup(o->device);
	rc = keep_before(e, o, u, &made, err);
	if (!rc) {
		rc = engine_commit_at_once(e, o, err);
		if (made && keep_after(e, u, &after) && !rc) {
			*err = after;
			rc = -1;
		}
	}
	undo_free(u);
	return rc;
}

/* --- back --- */

static int check_no_others(const struct forest *f, const struct sibling_id *id,
			   ino_t above, const char *path, struct err *err)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct forest_image *by = &f->image[i];

		if (by->backing.found && by->self.ino != above &&
		    !sibling_compare(&by->backing.id, id))
			return err_set(err, ERR_GENERIC, "'%s' is the backing "
				       "file of '%s', which may lie on what "
				       "it is now (--force: take the commit "
				       "back all the same)", path, by->path);
	}
	return f->cut || f->closed ?
		err_set(err, ERR_GENERIC, "Not all files beside '%s' could be "
			"looked at (--force: take the commit back all the "
			"same)", path) : 0;
}

static int look_for_others(struct engine *e, const struct removal *file,
			   ino_t above, struct err *err)
{
	struct sibling_id id = sibling_id_at(removal_stat(file));
	struct forest f = { .wanted = &id, .wanted_count = 1 };
	const char *path = removal_path(file);
	int rc;

	forest_look(&f, &e->graph, &path, 1);
	rc = check_no_others(&f, &id, above, path, err);
	f.wanted = NULL;
	forest_release(&f);
	return rc;
}

/* With the locks of one who is alone with the file. */
static int restore_file(struct engine *e, const struct keep *keep, ino_t above,
			bool force, struct err *err)
{
	struct removal *file;
	int rc;

	if (removal_open(&file, keep->path, err))
		return -1;
	rc = removal_lock(file, err);
	if (!rc && !force)
		rc = look_for_others(e, file, above, err);
	if (!rc)
		rc = keep_restore(keep, err);
	removal_close(file);
	return rc;
}

/* What it is called here; the caller's. NULL: nothing is kept any more. */
static char *undo_name_here(struct engine *e, const struct undo *u)
{
	const struct undo *here;
	char *id;

	graph_begin(&e->graph);
	undo_adopt(e);
	here = undo_of_file(e, u->keep.path);
	id = mem_dup(here ? here->id : NULL);
	graph_end(&e->graph);
	return id;
}

/* In front of base, which has what was between: opened, and undone as by the
 * process that has them open. */
static int undo_under(struct engine *e, const struct undo *u, bool force,
		      struct err *err)
{
	const struct node_options o = {
		.path = u->overlay_path, .format = u->overlay_format,
		.read_only = true,
	};
	struct node *overlay;
	char *id;
	int rc;

	graph_begin(&e->graph);
	rc = chain_open(&e->graph, &o, &overlay, err);
	graph_end(&e->graph);
	if (rc)
		return rc;
	id = undo_name_here(e, u);
	rc = id ? engine_undo(e, id, force, err) :
	     err_set(err, ERR_GENERIC, "'%s' does not lie below '%s' any more",
		     u->keep.path, u->overlay_path);
	free(id);
	graph_begin(&e->graph);
	graph_put(overlay);
	graph_end(&e->graph);
	return rc;
}

/* Base alone is put back. */
static int undo_alone(struct engine *e, const struct undo *u,
		      enum keep_state state, bool force, struct err *err)
{
	if (state == KEEP_SAME)
		return restore_file(e, &u->keep, u->above.ino, force, err);
	return err_set(err, ERR_GENERIC, state == KEEP_CHANGED ?
		       "'%s' was written again since" :
		       "'%s' was still written to by the commit when its "
		       "program ended, and may be in use by a guest since",
		       u->keep.path);
}

int engine_undo_file(struct engine *e, const char *path, bool force, bool drop,
		     struct err *err)
{
	enum keep_state state;
	struct undo *u = undo_read(path, &state, err);
	int rc;

	if (!u)
		return -1;
	rc = drop ? keep_drop(&u->keep, err) :
	     u->has_overlay ? undo_under(e, u, force, err) :
	     undo_alone(e, u, state, force, err);
	undo_free(u);
	return rc;
}
