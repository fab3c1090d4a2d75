/* SPDX-License-Identifier: GPL-3.0-or-later */
/* oom.c - an allocator that fails where a test says, below a program that
 * knows nothing of it: preloaded, see test_oom.py.
 *
 * $BLKMON_OOM names a file that holds a struct control, and both sides map it.
 * While it is armed, allocations of at least `least` bytes and all aligned
 * buffers are counted, and those from number `first` on, `many` of them, fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

struct control {
	_Atomic int64_t armed, first, many, least;
	_Atomic int64_t seen, failed;	/* told to the test */
};

static struct control *control;

static void __attribute__((constructor)) start(void)
{
	const char *name = getenv("BLKMON_OOM");
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0) {
		p = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
			 MAP_SHARED, fd, 0);
		close(fd);
	}
	if (p != MAP_FAILED)
		control = p;
}

static int fails(size_t size)
{
	struct control *c = control;
	int64_t n;

	if (!c || !c->armed || (int64_t)size < c->least)
		return 0;
	n = atomic_fetch_add(&c->seen, 1) + 1;
	if (n < c->first || n - c->first >= c->many)
		return 0;
	atomic_fetch_add(&c->failed, 1);
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(n * size) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails(size) ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, total);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	if (fails(SIZE_MAX / 2))
		return ENOMEM;
	*out = __libc_memalign(align, size);
	return *out ? 0 : ENOMEM;
}
