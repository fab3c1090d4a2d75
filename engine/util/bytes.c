/* bytes.c - see bytes.h. */
#include "engine/util/bytes.h"

#define HEAD 16

/* The first bytes are zero, and every other byte equals the one HEAD before
 * it: libc's memcmp() is the fastest loop there is. */
bool bytes_are_zero(const void *buf, size_t len)
{
	const unsigned char *p = buf;

	for (size_t i = 0; i < len && i < HEAD; i++)
		if (p[i])
			return false;
	return len <= HEAD || !memcmp(p, p + HEAD, len - HEAD);
}
