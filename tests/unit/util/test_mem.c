/* Unit tests: engine/util/mem.c. A child has its address space limited, uses
 * all of it up, and must still be given what is small. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/util/mem.h"
#include "engine/util/thread.h"
#include "tests/unit/slow.h"

/* A sanitizer's shadow is larger than any limit, and valgrind keeps for a
 * while what is given back. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMITED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIMITED false
#endif
#endif
#ifndef LIMITED
#define LIMITED (!under_valgrind())
#endif

#define SMALL 40
#define THREADS 4

struct link {
	struct link *next;
};

static struct link *eaten;

/* All that malloc() has, the last 16 bytes included. */
static void eat(void)
{
	for (size_t size = (size_t)1 << 24; size >= 16; size /= 2) {
		struct link *p;

		while ((p = malloc(size))) {
			p->next = eaten;
			eaten = p;
		}
	}
}

static void give_back(void)
{
	while (eaten) {
		struct link *p = eaten;

		eaten = p->next;
		free(p);
	}
}

/* The wait status of @fn in a child with little memory. */
static int in_want(void (*fn)(void))
{
	const struct rlimit limit = { 1u << 30, 1u << 30 }, none = { 0 };
	int status;
	pid_t pid;

	if (!LIMITED)
		skip();
	fflush(NULL);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_AS, &limit);
		setrlimit(RLIMIT_CORE, &none);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* _exit() with what went wrong: a child's assertions would not be seen. */
static void must(bool right, int what)
{
	if (!right)
		_exit(what);
}

static bool is_zeroed(const char *p, size_t n)
{
	while (n && !p[n - 1])
		n--;
	return !n;
}

static void want_of_small(void)
{
	char *p;

	free(mem_alloc(SMALL));
	eat();
	must(!mem_try(1, 4096), 1);
	must(!buf_new(4096), 2);
	p = mem_alloc(SMALL);
	must(is_zeroed(p, SMALL), 3);
	must(!strcmp(mem_dup("name"), "name"), 4);
	must(!strcmp(mem_printf("%d of %s", 7, "x"), "7 of x"), 5);
	memset(p, 1, SMALL);
	p = mem_grow(p, 100, SMALL);
	must(p[0] == 1 && p[SMALL - 1] == 1, 6);
}

static void test_reserve_is_spent(void **state)
{
	(void)state;
	assert_int_equal(in_want(want_of_small), 0);
}

static void want_again(void)
{
	for (int i = 0; i < 10; i++) {
		free(mem_alloc(SMALL));
		eat();
		must(mem_alloc(MEM_RESERVE / 4), 1 + i);
		give_back();
	}
}

static void test_reserve_is_taken_again(void **state)
{
	(void)state;
	assert_int_equal(in_want(want_again), 0);
}

static void allocate_small(void *arg)
{
	struct lock *gate = arg;

	lock_take(gate);
	lock_drop(gate);
	for (int i = 0; i < 100; i++)
		must(mem_alloc(SMALL), 2);
}

static void want_of_many(void)
{
	pthread_t thread[THREADS];
	struct lock gate;

	/* No thread has memory of its own. */
	mallopt(M_ARENA_MAX, 1);
	free(mem_alloc(SMALL));
	lock_init(&gate);
	lock_take(&gate);
	for (int i = 0; i < THREADS; i++)
		must(!thread_start(&thread[i], "t", allocate_small, &gate), 1);
	eat();
	lock_drop(&gate);
	for (int i = 0; i < THREADS; i++)
		thread_join(thread[i]);
}

static void test_all_threads_profit(void **state)
{
	(void)state;
	assert_int_equal(in_want(want_of_many), 0);
}

/* The honest end: more than the reserve. */
static void want_of_more(void)
{
	free(mem_alloc(SMALL));
	eat();
	fclose(stderr);
	mem_alloc(2 * MEM_RESERVE);
}

static void test_more_than_the_reserve_is_a_bug(void **state)
{
	int status;

	(void)state;
	status = in_want(want_of_more);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void want_of_spare(void)
{
	free(mem_alloc(SMALL));
	eat();
	must(mem_spare(NULL, SMALL), 1);
	must(!mem_spare(NULL, 2 * MEM_RESERVE), 2);
}

static void test_spare_may_fail(void **state)
{
	(void)state;
	assert_int_equal(in_want(want_of_spare), 0);
}

static void test_try_more(void **state)
{
	size_t cap = 0;
	int *a, *b;

	(void)state;
	a = mem_try_more(NULL, &cap, 1, sizeof(*a));
	assert_non_null(a);
	assert_in_range(cap, 1, 64);
	a[0] = 7;
	assert_ptr_equal(mem_try_more(a, &cap, cap, sizeof(*a)), a);
	b = mem_try_more(a, &cap, 1000, sizeof(*a));
	assert_non_null(b);
	assert_in_range(cap, 1000, 2000);
	assert_int_equal(b[0], 7);
	assert_null(mem_try_more(b, &cap, SIZE_MAX / 2, sizeof(*a)));
	assert_in_range(cap, 1000, 2000);
	assert_int_equal(b[0], 7);
	free(b);
}

static void test_try_dup(void **state)
{
	char *s = mem_try_dup("abcdef", 3);

	(void)state;
	assert_string_equal(s, "abc");
	free(s);
	s = mem_try_dup("ab\0cd", 5);
	assert_string_equal(s, "ab");
	free(s);
}

static void test_try_overflow(void **state)
{
	(void)state;
	assert_null(mem_try(SIZE_MAX / 2, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reserve_is_spent),
		cmocka_unit_test(test_reserve_is_taken_again),
		cmocka_unit_test(test_all_threads_profit),
		cmocka_unit_test(test_more_than_the_reserve_is_a_bug),
		cmocka_unit_test(test_spare_may_fail),
		cmocka_unit_test(test_try_more),
		cmocka_unit_test(test_try_dup),
		cmocka_unit_test(test_try_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
