/* slow.h - builds and tools under which a program is many times slower: there
 * what a test does at random is done less often. Valgrind has an allocator and
 * a limit of descriptors of its own besides. */
#ifndef BLKMON_TESTS_SLOW_H
#define BLKMON_TESTS_SLOW_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW_BUILD 8u
#else
#define SLOW_BUILD 1u
#endif

/* It is told by what valgrind has loaded before the program. */
static inline bool under_valgrind(void)
{
	const char *loaded = getenv("LD_PRELOAD");

	return loaded && strstr(loaded, "vgpreload");
}

/* How many times, roughly; else 1. */
static inline unsigned how_slow(void)
{
	return under_valgrind() ? 32 : SLOW_BUILD;
}

/* From one of many things that are all to be done to the next. */
static inline int slow_step(void)
{
	return under_valgrind() ? 4 : 1;
}

#endif
