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
#include "engine/file/remove.h"
#include "engine/forecast/forecast.h"
#include "engine/util/mem.h"

/* An image as it was when the job began. */
struct undo_image {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct undo {
	struct list link;		/* engine->undos */
	char *id;
	struct keep keep;
	uint64_t born;			/* of the node base ... */
	unsigned writable;		/* ... how often it was made writable */
	struct undo_image above;	/* whose backing file base was */
	struct undo_image overlay;	/* of top; the active layer has none */
	bool has_overlay;
	char *top;			/* with its path, its format, */
	char *top_format;
	char *words, *words_format;	/* and what overlay calls it */
	struct undo_image *image;	/* from top down to above */
	size_t count;
};

static void undo_free(struct undo *u)
{
	keep_release(&u->keep);
	free(u->id);
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

static struct undo *undo_named(struct engine *e, const char *id,
			       struct err *err)
{
	struct undo *u = undo_find(e, id);

	if (!u)
		err_set(err, ERR_DEVICE_NOT_FOUND, "There is nothing kept of "
			"job '%s'", id);
	return u;
}

/* --- what is kept; the graph write-held, begun --- */

static bool undo_note(struct undo_image *to, const struct node *node)
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

	return undo_note(&now, node) && now.dev == image->dev &&
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
		if (!undo_note(&u->image[u->count], node))
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
	u->has_overlay = undo_note(&u->overlay, overlay);
	u->top = mem_dup(top->file->path);
	u->top_format = mem_dup(top->drv->name);
	u->words = mem_dup(overlay->backing_name);
	u->words_format = mem_dup(overlay->backing_format);
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

static struct node *undo_base(struct engine *e, const struct undo *u)
{
	list_for_each(link, &e->graph.nodes) {
		struct node *node = container_of(link, struct node, link);

		if (node->born == u->born)
			return node;
	}
	return NULL;
}

static int undo_refuse(const struct undo *u, struct err *err, const char *why)
{
	return err_set(err, ERR_GENERIC, "Job '%s' can't be undone: '%s' %s",
		       u->id, u->keep.path, why);
}

static int undo_check(struct engine *e, const struct undo *u,
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
	if ((*base)->writable_count != u->writable + 1)
		return undo_refuse(u, err, "was written again since");
	*above = graph_overlay(*base, 0);
	if (!*above || graph_overlay(*base, 1))
		return undo_refuse(u, err, *above ? "has other overlays now" :
				   "has no overlay any more");
	if (!undo_is(&u->above, *above) &&
	    !(u->has_overlay && undo_is(&u->overlay, *above)))
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

/* The images come between again; base still has all that they hold. */
static int undo_relink(struct engine *e, struct undo *u, struct node *overlay,
		       struct node *base, struct err *err)
{
	struct node *top;
	int rc;

	if (undo_open_images(e, u, base, &top, err))
		return -1;
	rc = set_overlay_back(u, overlay, top, err);
	if (!rc)
		clear_merged(top, base);
	graph_put(top);
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

static int undo_work(struct engine *e, const char *id,
		     const struct siblings *s, struct err *err)
{
	struct undo *u = undo_named(e, id, err);
	struct node *base, *above;

	if (!u || undo_check(e, u, &base, &above, err) ||
	    siblings_check(s, base, "an undo", err))
		return -1;
	if (!undo_is(&u->above, above)) {
		if (undo_relink(e, u, above, base, err))
			return -1;
		above = graph_overlay(base, 0);
	}
	if (undo_restore(e, u, above, base, err))
		return -1;
	list_del(&u->link);
	undo_free(u);
	return 0;
}

/* Graph not held. */
static void undo_look(struct engine *e, const char *id, bool force,
		      struct siblings *s)
{
	const struct undo *u;

	rwlock_read(&e->graph.lock);
	u = force ? NULL : undo_find(e, id);
	siblings_note(s, u ? undo_base(e, u) : NULL);
	rwlock_drop(&e->graph.lock);
	siblings_look(s, &e->graph);
}

int engine_undo(struct engine *e, const char *id, bool force, struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	int rc;

	undo_look(e, id, force, &s);
	graph_begin(&e->graph);
	rc = undo_work(e, id, &s, err);
	graph_end(&e->graph);
	siblings_release(&s);
	return rc;
}

/* --- what that would be --- */

static uint64_t undo_file_bytes(const char *path)
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

/* As undo_relink(), up to its first change. */
static int undo_plan_relink(struct engine *e, const struct undo *u,
			    struct node *overlay, struct node *base,
			    struct forecast *f, struct err *err)
{
	struct node *top;
	int rc;

	if (undo_open_images(e, u, base, &top, err))
		return -1;
	rc = node_check_writable(overlay, err);
	if (!rc && undo_add_images(f, top, base))
		rc = err_sys(err, ENOMEM, "No plan");
	graph_put(top);
	return rc;
}

static int undo_plan(struct engine *e, const char *id,
		     const struct siblings *s, struct forecast *f,
		     struct err *err)
{
	const struct undo *u = undo_named(e, id, err);
	struct node *base, *above;

	if (!u || undo_check(e, u, &base, &above, err) ||
	    siblings_check(s, base, "an undo", err))
		return -1;
	snprintf(f->job, sizeof(f->job), "%s", id);
	if (forecast_top(f, base))
		return err_sys(err, ENOMEM, "No plan");
	f->layers.file[0].role = "base";
	graph_pause(&e->graph);
	f->freed = undo_file_bytes(base->file->path);
	graph_resume(&e->graph);
	return undo_is(&u->above, above) ? 0 :
	       undo_plan_relink(e, u, above, base, f, err);
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
	rc = undo_plan(e, id, &s, f, err);
	graph_end(&e->graph);
	siblings_release(&s);
	if (rc)
		forecast_release(f);
	return rc;
}

int engine_drop_undo(struct engine *e, const char *id, struct err *err)
{
	struct undo *u;
	int rc = -1;

	graph_begin(&e->graph);
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
	to->bytes = undo_file_bytes(u->keep.clone);
	if (undo_check(e, u, &base, &above, &err))
		to->why_not = mem_dup(err.text);
}

int engine_query_undo(struct engine *e, struct undo_info **out, size_t *n)
{
	size_t count = 0;

	*n = 0;
	graph_begin(&e->graph);
	graph_pause(&e->graph);
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
