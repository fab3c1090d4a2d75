/* test_thread.c - what a thread starts with, waits, and how a bug ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/clock.h"
#include "engine/util/thread.h"

struct seen {
	char name[16];
	sigset_t mask;
};

static void look(void *arg)
{
	struct seen *seen = arg;

	pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
}

static void starts_named_and_deaf(void **state)
{
	static const int open[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	static const int blocked[] = {
		SIGINT, SIGTERM, SIGWINCH, SIGPIPE, SIGTSTP, SIGUSR1,
	};
	struct seen seen;
	pthread_t thread;
	sigset_t mine;

	(void)state;
	assert_int_equal(thread_start(&thread, "a-name-of-20-letters", look,
				      &seen), 0);
	thread_join(thread);
	assert_string_equal(seen.name, "a-name-of-20-le");
	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
		assert_false(sigismember(&seen.mask, open[i]));
	for (size_t i = 0; i < sizeof(blocked) / sizeof(*blocked); i++)
		assert_true(sigismember(&seen.mask, blocked[i]));
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_false(sigismember(&mine, SIGINT));
}

struct wait {
	struct lock lock;
	struct cond cond;
	bool done;
};

static void waker(void *arg)
{
	struct wait *w = arg;

	lock_take(&w->lock);
	w->done = true;
	cond_wake_one(&w->cond);
	lock_drop(&w->lock);
}

static void waits_end(void **state)
{
	struct wait w = { .done = false };
	pthread_t thread;
	uint64_t soon;

	(void)state;
	lock_init(&w.lock);
	cond_init(&w.cond);
	lock_take(&w.lock);
	assert_false(cond_wait_until(&w.cond, &w.lock, 0));
	soon = clock_ns() + NS_PER_MS;
	while (cond_wait_until(&w.cond, &w.lock, soon))
		;
	assert_true(clock_ns() >= soon);
	assert_int_equal(thread_start(&thread, "waker", waker, &w), 0);
	while (!w.done)
		assert_true(cond_wait_until(&w.cond, &w.lock, UINT64_MAX));
	lock_drop(&w.lock);
	thread_join(thread);
	cond_release(&w.cond);
	lock_release(&w.lock);
}

/* Readers that overlap for ever; ends only if the writer is preferred. */
struct world {
	struct rwlock lock;
	atomic_bool stop;
};

static void reader(void *arg)
{
	struct world *world = arg;

	while (!atomic_load(&world->stop)) {
		rwlock_read(&world->lock);
		sched_yield();
		rwlock_drop(&world->lock);
	}
}

static void writer_is_preferred(void **state)
{
	struct world world;
	pthread_t thread[4];

	(void)state;
	rwlock_init(&world.lock);
	atomic_init(&world.stop, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(thread_start(&thread[i], "reader", reader,
					      &world), 0);
	for (int i = 0; i < 50; i++) {
		rwlock_write(&world.lock);
		rwlock_drop(&world.lock);
	}
	atomic_store(&world.stop, true);
	for (int i = 0; i < 4; i++)
		thread_join(thread[i]);
	rwlock_release(&world.lock);
}

static void hook(void)
{
	(void)!write(STDERR_FILENO, "hook\n", 5);
	BUG("in the hook");
}

static _Noreturn void die(int fd)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGABRT, SIG_DFL);
	dup2(fd, STDERR_FILENO);
	bug_set_hook(hook);
	bug_die("file.c", 7, "%d is odd", 3);
}

/* The hook runs first, and only once, even if it fails itself. */
static void a_bug_ends_the_program(void **state)
{
	static const char want[] =
		"hook\nblkmon: bug at tests/unit/util/test_thread.c:";
	char text[256] = "";
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid)
		die(fds[1]);
	close(fds[1]);
	for (ssize_t n = 0, at = 0; at < 255; at += n) {
		n = read(fds[0], text + at, (size_t)(255 - at));
		if (n <= 0)
			break;
	}
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_memory_equal(text, want, strlen(want));
	assert_non_null(strstr(text, ": in the hook\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_named_and_deaf),
		cmocka_unit_test(waits_end),
		cmocka_unit_test(writer_is_preferred),
		cmocka_unit_test(a_bug_ends_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
