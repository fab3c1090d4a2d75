/* chain.c - opens an image and all below it. See chain.h. */
#include "engine/chain/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/chain/chain_walk.h"
#include "engine/chain/format.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"
#include "engine/chain/sibling.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

/* Images opened by this call, from the top down, in no graph yet. */
struct opening {
	struct graph *graph;
	const struct node_options *top;
	struct node **node;
	size_t count, cap;
	struct node *shared;	/* open since before: what is below, or NULL */
	size_t data_files;	/* so many of top->data_files were taken */
};

static struct node *open_already(struct graph *g, const char *path)
{
	struct file id;

	return chain_identify(path, &id) ? graph_find_file(g, &id) : NULL;
}

static int refuse_used(const struct node *node, struct err *err)
{
	return err_set(err, ERR_GENERIC, "Image '%s' is in use%s by %s",
		       node->file->path,
		       node->read_only ? "" : " read-write",
		       graph_user_of(node).text);
}

/* Two chains may read one image, as long as nobody writes it and no job is
 * about to. */
static int chain_check_share(const struct node *node,
			     const struct node_options *o, struct err *err)
{
	if (!node->read_only || !o->read_only)
		return refuse_used(node, err);
	if (o->format && format_find(o->format) &&
	    format_find(o->format) != node->drv)
		return err_set(err, ERR_GENERIC,
			       "Image '%s' is open already as %s, not as %s",
			       node->file->path, node->drv->name, o->format);
	if (o->node_name && strcmp(o->node_name, node->name))
		return err_set(err, ERR_GENERIC,
			       "Image '%s' is open already as node '%s'",
			       node->file->path, node->name);
	return graph_check_idle(node, err) ||
	       (!o->allow_missing && graph_check_whole(node, err)) ? -1 : 0;
}

/* @top is above it, too. */
static int refuse_twice(const struct node *top, const char *path,
			struct err *err)
{
	return err_set(err, ERR_GENERIC, "The backing chain of '%s' is a "
		       "loop: '%s' is in it twice", top->file->path, path);
}

static int refuse_loop(const struct opening *op, const char *path,
		       struct err *err)
{
	return refuse_twice(op->node[0], path, err);
}

/* By what was opened, not by what the name meant a moment ago. */
static int check_new(const struct opening *op, const struct file *file,
		     struct err *err)
{
	struct node *other = graph_find_file(op->graph, file);

	if (other)
		return refuse_used(other, err);
	for (size_t i = 0; i < op->count; i++)
		if (file_is_same(op->node[i]->file, file))
			return refuse_loop(op, file->path, err);
	return 0;
}

static bool in_opening(const struct opening *op, const char *path)
{
	struct file id;

	if (!chain_identify(path, &id))
		return false;
	for (size_t i = 0; i < op->count; i++)
		if (file_is_same(op->node[i]->file, &id))
			return true;
	return false;
}

static int opening_add(struct opening *op, struct node *node, struct err *err)
{
	void *p = mem_try_more(op->node, &op->cap, op->count + 1,
			       sizeof(*op->node));

	if (!p)
		return err_sys(err, ENOMEM, "Could not open '%s'",
			       node->file->path);
	op->node = p;
	op->node[op->count++] = node;
	return 0;
}

static bool is_data_of_one(const struct opening *op, const char *path)
{
	for (size_t i = 0; i < op->count; i++)
		if (op->node[i]->data &&
		    !strcmp(op->node[i]->data->path, path))
			return true;
	return false;
}

/* @g may be NULL. */
static bool graph_has_data(const struct graph *g, const char *path)
{
	if (!g)
		return false;
	list_for_each(link, &g->nodes) {
		struct node *node = container_of(link, struct node, link);

		if (node->data && !strcmp(node->data->path, path))
			return true;
	}
	return false;
}

/* What the image at @path has where it is open beside this chain. */
static const char *data_file_beside(struct graph *g, const char *path)
{
	const struct node *same = g ? open_already(g, path) : NULL;

	return same && same->data ? same->data->path : NULL;
}

/* Of the data files that are named for the whole chain: the one to which the
 * header of the image at @path leads, or the first that no image above, and
 * none beside, has. */
static const char *data_file_for(const struct opening *op, const char *path)
{
	const struct node_options *top = op->top;
	const char *first = data_file_beside(top->data_beside, path);
	struct file want, id;
	bool known = false;
	struct peek peek;
	struct stat st;
	char *named;

	if (first)
		return first;
	if (top->data_file_count > 1 && sibling_peek(path, &st, &peek) &&
	    *peek.data) {
		named = chain_resolve(path, peek.data);
		known = chain_identify(named, &want);
		free(named);
	}
	for (size_t i = 0; i < top->data_file_count; i++) {
		const char *file = top->data_files[i];

		if (known && chain_identify(file, &id) &&
		    file_is_same(&id, &want))
			return file;
		if (!first && !is_data_of_one(op, file) &&
		    !graph_has_data(top->data_beside, file))
			first = file;
	}
	return first;
}

const char *chain_data_file(const struct node_options *o)
{
	const struct opening op = { .top = o };

	return o->data_file ? o->data_file :
	       data_file_for(&op, chain_local_name(o->path));
}

/* One more image: shared, or opened. */
static int open_layer(struct opening *op, struct node_options o,
		      struct err *err)
{
	struct node *node = open_already(op->graph, o.path);

	if (node && node->announced)
		return refuse_twice(node, o.path, err);
	if (node) {
		op->shared = node;
		return chain_check_share(node, &o, err);
	}
	if (in_opening(op, o.path))
		return refuse_loop(op, o.path, err);
	if (!o.data_file && op->data_files < op->top->data_file_count) {
		o.data_file = data_file_for(op, o.path);
		o.data_file_offered = true;
	}
	if (node_open(&node, &o, err))
		return -1;
	op->data_files += o.data_file_offered && node->data;
	if (check_new(op, node->file, err) || opening_add(op, node, err)) {
		node_close(node);
		return -1;
	}
	return 0;
}

static int refuse_link(const struct node *node, const char *backing,
		       const char *why, struct err *err)
{
	struct str safe = STR_INIT;

	str_add_safe(&safe, backing);
	err_set(err, ERR_GENERIC, "'%s' has a backing file '%s' but %s",
		node->file->path, str_get(&safe), why);
	str_release(&safe);
	return -1;
}

/* Nothing is written above it: not even the image on top is writable. */
static int open_missing(struct opening *op, const struct node *above,
			const char *path, struct err *err)
{
	char *whole = chain_whole_path(path);
	struct node *node;
	int rc = node_open_missing(&node, whole, above->size, err);

	free(whole);
	if (rc)
		return rc;
	rc = opening_add(op, node, err);
	if (rc)
		node_close(node);
	return rc;
}

/* The image that @node's header names, as it has to be opened. */
static int open_below(struct opening *op, const struct node *node,
		      const struct node_options *top, struct err *err)
{
	const char *name = chain_local_name(node->backing_name);
	struct node_options o = {
		.format = node->backing_format, .read_only = true,
		.no_lock = top->no_lock, .cache = top->cache,
		.allow_missing = top->allow_missing && top->read_only,
	};
	char *path;
	int rc;

	if (chain_is_remote(name))
		return refuse_link(node, name, "only local files can be layers",
				   err);
	if (chain_check_meaning(node->file->path, node->backing_name, err))
		return -1;
	path = chain_resolve(node->file->path, name);
	o.path = path;
	if (op->count <= top->below_count) {
		o.node_name = top->below[op->count - 1].node_name;
		o.data_file = top->below[op->count - 1].data_file;
	}
	if (!o.format)
		o.format = top->backing_format;
	if (o.allow_missing && chain_is_missing(path))
		rc = open_missing(op, node, path, err);
	else if (!o.format && !top->probe_backing)
		rc = refuse_link(node, path, "does not record its format; "
				 "name it with backing-format= on the drive, "
				 "or allow probing with --probe", err);
	else
		rc = open_layer(op, o, err);
	if (rc)
		chain_explain_missing(node, path, err);
	free(path);
	return rc;
}

static unsigned opening_depth(const struct opening *op)
{
	return (unsigned)op->count +
	       (op->shared ? 1 + chain_depth(op->shared) : 0);
}

/* Hazard H9: each table is limited by the format, their sum by us. The tables
 * that are read piece by piece have a budget of their own. */
static int check_metadata(const struct opening *op,
			  const struct node_options *o, struct err *err)
{
	uint64_t max = o->metadata_max ? o->metadata_max : CHAIN_METADATA_MAX;
	uint64_t sum = 0;

	for (size_t i = 0; i < op->count; i++)
		sum += op->node[i]->metadata;
	for (const struct node *n = op->shared; n; n = n->backing)
		sum += n->metadata;
	if (sum <= max)
		return 0;
	return err_set(err, ERR_GENERIC, "The tables of the chain of '%s' "
		       "need more than %llu bytes of memory; allow it with "
		       "metadata-max= on the drive", o->path,
		       (unsigned long long)max);
}

static bool is_data_of(const struct node *node, const struct file *id)
{
	return node->data && file_is_same(id, node->data);
}

static bool is_data_in_chain(const struct opening *op, const char *path)
{
	struct file id;

	if (!chain_identify(path, &id))
		return false;
	for (size_t i = 0; i < op->count; i++)
		if (is_data_of(op->node[i], &id))
			return true;
	for (const struct node *n = op->shared; n; n = n->backing)
		if (is_data_of(n, &id))
			return true;
	return false;
}

/* What is open already is as it is; the first of it was looked at. */
static int check_shared_below(const struct opening *op, struct err *err)
{
	const struct node_options *o = op->top;
	size_t i = op->count ? op->count - 1 : 0;
	const struct node *n = op->shared;

	if (n && !op->count)
		n = n->backing;
	for (; n && i < o->below_count; n = n->backing, i++) {
		const struct below_options *said = &o->below[i];
		struct file id;

		if (said->node_name && strcmp(said->node_name, n->name))
			return err_set(err, ERR_GENERIC, "Image '%s' is open "
				       "already as node '%s'", n->file->path,
				       n->name);
		if (said->data_file &&
		    !(chain_identify(said->data_file, &id) &&
		      is_data_of(n, &id)))
			return err_set(err, ERR_GENERIC, "Image '%s' is open "
				       "already, and '%s' is not its data file",
				       n->file->path, said->data_file);
	}
	return 0;
}

/* Who names a data file means one that is there. */
static int check_data_files(const struct opening *op, struct err *err)
{
	const struct node_options *o = op->top;

	for (size_t i = opening_depth(op) - 1; i < o->below_count; i++)
		if (o->below[i].data_file)
			return err_set(err, ERR_GENERIC, "'%s' is named as a "
				       "data file for an image that the chain "
				       "of '%s' has not", o->below[i].data_file,
				       o->path);
	for (size_t i = 0; i < o->data_file_count && !o->data_files_shared; i++)
		if (!is_data_in_chain(op, o->data_files[i]))
			return err_set(err, ERR_GENERIC, "'%s' is named, but "
				       "no image of the chain of '%s' %s",
				       o->data_files[i], o->path,
				       op->data_files ?
				       "has it for its external data file" :
				       "has an external data file");
	return check_shared_below(op, err);
}

int chain_check_data_files(const struct graph *a, const struct graph *b,
			   const struct node_options *o, struct err *err)
{
	for (size_t i = 0; i < o->data_file_count; i++)
		if (!graph_has_data(a, o->data_files[i]) &&
		    !graph_has_data(b, o->data_files[i]))
			return err_set(err, ERR_GENERIC, "No image of the two "
				       "chains has '%s' for its external data "
				       "file, but it is named",
				       o->data_files[i]);
	return 0;
}

static int chain_open_all(struct opening *op, const struct node_options *o,
			  struct err *err)
{
	struct node *last;

	if (open_layer(op, *o, err) || check_metadata(op, o, err))
		return -1;
	while (!op->shared && !o->no_backing) {
		last = op->node[op->count - 1];
		if (!last->backing_name)
			break;
		if (open_below(op, last, o, err) ||
		    check_metadata(op, o, err))
			return -1;
		if (opening_depth(op) > CHAIN_DEPTH_MAX)
			return err_set(err, ERR_GENERIC, "The backing chain "
				       "of '%s' is longer than %u images",
				       o->path, CHAIN_DEPTH_MAX);
	}
	return o->no_backing ? 0 : check_data_files(op, err);
}

/* All, or none if a name is taken. */
static int enter_all(struct opening *op, struct err *err)
{
	struct node *below = op->shared;

	for (size_t i = 0; i < op->count; i++)
		if (graph_add(op->graph, op->node[i], err)) {
			while (i-- > 0)
				graph_leave(op->node[i]);
			return -1;
		}
	for (size_t i = op->count; i-- > 0; below = op->node[i]) {
		graph_link_new(op->node[i], below);
		if (below && below != op->shared)
			graph_put(below);
	}
	return 0;
}

int chain_open(struct graph *g, const struct node_options *o,
	       struct node **out, struct err *err)
{
	struct node_options top = *o;
	struct opening op = { .graph = g, .top = &top };
	int rc;

	top.path = chain_local_name(o->path);
	graph_pause(g);
	rc = chain_open_all(&op, &top, err);
	graph_resume(g);
	if (!rc)
		rc = enter_all(&op, err);
	if (rc)
		for (size_t i = 0; i < op.count; i++)
			graph_close(g, op.node[i]);
	else
		*out = op.count ? op.node[0] : graph_get(op.shared);
	free(op.node);
	return rc;
}
