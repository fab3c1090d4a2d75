/* on_error.c - see on_error.h. */
#include "engine/chain/on_error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[ON_ERROR_COUNT] = {
	[ON_ERROR_REPORT] = "report", [ON_ERROR_IGNORE] = "ignore",
	[ON_ERROR_STOP] = "stop", [ON_ERROR_ENOSPC] = "enospc",
};

const char *on_error_name(enum on_error what)
{
	return names[what];
}

int on_error_parse(const char *name, enum on_error *out)
{
	for (unsigned i = 0; i < ON_ERROR_COUNT; i++)
		if (!strcmp(names[i], name)) {
			*out = (enum on_error)i;
			return 0;
		}
	return -1;
}

bool on_error_is_nospace(int errnum)
{
	errnum = abs(errnum);
	return errnum == ENOSPC || errnum == EDQUOT;
}

enum on_error on_error_action(enum on_error policy, int errnum)
{
	if (policy == ON_ERROR_ENOSPC)
		return on_error_is_nospace(errnum) ? ON_ERROR_STOP :
						     ON_ERROR_REPORT;
	return policy;
}

const char *io_status_name(int errnum)
{
	return !errnum ? "ok" : on_error_is_nospace(errnum) ? "nospace" :
							      "failed";
}
