/* format.c - see format.h. */
#include "engine/chain/format.h"

#include <stddef.h>
#include <string.h>

#include "engine/image/guess.h"
#include "engine/image/qcow2/qcow2.h"

static const struct driver *const drivers[] = { &driver_qcow2, &driver_raw };

const struct driver *format_find(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(drivers[i]->name, name))
			return drivers[i];
	return NULL;
}

const struct driver *format_find_said(const char *name)
{
	if (!strcmp(name, "file") || !strcmp(name, "host_device"))
		name = "raw";
	return format_find(name);
}

int format_probe(struct file *file, const char **name)
{
	char bytes[GUESS_BYTES];
	uint64_t size = file->size;
	int rc = file_read(file, 0, bytes, sizeof(bytes));

	if (!rc)
		*name = guess_format(bytes, sizeof(bytes));
	if (rc || strcmp(*name, "raw") || size < sizeof(bytes))
		return rc;
	rc = file_read(file, size - sizeof(bytes), bytes, sizeof(bytes));
	if (!rc)
		*name = guess_by_end(bytes, sizeof(bytes));
	return rc;
}
