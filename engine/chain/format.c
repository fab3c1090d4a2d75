/* format.c - see format.h. */
#include "engine/chain/format.h"

#include <stddef.h>
#include <string.h>

#include "engine/image/qcow2/qcow2.h"

static const struct driver *const drivers[] = { &driver_qcow2, &driver_raw };

static const char qcow2_magic[4] = { 'Q', 'F', 'I', '\xfb' };

const struct driver *format_find(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(drivers[i]->name, name))
			return drivers[i];
	return NULL;
}

int format_probe(struct file *file, const struct driver **out)
{
	char head[sizeof(qcow2_magic)];
	int rc = file_read(file, 0, head, sizeof(head));

	if (rc)
		return rc;
	*out = memcmp(head, qcow2_magic, sizeof(head)) ? &driver_raw
						       : &driver_qcow2;
	return 0;
}
