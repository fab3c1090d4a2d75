/* mem.h - memory: small things do not fail, large ones may.
 *
 * What the program sizes (a structure, a name with a limit, a sentence) comes
 * from mem_alloc() and its kind, which never return NULL. When memory is out
 * they spend a reserve of MEM_RESERVE bytes, taken at the first allocation
 * and again by the next one that finds it missing: a lack that passes costs
 * nothing. They BUG() only where the reserve was not enough, or was spent
 * before and memory is still out.
 *
 * What the size of a request, of an image or of what a client sends decides,
 * and what there is one of for each image, job or client, comes from
 * mem_try() and its kind or buf_new(). They return NULL and leave the reserve
 * alone: the request, the job or the client gets -ENOMEM, and all else goes
 * on.
 *
 * All are thread-safe, and what they return is freed with free().
 */
#ifndef BLKMON_UTIL_MEM_H
#define BLKMON_UTIL_MEM_H

#include <stddef.h>

#define MEM_RESERVE ((size_t)1 << 20)

void *mem_alloc(size_t size);			/* zeroed */
void *mem_grow(void *p, size_t n, size_t size);	/* realloc to n * size */
char *mem_dup(const char *s);			/* NULL gives NULL */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* realloc() (of NULL: zeroed) that spends the reserve before it returns NULL
 * and leaves @p as it was: for libraries that ask for an allocator, and for
 * what has a way out but should not need it. */
void *mem_spare(void *p, size_t size);

/* n * size zeroed bytes, or NULL (also when the product overflows). */
void *mem_try(size_t n, size_t size);
/* The array @p of *cap members of @size bytes, at a place where it has room
 * for @want (at least doubled if it has to grow; what is new is undefined),
 * with *cap set; or NULL, and @p is as it was. */
void *mem_try_more(void *p, size_t *cap, size_t want, size_t size);
/* @len bytes of @s, or up to a NUL, as a string; or NULL. */
char *mem_try_dup(const char *s, size_t len);

/* An I/O buffer of @size bytes aligned to 4096 (fit for O_DIRECT), contents
 * undefined, or NULL. Freed with free(). */
void *buf_new(size_t size);

#endif
