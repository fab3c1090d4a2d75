/* mem.c - see mem.h.
 *
 * The reserve is pages of the kernel's, so that what is given back is free for
 * any thread's allocation. Only where the kernel has none left is it a block
 * that the allocator kept for itself.
 */
#include "engine/util/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/util/bug.h"

#define BUF_ALIGN 4096
#define FIRST 16		/* members of an array that grows */

/* The reserve; both NULL: it is spent, or was not taken yet. Changed with
 * spending held. */
static _Atomic(void *) pages, block;
static pthread_mutex_t spending = PTHREAD_MUTEX_INITIALIZER;

static bool has_reserve(void)
{
	return atomic_load_explicit(&pages, memory_order_relaxed) ||
	       atomic_load_explicit(&block, memory_order_relaxed);
}

/* errno stays as it was: nobody asked for this. Not while somebody is spending
 * it: what was given back is for that one. */
static void take_reserve(void)
{
	int error = errno;
	void *p;

	if (pthread_mutex_trylock(&spending))
		return;
	if (!has_reserve()) {
		p = mmap(NULL, MEM_RESERVE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			atomic_store(&block, malloc(MEM_RESERVE));
		else
			atomic_store(&pages, p);
	}
	pthread_mutex_unlock(&spending);
	errno = error;
}

static void mem_give_back(void)
{
	void *given = atomic_exchange(&pages, NULL);

	if (given)
		munmap(given, MEM_RESERVE);
	free(atomic_exchange(&block, NULL));
}

/* New memory is zeroed. */
static void *mem_ask(void *p, size_t size)
{
	return p ? realloc(p, size) : calloc(1, size);
}

/* Two who lack memory at once both profit: the second waits for what the
 * first gives back. */
static void *spend(void *p, size_t size)
{
	void *q;

	pthread_mutex_lock(&spending);
	mem_give_back();
	q = mem_ask(p, size);
	pthread_mutex_unlock(&spending);
	return q;
}

void *mem_spare(void *p, size_t size)
{
	void *q;

	if (!has_reserve())
		take_reserve();
	/* realloc() to nothing would free and give NULL. */
	size += !size;
	q = mem_ask(p, size);
	return q ? q : spend(p, size);
}

static void *must_get(void *p, size_t size)
{
	p = mem_spare(p, size);
	if (!p)
		BUG("out of memory for %zu bytes, reserve spent", size);
	return p;
}

void *mem_alloc(size_t size)
{
	return must_get(NULL, size);
}

void *mem_grow(void *p, size_t n, size_t size)
{
	size_t total;

	BUG_ON(__builtin_mul_overflow(n, size, &total));
	return must_get(p, total);
}

char *mem_dup(const char *s)
{
	size_t size = s ? strlen(s) + 1 : 0;

	return s ? memcpy(mem_alloc(size), s, size) : NULL;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	BUG_ON(len < 0);
	s = mem_alloc((size_t)len + 1);
	va_start(ap, fmt);
	vsnprintf(s, (size_t)len + 1, fmt, ap);
	va_end(ap);
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

void *mem_try_more(void *p, size_t *cap, size_t want, size_t size)
{
	size_t more = *cap ? *cap : FIRST, total;

	if (want <= *cap)
		return p;
	while (more < want)
		more = more > SIZE_MAX / 2 ? want : more * 2;
	if (__builtin_mul_overflow(more, size, &total))
		return NULL;
	p = realloc(p, total);
	if (p)
		*cap = more;
	return p;
}

char *mem_try_dup(const char *s, size_t len)
{
	return strndup(s, len);
}

void *buf_new(size_t size)
{
	void *p;

	return posix_memalign(&p, BUF_ALIGN, size) ? NULL : p;
}
