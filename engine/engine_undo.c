/* engine_undo.c - commits that can be taken back; see undo.h. */
#include "engine/undo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/node_open.h"
#include "engine/engine_impl.h"
#include "engine/file/keep.h"
#include "engine/file/mark.h"
#include "engine/undo_impl.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

void undo_free(struct undo *u)
{
	keep_release(&u->keep);
	free(u->id);
	free(u->overlay_path);
	free(u->overlay_format);
	free(u->top);
	free(u->top_format);
	free(u->words);
	free(u->words_format);
	free(u->image);
	free(u);
}

void undos_release(struct engine *e)
{
	list_for_each_safe(link, &e->undos) {
		list_del(link);
		undo_free(container_of(link, struct undo, link));
	}
}

static struct undo *undo_find(struct engine *e, const char *id)
{
	list_for_each(link, &e->undos) {
		struct undo *u = container_of(link, struct undo, link);

		if (!strcmp(u->id, id))
			return u;
	}
	return NULL;
}

static void undo_list_kept(struct engine *e, struct err *err)
{
	struct str names = STR_INIT;

	list_for_each(link, &e->undos)
		str_addf(&names, "%s%s", names.len ? ", " : "",
			 container_of(link, struct undo, link)->id);
	if (names.len)
		err_tip(err, "what is kept is of: %s", str_get(&names));
	else
		err_tip(err, "nothing is kept");
	str_release(&names);
}

struct undo *undo_named(struct engine *e, const char *id, struct err *err)
{
	struct undo *u = undo_find(e, id);

	if (!u) {
		err_set(err, ERR_DEVICE_NOT_FOUND, "There is nothing kept of "
			"job '%s'", id);
		undo_list_kept(e, err);
	}
	return u;
}

/* --- what is kept; the graph write-held, begun --- */

static bool undo_look_at(struct undo_image *to, const struct node *node)
{
	struct stat st;

	if (fstat(node->file->fd, &st))
		return false;
	*to = (struct undo_image){ st.st_dev, st.st_ino, st.st_size,
				   st.st_mtim };
	return true;
}

static bool undo_is(const struct undo_image *image, const struct node *node)
{
	return image->dev == node->file->dev && image->ino == node->file->ino;
}

static bool undo_is_still(const struct undo_image *image,
			  const struct node *node)
{
	struct undo_image now;

	return undo_look_at(&now, node) && now.dev == image->dev &&
	       now.ino == image->ino && now.size == image->size &&
	       now.mtime.tv_sec == image->mtime.tv_sec &&
	       now.mtime.tv_nsec == image->mtime.tv_nsec;
}

static int undo_note_images(struct undo *u, struct node *top,
			    struct node *base, struct err *err)
{
	size_t n = chain_depth(top) - chain_depth(base);
	struct node *node = top;

	u->image = mem_try(n, sizeof(*u->image));
	if (!u->image)
		return err_sys(err, ENOMEM, "Could not keep '%s'",
			       base->file->path);
	for (; u->count < n; u->count++, node = node->backing)
		if (!undo_look_at(&u->image[u->count], node))
			return err_sys(err, errno, "Could not keep '%s'",
				       base->file->path);
	u->above = u->image[n - 1];
	return 0;
}

static int undo_note_overlay(struct undo *u, struct node *overlay,
			     const struct node *top, struct err *err)
{
	if (overlay == top)
		return 0;
	if (graph_overlay((struct node *)top, 1))
		return err_set(err, ERR_GENERIC, "'%s' has several overlays: "
			       "such a commit can't be undone",
			       top->file->path);
	u->has_overlay = undo_look_at(&u->overlay, overlay);
	u->overlay_path = job_file_path(overlay->file->path);
	u->overlay_format = mem_dup(overlay->drv->name);
	u->top = job_file_path(top->file->path);
	u->top_format = mem_dup(top->drv->name);
	u->words = mem_dup(overlay->backing_name);
	u->words_format = mem_dup(overlay->backing_format);
	if (!u->overlay_path || !u->top)
		return err_sys(err, ENOMEM, "Could not keep '%s'",
			       top->file->path);
	return u->has_overlay && u->words ? 0 :
		err_set(err, ERR_GENERIC, "The header of '%s' does not name "
			"'%s': such a commit can't be undone",
			overlay->file->path, top->file->path);
}

static int undo_check_new(struct engine *e, const char *id,
			  const struct node *base, struct err *err)
{
	if (undo_find(e, id))
		return err_set(err, ERR_GENERIC, "There is something kept of "
			       "a job '%s' already: undo that, or throw it "
			       "away (x-blkmon-drop-undo)", id);
	if (!base->data)
		return 0;
	return err_set(err, ERR_NOT_SUPPORTED, "'%s' can't be kept for an "
		       "undo: it has an external data file",
		       base->file->path);
}

int undo_check_keep(struct engine *e, const char *id, struct node *base,
		    struct err *err)
{
	int rc;

	if (undo_check_new(e, id, base, err))
		return -1;
	graph_pause(&e->graph);
	rc = keep_check(base->file->path, err);
	graph_resume(&e->graph);
	return rc;
}

int undo_keep(struct engine *e, const char *id, struct node *overlay,
	      struct node *top, struct node *base, struct err *err)
{
	struct undo *u;
	int rc;

	if (undo_check_new(e, id, base, err))
		return -1;
	u = mem_try(1, sizeof(*u));
	if (!u)
		return err_sys(err, ENOMEM, "Could not keep '%s'",
			       base->file->path);
	u->id = mem_dup(id);
	u->born = base->born;
	u->writable = base->writable_count;
	rc = undo_note_images(u, top, base, err) ||
	     undo_note_overlay(u, overlay, top, err) ? -1 : 0;
	graph_pause(&e->graph);
	if (!rc)
		rc = keep_make(&u->keep, base->file->path, err);
	if (!rc)
		undo_note(u, false);	/* undo_end() tells */
	graph_resume(&e->graph);
	if (!rc && (u->keep.dev != base->file->dev ||
		    u->keep.ino != base->file->ino)) {
		keep_drop(&u->keep, err);
		rc = err_set(err, ERR_GENERIC, "'%s' is another file now than "
			     "the one that is open", base->file->path);
	}
	if (rc)
		undo_free(u);
	else
		list_add_tail(&e->undos, &u->link);
	return rc;
}

/* Nobody but the job may have written to base. */
static void undo_end(struct engine *e, const char *id)
{
	const struct node *base;
	struct undo *u;
	int rc = 0;

	graph_begin(&e->graph);
	u = undo_find(e, id);
	base = u && !u->ended ? undo_base(e, u) : NULL;
	if (base) {
		u->ended = true;
		u->over = graph_root_of(base);
	}
	if (base && !u->over && base->writable_count == u->writable + 1) {
		graph_pause(&e->graph);
		rc = undo_note(u, true);
		if (rc)
			event_notice(&e->events, "Job '%s' can be undone by "
				     "this process only; no note can be made "
				     "at '%s': %s", id, u->keep.clone,
				     strerror(-rc));
	}
	graph_end(&e->graph);
}

void undo_job_over(struct jobs *jobs, const char *id)
{
	struct engine *e = container_of(jobs, struct engine, jobs);
	bool kept;

	rwlock_read(&e->graph.lock);
	kept = undo_find(e, id);
	rwlock_drop(&e->graph.lock);
	if (kept)
		undo_end(e, id);
}

void undo_forget(struct engine *e, const char *id)
{
	struct undo *u = undo_find(e, id);
	struct err err = ERR_INIT;

	if (!u)
		return;
	if (keep_drop(&u->keep, &err))
		event_notice(&e->events, "%s", err.text);
	list_del(&u->link);
	undo_free(u);
}

/* --- can it be undone? The graph begun --- */

struct node *undo_base(struct engine *e, const struct undo *u)
{
	list_for_each(link, &e->graph.nodes) {
		struct node *node = container_of(link, struct node, link);

		if (node->born == u->born)
			return node;
	}
	return NULL;
}

/* Another undo may have put a clone in its place. */
static bool undo_is_overlay(struct engine *e, const struct undo *u,
			    const struct node *node)
{
	struct stat st;
	bool is;

	if (!u->has_overlay || undo_is(&u->overlay, node))
		return u->has_overlay;
	graph_pause(&e->graph);
	is = !stat(u->overlay_path, &st) && st.st_dev == node->file->dev &&
	     st.st_ino == node->file->ino;
	graph_resume(&e->graph);
	return is;
}

static int undo_refuse(const struct undo *u, struct err *err, const char *why)
{
	return err_set(err, ERR_GENERIC, "Job '%s' can't be undone: '%s' %s",
		       u->id, u->keep.path, why);
}

/* Where the job itself is all that can have written to base it is for the
 * operator to say that nobody else did. */
static int undo_check_cut(const struct undo *u, bool force, struct err *err)
{
	if (!u->cut || (force && u->has_overlay))
		return 0;
	return undo_refuse(u, err, u->has_overlay ?
			   "was still written to by it when its program "
			   "ended; if nobody has written there since, "
			   "x-blkmon-force, -f or --force undoes it" :
			   "was still written to by it when its program "
			   "ended, and may be in use by a guest since");
}

static int undo_check(struct engine *e, const struct undo *u, bool force,
		      struct node **base, struct node **above, struct err *err)
{
	*base = undo_base(e, u);
	if (!*base)
		return undo_refuse(u, err, "is not open here any more");
	if ((*base)->claim)
		return undo_refuse(u, err, "is in use by a job");
	if (graph_root_of(*base))
		return undo_refuse(u, err, "is the active layer of a disk now, "
				   "and its guest writes there");
	if (u->over)
		return undo_refuse(u, err, "became the active layer of a disk, "
				   "and its guest wrote there");
	if (undo_check_cut(u, force, err))
		return -1;
	if ((*base)->writable_count != u->writable + 1)
		return undo_refuse(u, err, "was written again since");
	*above = graph_overlay(*base, 0);
	if (!*above || graph_overlay(*base, 1))
		return undo_refuse(u, err, *above ? "has other overlays now" :
				   "has no overlay any more");
	if (!undo_is(&u->above, *above) && !undo_is_overlay(e, u, *above))
		return undo_refuse(u, err, "lies below another image now");
	return graph_check_free(*above, err);
}

/* --- it is undone --- */

static void clear_merged(struct node *top, const struct node *base)
{
	for (struct node *n = top; n != base; n = n->backing)
		mark_clear(n->file);
}

/* Are these the images that were taken out, unchanged? */
static int undo_check_images(const struct undo *u, struct node *top,
			     const struct node *base, struct err *err)
{
	const struct node *n = top;

	for (size_t i = 0; i < u->count && n; i++, n = n->backing)
		if (!undo_is_still(&u->image[i], n))
			return err_set(err, ERR_GENERIC, "Job '%s' can't be "
				       "undone: '%s' was changed since",
				       u->id, n->file->path);
	return n == base ? 0 : err_set(err, ERR_GENERIC, "Job '%s' can't be "
				       "undone: '%s' does not lie on '%s' any "
				       "more", u->id, u->top,
				       base->file->path);
}

static int set_overlay_back(struct undo *u, struct node *overlay,
			    struct node *top, struct err *err)
{
	bool was_read_only = overlay->read_only;
	struct err back = ERR_INIT;
	int rc;

	if (node_set_writable(overlay, true, err))
		return -1;
	graph_hold(overlay);
	rc = overlay->drv->set_backing(overlay, u->words, u->words_format,
				       err);
	if (!rc)
		graph_link(overlay, top);
	if (was_read_only && node_set_writable(overlay, false, &back) && !rc)
		event_notice(overlay->graph->events, "%s", back.text);
	return rc;
}

/* The images that were taken out, open again on base. */
static int undo_open_images(struct engine *e, const struct undo *u,
			    const struct node *base, struct node **top,
			    struct err *err)
{
	const struct node_options o = {
		.path = u->top, .format = u->top_format, .read_only = true,
		.cache = base->file->cache,
	};

	if (chain_open(&e->graph, &o, top, err))
		return -1;
	if (!undo_check_images(u, *top, base, err))
		return 0;
	graph_put(*top);
	return -1;
}

/* Where they are not between any more. *top NULL: they are. */
static int undo_find_images(struct engine *e, const struct undo *u,
			    const struct node *above, const struct node *base,
			    struct node **top, struct err *err)
{
	*top = NULL;
	return undo_is(&u->above, above) ? 0 :
	       undo_open_images(e, u, base, top, err);
}

int undo_prepare(struct engine *e, const struct undo *u, bool force,
		 const struct siblings *s, struct node **base,
		 struct node **above, struct node **top, struct err *err)
{
	struct err no_images = ERR_INIT;
	int rc;

	if (undo_check(e, u, force, base, above, err))
		return -1;
	rc = undo_find_images(e, u, *above, *base, top, &no_images);
	/* By now the images to come back are open, and no strangers. */
	if (siblings_check(s, *base, "an undo", err)) {
		if (!rc && *top)
			graph_put(*top);
		return -1;
	}
	if (rc)
		*err = no_images;
	return rc;
}

/* The images come between again; base still has all that they hold. */
static int undo_relink(struct undo *u, struct node *overlay,
		       struct node *top, const struct node *base,
		       struct err *err)
{
	int rc = set_overlay_back(u, overlay, top, err);

	if (!rc)
		clear_merged(top, base);
	return rc;
}

/* Who reads through @above reads on in the file that it has open until the
 * other one is there. */
static int undo_restore(struct engine *e, struct undo *u, struct node *above,
			const struct node *base, struct err *err)
{
	const struct node_options o = {
		.path = base->file->path, .format = base->drv->name,
		.read_only = true, .cache = base->file->cache,
	};
	struct node *old;
	int rc;

	graph_pause(&e->graph);
	rc = keep_restore(&u->keep, err);
	graph_resume(&e->graph);
	if (rc)
		return rc;
	if (chain_open(&e->graph, &o, &old, err)) {
		err_prefix(err, "'%s' is put back, but could not be opened: ",
			   base->file->path);
		return -1;
	}
	graph_hold(above);
	graph_link(above, old);
	graph_put(old);
	return 0;
}

static int undo_work(struct engine *e, const char *id, bool force,
		     const struct siblings *s, struct err *err)
{
	struct undo *u = undo_named(e, id, err);
	struct node *base, *above, *top;
	int rc;

	if (!u || undo_prepare(e, u, force, s, &base, &above, &top, err))
		return -1;
	rc = top ? undo_relink(u, above, top, base, err) : 0;
	if (!rc)
		rc = undo_restore(e, u, top ? chain_above(top, base) : above,
				  base, err);
	if (top)
		graph_put(top);
	if (rc)
		return rc;
	list_del(&u->link);
	undo_free(u);
	return 0;
}

/* The image that lies on base, or base: who reads through that one reads on
 * what does not change. */
static const struct node *undo_top(struct engine *e, const struct undo *u)
{
	struct node *base = u ? undo_base(e, u) : NULL;
	const struct node *above = base ? graph_overlay(base, 0) : NULL;

	return above ? above : base;
}

void undo_look(struct engine *e, const char *id, bool force,
	       struct siblings *s)
{
	graph_begin(&e->graph);
	undo_adopt(e);
	siblings_note(s, undo_top(e, force ? NULL : undo_find(e, id)));
	graph_end(&e->graph);
	siblings_look(s, &e->graph);
}

int engine_undo(struct engine *e, const char *id, bool force, struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	int rc;

	undo_look(e, id, force, &s);
	graph_begin(&e->graph);
	rc = undo_work(e, id, force, &s, err);
	graph_end(&e->graph);
	siblings_release(&s);
	return rc;
}

int engine_drop_undo(struct engine *e, const char *id, struct err *err)
{
	struct undo *u;
	int rc = -1;

	graph_begin(&e->graph);
	undo_adopt(e);
	u = undo_named(e, id, err);
	if (u)
		rc = keep_drop(&u->keep, err);
	if (u && (!rc || err->errnum != EACCES)) {
		list_del(&u->link);
		undo_free(u);
	}
	graph_end(&e->graph);
	return rc;
}

/* --- what there is --- */

static void undo_describe(struct engine *e, const struct undo *u,
			  struct undo_info *to)
{
	struct node *base, *above;
	struct err err = ERR_INIT;

	to->id = mem_dup(u->id);
	to->file = mem_dup(u->keep.path);
	to->kept = mem_dup(u->keep.clone);
	graph_pause(&e->graph);
	to->bytes = undo_file_bytes(u->keep.clone);
	graph_resume(&e->graph);
	if (undo_check(e, u, false, &base, &above, &err))
		to->why_not = mem_dup(err.text);
}

int engine_query_undo(struct engine *e, struct undo_info **out, size_t *n)
{
	size_t count = 0;

	*n = 0;
	graph_begin(&e->graph);
	undo_adopt(e);
	list_for_each(link, &e->undos)
		count++;
	*out = mem_try(count + 1, sizeof(**out));
	list_for_each(link, &e->undos)
		if (*out)
			undo_describe(e, container_of(link, struct undo, link),
				      &(*out)[(*n)++]);
	graph_end(&e->graph);
	return *out ? 0 : -ENOMEM;
}

void undo_info_free(struct undo_info *info, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(info[i].id);
		free(info[i].file);
		free(info[i].kept);
		free(info[i].why_not);
	}
	free(info);
}
