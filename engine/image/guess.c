/* guess.c - see guess.h. */
#include "engine/image/guess.h"

#include <string.h>

const char *guess_format(const void *head, size_t len)
{
	static const char qcow2[4] = { 'Q', 'F', 'I', '\xfb' };

	if (len >= sizeof(qcow2) && !memcmp(head, qcow2, sizeof(qcow2)))
		return "qcow2";
	return "raw";
}
