/* oom.h - the allocator of the program that includes it, which fails once
 * where a test says. A sanitizer has an allocator of its own: there nothing
 * fails, and OOM_WORKS is false. */
#ifndef BLKMON_TESTS_OOM_H
#define BLKMON_TESTS_OOM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static _Atomic long oom_left;	/* this allocation from here on; 0: none */
static _Atomic size_t oom_least; /* smaller ones are not counted */

/* The @n-th allocation of at least @least bytes fails, all buffers among
 * them. */
static inline void oom_arm(long n, size_t least)
{
	oom_least = least;
	oom_left = n;
}

/* True if it has failed. */
static inline bool oom_disarm(void)
{
	long left = oom_left;

	oom_left = 0;
	return left < 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OOM_WORKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OOM_WORKS false
#endif
#endif

#ifndef OOM_WORKS
#define OOM_WORKS true

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

/* Counts down to 1, which fails, and is -1 from then on. */
static bool oom_fails(size_t size)
{
	long left = oom_left;

	if (left <= 0 || size < oom_least)
		return false;
	oom_left = left == 1 ? -1 : left - 1;
	errno = ENOMEM;
	return left == 1;
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
#endif

#endif
