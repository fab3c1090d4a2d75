/* export.c - see export.h. */
#include "engine/nbd/export.h"

#include <stdlib.h>
#include <string.h>

#include "engine/nbd/nbd.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

const char *export_name(const struct export_options *o)
{
	return o->name ? o->name : o->device ? o->device : o->node_name;
}

int export_check_id(const struct export_options *o, struct err *err)
{
	if (o->id ? str_is_id(o->id) && strlen(o->id) <= NBD_STRING_MAX :
		    *export_name(o))
		return 0;
	return err_set(err, ERR_GENERIC, "Invalid block export id");
}

int export_check_words(const struct export *x, struct err *err)
{
	if (strlen(x->name) > NBD_STRING_MAX)
		return err_set(err, ERR_GENERIC,
			       "export name '%.64s...' too long", x->name);
	if (x->description && strlen(x->description) > NBD_STRING_MAX)
		return err_set(err, ERR_GENERIC,
			       "description '%.64s...' too long",
			       x->description);
	return 0;
}

struct export *export_new(struct engine *e, const struct export_options *o,
			  struct err *err)
{
	const struct disk_options options = {
		.device = o->device, .node_name = o->node_name,
		.writable = o->writable, .or_read_only = o->or_read_only,
		.force = o->force,
	};
	const char *name = export_name(o);
	struct disk *disk;
	struct export *x;

	disk = disk_open(e, &options, err);
	if (!disk)
		return NULL;
	x = mem_alloc(sizeof(*x));
	x->disk = disk;
	x->id = mem_dup(o->id ? o->id : name);
	x->name = mem_dup(name);
	x->description = mem_dup(o->description);
	list_init(&x->conns);
	list_init(&x->link);
	return x;
}

void export_free(struct export *x)
{
	disk_close(x->disk);
	free(x->description);
	free(x->name);
	free(x->id);
	free(x);
}
