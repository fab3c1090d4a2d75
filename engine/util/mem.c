/* mem.c - see mem.h. */
#include "engine/util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/bug.h"

#define BUF_ALIGN 4096

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size);

	BUG_ON(!p);
	return p;
}

void *mem_grow(void *p, size_t n, size_t size)
{
	/* realloc() to nothing would free and give NULL. */
	p = n && size ? reallocarray(p, n, size) : realloc(p, 1);
	BUG_ON(!p);
	return p;
}

char *mem_dup(const char *s)
{
	char *copy;

	if (!s)
		return NULL;
	copy = strdup(s);
	BUG_ON(!copy);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&s, fmt, ap);
	va_end(ap);
	BUG_ON(len < 0);
	return s;
}

/* Tested here although calloc() does: the sanitizers' calloc() aborts. */
void *mem_try(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return calloc(1, total);
}

void *buf_new(size_t size)
{
	void *p;

	return posix_memalign(&p, BUF_ALIGN, size) ? NULL : p;
}
