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

int format_probe(struct file *file, const struct driver **out)
{
	char head[GUESS_BYTES];
	int rc = file_read(file, 0, head, sizeof(head));

	if (!rc)
		*out = format_find(guess_format(head, sizeof(head)));
	return rc;
}
