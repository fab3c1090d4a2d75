/* engine_marks.c - what jobs of earlier processes left behind in a chain, told
 * when it is opened; see engine_impl.h and mark.h.
 */
#include <time.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/engine_impl.h"
#include "engine/file/mark.h"
#include "engine/tool/tool.h"
#include "engine/util/str.h"

static void marks_add_time(struct str *s, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[32];

	if (localtime_r(&t, &tm) &&
	    strftime(text, sizeof(text), "%F %H:%M", &tm))
		str_add(s, text);
}

/* The layer above @base, up to @top, that is the file @id. */
static const struct node *marks_find(const struct node *top,
				     const struct node *base,
				     const struct file *id)
{
	for (const struct node *n = top; n != base; n = n->backing)
		if (file_is_same(n->file, id))
			return n;
	return NULL;
}

/* Have the layers from @top down to @base nothing that it has not? */
static bool marks_all_holes(const struct node *top, const struct node *base)
{
	struct run run;

	for (const struct node *n = top; n != base; n = n->backing)
		for (uint64_t off = 0; off < n->size; off += run.len)
			if (node_map((struct node *)n, off, n->size - off,
				     &run) || run.kind != RUN_HOLE)
				return false;
	return true;
}

/* The same of an image that is not in the chain: it also has nothing for @base
 * if it does not lie on it any more. What can't be opened may have. */
static bool marks_is_over(const char *path, const struct node *base)
{
	struct node_options o = { .path = path, .read_only = true,
				  .no_lock = true };
	struct err err = ERR_INIT;
	const struct node *below;
	struct tool tool;
	bool over = false;

	tool_init(&tool);
	if (!tool_open(&tool, &o, &err)) {
		below = tool.top;
		while (below && !file_is_same(below->file, base->file))
			below = below->backing;
		over = !below || marks_all_holes(tool.top, below);
	}
	tool_close(&tool);
	return over;
}

/* Where the layer is gone, empty, or on another image, others have carried the
 * commit to its end, or begun anew. @whole: also where it is not @top
 * itself. */
static void tell_committing(struct engine *e, const char *id,
			    const struct node *top, const struct node *base,
			    const struct mark *m, bool whole)
{
	const struct node *from;
	struct str s = STR_INIT;
	struct file there;

	if (!chain_identify(m->other, &there))
		return;
	from = marks_find(top, base, &there);
	if (!whole && from != top)
		return;
	if (from ? marks_all_holes(from, base) :
		   marks_is_over(m->other, base)) {
		/* Whoever only looks beside others leaves it. */
		if (base->file->role != LOCKS_NONE)
			mark_clear(base->file);
		return;
	}
	str_addf(&s, "A commit of '%s' into '%s', begun ", m->other,
		 base->file->path);
	marks_add_time(&s, m->since);
	str_add(&s, ", did not end. ");
	if (from) {
		str_add(&s, "Nothing is lost; to end it: block_commit");
		str_add_word(&s, id);
		str_add_word(&s, base->file->path);
		if (from != top)
			str_add_word(&s, from->file->path);
	} else {
		str_addf(&s, "Alone '%s' holds a part of it: the disk is "
			 "behind '%s'", base->file->path, m->other);
	}
	event_notice(&e->events, "%s", str_get(&s));
	str_release(&s);
}

/* Not where it was this process, whose user knows. */
static void tell_merged(struct engine *e, const struct node *n,
			const struct mark *m)
{
	struct timespec changed;
	struct str s = STR_INIT;

	if (file_changed(n->file, &changed) &&
	    graph_was_left(&e->graph, n->file, &changed))
		return;
	str_addf(&s, "'%s' was merged into '%s' ", n->file->path, m->other);
	marks_add_time(&s, m->since);
	str_add(&s, " and left: what was written since is not in it");
	event_notice(&e->events, "%s", str_get(&s));
	str_release(&s);
}

/* Paused: the host may be slow to say. */
static void marks_tell(struct engine *e, const char *id, const struct node *top,
		       bool whole)
{
	graph_pause(&e->graph);
	for (const struct node *n = top; n; n = n->backing) {
		struct mark m;

		mark_get(n->file, &m);
		if (m.kind == MARK_COMMITTING)
			tell_committing(e, id, top, n, &m, whole);
		else if (m.kind == MARK_MERGED && (whole || n == top))
			tell_merged(e, n, &m);
	}
	graph_resume(&e->graph);
}

void engine_tell_marks(struct engine *e, const char *id,
		       const struct node *top)
{
	marks_tell(e, id, top, true);
}

void engine_tell_marks_of(struct engine *e, const struct node *node)
{
	marks_tell(e, node->name, node, false);
}
