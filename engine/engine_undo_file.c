/* engine_undo_file.c - commits at once that can be taken back by another
 * process; see undo.h. Their headers stay as they were, and nothing is emptied:
 * to go back the clone takes the place of base.
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
		       struct keep *keep, ino_t *above, bool *made,
		       struct err *err)
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
		*above = over->file->ino;
		graph_pause(&e->graph);
		rc = keep_make(keep, base->file->path, err);
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
static int keep_after(struct engine *e, const struct keep *keep, ino_t above,
		      struct err *err)
{
	int rc;

	if (is_as_kept(keep))
		return keep_drop(keep, err);
	rc = keep_seal(keep, above);
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
	struct keep keep = KEEP_INIT;
	struct err after = ERR_INIT;
	ino_t above = 0;
	bool made;
	int rc = keep_before(e, o, &keep, &above, &made, err);

	if (rc)
		return rc;
	rc = engine_commit_at_once(e, o, err);
	if (made && keep_after(e, &keep, above, &after) && !rc) {
		*err = after;
		rc = -1;
	}
	keep_release(&keep);
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

int engine_undo_file(struct engine *e, const char *path, bool force, bool drop,
		     struct err *err)
{
	struct keep keep;
	ino_t above;
	int rc;

	if (keep_load(&keep, path, !drop, &above, err))
		return -1;
	rc = drop ? keep_drop(&keep, err) :
		    restore_file(e, &keep, above, force, err);
	keep_release(&keep);
	return rc;
}
