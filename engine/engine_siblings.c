/* engine_siblings.c - who reads from an image that is about to be written, and
 * is not open; see engine_impl.h and siblings.h.
 */
#include "engine/engine_impl.h"

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"

/* What other chains have above the one of @top. */
static void note_forks(struct siblings *s, struct node *top)
{
	struct node *bottom = top;

	while (bottom->backing)
		bottom = bottom->backing;
	list_for_each(link, &top->graph->roots) {
		struct node *n = drive_linked(link)->root.node;

		if (!n || !chain_has(n, bottom))
			continue;
		for (; !chain_has(top, n); n = n->backing)
			siblings_note_one(s, n);
	}
}

void engine_look(struct engine *e, const char *device, struct siblings *s)
{
	struct err err = ERR_INIT;
	struct node *top;

	rwlock_read(&e->graph.lock);
	top = engine_find(e, device, NULL, &err);
	siblings_note(s, top);
	if (top)
		note_forks(s, top);
	rwlock_drop(&e->graph.lock);
	siblings_look(s, &e->graph);
}

void engine_look_path(struct engine *e, const struct node_options *o,
		      struct siblings *s)
{
	siblings_note_path(s, chain_local_name(o->path));
	if (o->data_file)
		siblings_note_file(s, o->data_file);
	for (size_t i = 0; i < o->data_file_count; i++)
		siblings_note_file(s, o->data_files[i]);
	for (size_t i = 0; i < o->below_count; i++)
		if (o->below[i].data_file)
			siblings_note_file(s, o->below[i].data_file);
	siblings_look(s, &e->graph);
}

int engine_check_path(struct engine *e, const struct node_options *o,
		      const struct siblings *s, struct err *err)
{
	const char *data;

	if (!o->path)
		return 0;
	data = s->external ? chain_data_file(o) : NULL;
	if (siblings_check_path(s, &e->graph, chain_local_name(o->path),
				"to write to it", err))
		return -1;
	if (!data)
		return 0;
	return chain_check_named_data(chain_local_name(o->path), data, err) ||
	       siblings_check_path(s, &e->graph, data, "to write to it", err) ?
		-1 : 0;
}

/* Graph held. */
static struct node *find_unlooked(struct engine *e, const char *device)
{
	struct err err = ERR_INIT;
	struct node *node = engine_find(e, device, NULL, &err);

	return node && node->look_first && !node->read_only ? node : NULL;
}

int engine_look_first(struct engine *e, const char *device, struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	struct node *node;
	int rc = 0;

	rwlock_read(&e->graph.lock);
	node = find_unlooked(e, device);
	siblings_note(&s, node);
	rwlock_drop(&e->graph.lock);
	if (!node)
		return 0;
	siblings_look(&s, &e->graph);
	graph_begin(&e->graph);
	node = find_unlooked(e, device);
	if (node)
		rc = siblings_check(&s, node, "to write to it", err);
	if (node && !rc)
		node->look_first = false;
	graph_end(&e->graph);
	siblings_release(&s);
	return rc;
}

/* What lets go of its header's link may have been read through that. */
int engine_stream_readers(const struct stream_options *o,
			  const struct siblings *s, struct node *top,
			  struct node *base, struct err *err)
{
	bool works = top->backing != base;

	if (o->force || (!works && !o->backing_file))
		return 0;
	if (works && chain_check_written_data(top, err))
		return -1;
	if (works && chain_check_snapshots(top, top->backing, "A stream", err))
		return -1;
	return siblings_check_headers(s, top, base, o->backing_file,
				      "a stream", err);
}

/* Which links a commit takes away, and which it writes. */
int engine_commit_readers(const struct commit_options *o,
			  const struct siblings *s, struct node *overlay,
			  struct node *top, struct node *base, struct err *err)
{
	struct node *node;

	if (o->force)
		return 0;
	if (chain_check_snapshots(top, base, "A commit", err) ||
	    siblings_check_range(s, top, base, "a commit", err) ||
	    siblings_check_headers(s, top, base, NULL, "a commit", err))
		return -1;
	for (unsigned n = 0; overlay != top && (node = graph_overlay(top, n));
	     n++)
		if (siblings_check_headers(s, node, base, node == overlay ?
					   o->backing_file : NULL, "a commit",
					   err))
			return -1;
	return 0;
}
