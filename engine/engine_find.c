/* engine_find.c - what a `device` means; see engine_impl.h. */
#include <errno.h>

#include "engine/engine_impl.h"

struct node *engine_find(struct engine *e, const char *device,
			 struct drive **drive, struct err *err)
{
	struct drive *d = drive_find(&e->graph, device);
	struct node *node = d ? d->root.node : graph_find(&e->graph, device);

	if (!d && node)
		d = drive_of(node);
	if (drive)
		*drive = d;
	if (!node && d) {
		err_set(err, ERR_GENERIC, "Device '%s' has no medium", device);
		err->errnum = ENOMEDIUM;
	} else if (!node) {
		err_set(err, ERR_DEVICE_NOT_FOUND,
			"Cannot find device='%s' nor node-name='%s'", device,
			device);
	}
	return node;
}

struct node *engine_find_root(struct engine *e, const char *device,
			      struct drive **drive, struct err *err)
{
	struct node *node = engine_find(e, device, drive, err);

	if (!node ? !!protocol_find(e, device) : !*drive) {
		err_set(err, ERR_GENERIC, "Need a root block node");
		return NULL;
	}
	return node;
}

int engine_lies_below(const char *name, const char *above, struct err *err)
{
	return err_set(err, ERR_GENERIC, "Node '%s' is busy: node is used as "
		       "backing hd of '%s'", name, above);
}
