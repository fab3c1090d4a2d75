/* mem.h - memory: small things never fail, large ones may.
 *
 * mem_alloc() and its kind are for structures whose size the program chooses;
 * they BUG() when memory is out. What a file or a socket sizes is allocated
 * with mem_try() or buf_new(), which return NULL.
 */
#ifndef BLKMON_UTIL_MEM_H
#define BLKMON_UTIL_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);			/* zeroed */
void *mem_grow(void *p, size_t n, size_t size);	/* realloc to n * size */
char *mem_dup(const char *s);			/* NULL gives NULL */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* n * size zeroed bytes, or NULL (also when the product overflows). */
void *mem_try(size_t n, size_t size);

/* An I/O buffer of @size bytes aligned to 4096 (fit for O_DIRECT), contents
 * undefined, or NULL. Freed with free(). */
void *buf_new(size_t size);

#endif
