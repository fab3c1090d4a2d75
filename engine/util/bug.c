/* bug.c - see bug.h. */
#include "engine/util/bug.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef void hook_fn(void);

static _Atomic(hook_fn *) bug_hook;

void bug_die(const char *file, int line, const char *fmt, ...)
{
	/* Taken out before it runs: a hook that fails must not run again. */
	hook_fn *hook = atomic_exchange(&bug_hook, NULL);
	va_list ap;

	if (hook)
		hook();
	flockfile(stderr);
	fprintf(stderr, "blkmon: bug at %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	funlockfile(stderr);
	abort();
}

void bug_set_hook(void (*hook)(void))
{
	atomic_store(&bug_hook, hook);
}
