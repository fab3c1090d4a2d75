/* engine_tools.c - what is done beside the disks; see tools.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/chain/chain.h"
#include "engine/engine_impl.h"
#include "engine/tools.h"

int engine_compare(struct engine *e, const struct compare_options *o,
		   struct compare_result *out, struct err *err)
{
	return tool_compare(&e->jobs, o, out, err);
}

int engine_rebase(struct engine *e, const struct rebase_options *o,
		  struct err *err)
{
	return tool_rebase(&e->jobs, o, err);
}

static int tools_check_closed(struct engine *e, const char *path,
			       struct err *err)
{
	const struct open_file *by = NULL;
	struct open_file *open;
	struct sibling_id id;
	struct stat st;
	size_t n;
	int rc;

	if (stat(path, &st))
		return err_sys(err, errno, "Could not open '%s'", path);
	id = sibling_id_at(&st);
	graph_begin(&e->graph);
	rc = files_open(e, &open, &n);
	if (rc)
		err_sys(err, rc, "Could not rebase '%s'", path);
	else
		by = files_find(open, n, &id);
	if (by)
		rc = err_set(err, ERR_GENERIC, "Image '%s' is in use by %s: "
			     "only one that is not open can be rebased", path,
			     graph_user_of(by->node).text);
	graph_end(&e->graph);
	free(open);
	return rc;
}

int engine_rebase_start(struct engine *e, const struct rebase_job_options *o,
			struct err *err)
{
	return tools_check_closed(e, chain_local_name(o->file), err) ? -1 :
	       tool_rebase_start(&e->jobs, o, err);
}

int engine_plan_rebase(struct engine *e, const struct rebase_job_options *o,
		       struct forecast *f, struct err *err)
{
	return tools_check_closed(e, chain_local_name(o->file), err) ? -1 :
	       tool_rebase_plan(&e->jobs, o, f, err);
}

int engine_tree_map(struct engine *e, const struct tree_map_options *o,
		    struct tree_map *out, struct err *err)
{
	struct node *node;
	int rc = 0;

	*out = (struct tree_map) { 0 };
	rwlock_read(&e->graph.lock);
	node = graph_find(&e->graph, o->node_name);
	if (node)
		rc = tree_map_of(out, node, o);
	rwlock_drop(&e->graph.lock);
	if (!node)
		return err_set(err, ERR_DEVICE_NOT_FOUND,
			       "Cannot find device='' nor node-name='%s'",
			       o->node_name);
	if (rc)
		return err_sys(err, rc, "Could not read the maps of '%s' and "
			       "those on it", o->node_name);
	return 0;
}
