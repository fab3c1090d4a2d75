/* engine_siblings.c - who reads from an image that is about to be written, and
 * is not open; see engine_impl.h and siblings.h.
 */
#include "engine/engine_impl.h"

#include "engine/chain/chain.h"

void engine_look(struct engine *e, const char *device, struct siblings *s)
{
	struct err err = ERR_INIT;

	rwlock_read(&e->graph.lock);
	siblings_note(s, engine_find(e, device, NULL, &err));
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
	return data ? siblings_check_path(s, &e->graph, data, "to write to it",
					  err) : 0;
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
