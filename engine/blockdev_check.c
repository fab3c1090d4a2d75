/* blockdev_check.c - what is asked of a file before blockdev-add opens it; see
 * engine_impl.h.
 */
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/graph.h"
#include "engine/engine_impl.h"

bool blockdev_is_bytes(const char *driver)
{
	return !strcmp(driver, "file") || !strcmp(driver, "host_device");
}

int blockdev_check_beside(struct engine *e, const struct node_options *o,
			  struct err *err)
{
	const struct node *other;
	struct file id;

	if (!chain_identify(o->path, &id))
		return 0;
	other = graph_find_file(&e->graph, &id);
	if (!other || (other->read_only && o->read_only) ||
	    !(o->no_lock || other->file->role == LOCKS_NONE))
		return 0;
	return err_set(err, ERR_GENERIC, "Image '%s' is in use by node '%s'",
		       o->path, other->name);
}

/* NULL: nobody said. Whether it is there is not asked here. */
static int blockdev_check_driver(const char *driver, const char *path,
				 struct err *err)
{
	struct file id;

	if (!driver || !path || !blockdev_is_bytes(driver) ||
	    !chain_identify(path, &id) ||
	    id.block_device == !strcmp(driver, "host_device"))
		return 0;
	return err_set(err, ERR_GENERIC, "'%s' driver requires '%s' to be %s",
		       driver, path, id.block_device ? "a regular file" :
		       "either a character or block device");
}

int blockdev_check_files(const struct blockdev_options *o, struct err *err)
{
	return blockdev_check_driver(o->driver, o->filename, err) ||
	       blockdev_check_driver(o->file_driver, o->filename, err) ||
	       blockdev_check_driver(o->data_driver, o->data_file, err) ? -1 :
	       0;
}
