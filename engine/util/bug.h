/* bug.h - the end of the program when an invariant is broken.
 *
 * Always compiled in. Never for something a file, a socket or an operator can
 * cause. The screen registers a hook that restores the terminal first.
 */
#ifndef BLKMON_UTIL_BUG_H
#define BLKMON_UTIL_BUG_H

#define BUG(...) bug_die(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond) do { if (cond) BUG("%s", #cond); } while (0)

/* Runs the hook, writes "blkmon: bug at FILE:LINE: TEXT" to stderr, aborts. */
_Noreturn void bug_die(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* @hook is called once, on the dying thread; NULL removes it. */
void bug_set_hook(void (*hook)(void));

#endif
