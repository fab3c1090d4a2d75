/* engine_check.c - the facade's part on images compared with themselves. */
#include "engine/chain/chain.h"
#include "engine/chain/format.h"
#include "engine/chain/graph.h"
#include "engine/engine_impl.h"
#include "engine/image/check.h"

static int not_supported(struct err *err)
{
	return err_set(err, ERR_NOT_SUPPORTED,
		       "This image format does not support checks");
}

/* --- a file that nothing here has open --- */

/* *drv may be NULL: a format that is known by its looks only. */
static int find_format(struct file *file, const char *format,
		       const struct driver **drv, struct err *err)
{
	const char *name = format;
	int rc = format ? 0 : format_probe(file, &name);

	*drv = NULL;
	if (rc)
		return err_sys(err, rc, "Could not read image '%s'",
			       file->path);
	*drv = format_find(name);
	return *drv || !format ? 0 : err_set(err, ERR_GENERIC, "Unknown file "
					     "format '%s'", format);
}

static int live_check_file(struct file *file, const struct driver *drv,
			   const struct check_options *o,
			   struct check_report *out, struct err *err)
{
	return drv && drv->check ? drv->check(file, o, out, err) :
		not_supported(err);
}

int engine_check_file(const struct check_file *f,
		      const struct check_options *o, struct check_report *out,
		      const char **format, struct err *err)
{
	struct file_options fo = {
		.path = f->path,
		.writable = o->fix,
		.role = o->fix ? LOCKS_WRITE :
			f->force_share ? LOCKS_NONE : LOCKS_READ,
	};
	const struct driver *drv;
	struct file *file;
	int rc;

	*out = (struct check_report){ 0 };
	if (file_open(&file, &fo, err))
		return -1;
	rc = find_format(file, f->format, &drv, err);
	if (!rc)
		rc = chain_check_data(file, err);
	if (!rc)
		rc = live_check_file(file, drv, o, out, err);
	if (!rc)
		*format = drv->name;
	file_close(file);
	return rc;
}

/* --- an open image --- */

/* What waits in memory is written first, twice: what the first flush unlinks
 * the second counts down. A job that is at work on it waits for the graph. */
static int live_check_still(struct engine *e, struct node *node,
			    struct check_report *out, struct err *err)
{
	const struct check_options look = { .fix = 0 };
	int rc;

	graph_hold(node);
	if (!node->claim)
		graph_pause(&e->graph);
	rc = node->drv->flush(node);
	if (!rc)
		rc = node->drv->flush(node);
	if (rc)
		return err_sys(err, rc, "Could not flush '%s'",
			       node->file->path);
	return node->drv->check(node->file, &look, out, err);
}

/* Guests go on meanwhile, and the graph may change. */
static int live_check_beside(struct engine *e, struct node *node,
			     struct check_report *out, struct err *err)
{
	const struct check_options look = { .fix = 0 };
	uint64_t writes = atomic_load(&node->file->writes);
	int rc;

	graph_get(node);
	graph_end(&e->graph);
	rc = node->drv->check(node->file, &look, out, err);
	graph_begin(&e->graph);
	if (!rc && atomic_load(&node->file->writes) != writes)
		rc = err_set(err, ERR_GENERIC, "'%s' changed while it was "
			     "checked", node->name);
	graph_put(node);
	return rc;
}

int engine_check_node(struct engine *e, const char *node_name,
		      struct check_report *out, struct err *err)
{
	struct node *node;
	int rc;

	*out = (struct check_report){ 0 };
	graph_begin(&e->graph);
	node = graph_find(&e->graph, node_name);
	if (!node)
		rc = err_set(err, ERR_GENERIC, "Failed to find node with "
			     "node-name='%s'", node_name);
	else if (!node->drv->check)
		rc = not_supported(err);
	else if (node->read_only)
		rc = live_check_beside(e, node, out, err);
	else
		rc = live_check_still(e, node, out, err);
	graph_end(&e->graph);
	return rc;
}
