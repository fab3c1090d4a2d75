/* oom.h - the allocator of the program that includes it, which fails where a
 * test says. A sanitizer has an allocator of its own, and so has valgrind:
 * there nothing fails, and OOM_WORKS is false. */
#ifndef BLKMON_TESTS_OOM_H
#define BLKMON_TESTS_OOM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static _Atomic long oom_seen, oom_first, oom_many, oom_failed;
static _Atomic size_t oom_least;

/* From the @first allocation (1 is the next) of at least @least bytes on,
 * @many such fail; buffers count as large. */
static inline void oom_arm(long first, long many, size_t least)
{
	oom_seen = oom_failed = 0;
	oom_many = many;
	oom_least = least;
	oom_first = first;
}

/* True if one has failed. */
static inline bool oom_disarm(void)
{
	oom_first = 0;
	return oom_failed;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OOM_WORKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OOM_WORKS false
#endif
#endif

#ifndef OOM_WORKS
#define OOM_WORKS oom_works()

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static bool oom_fails(size_t size)
{
	long first = oom_first, n;

	if (!first || size < oom_least)
		return false;
	n = ++oom_seen;
	if (n < first || n - first >= oom_many)
		return false;
	oom_failed++;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return oom_fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return oom_fails(n * size) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return oom_fails(size) ? NULL : __libc_realloc(p, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	*out = oom_fails(SIZE_MAX) ? NULL : __libc_memalign(align, size);
	return *out ? 0 : ENOMEM;
}

/* By the name that others call, not inlined. */
static bool oom_works(void)
{
	void *(*volatile get)(size_t size) = malloc;
	void *p;

	oom_arm(1, 1, 0);
	p = get(1);
	free(p);
	return oom_disarm();
}
#endif

#endif
