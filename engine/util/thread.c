/* thread.c - see thread.h. */
#include "engine/util/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

#ifdef DEBUG
#define LOCK_TYPE PTHREAD_MUTEX_ERRORCHECK
#else
#define LOCK_TYPE PTHREAD_MUTEX_NORMAL
#endif

#define MUST(call) must(call, #call)

static void must(int rc, const char *what)
{
	if (rc)
		BUG("%s: %s", what, strerror(rc));
}

void lock_init(struct lock *lock)
{
	pthread_mutexattr_t attr;

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_settype(&attr, LOCK_TYPE));
	MUST(pthread_mutex_init(&lock->m, &attr));
	MUST(pthread_mutexattr_destroy(&attr));
}

void lock_release(struct lock *lock)
{
	MUST(pthread_mutex_destroy(&lock->m));
}

void lock_take(struct lock *lock)
{
	MUST(pthread_mutex_lock(&lock->m));
}

bool lock_try(struct lock *lock)
{
	int rc = pthread_mutex_trylock(&lock->m);

	if (rc != EBUSY)
		must(rc, "pthread_mutex_trylock");
	return !rc;
}

void lock_drop(struct lock *lock)
{
	MUST(pthread_mutex_unlock(&lock->m));
}

void cond_init(struct cond *cond)
{
	pthread_condattr_t attr;

	MUST(pthread_condattr_init(&attr));
	MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	MUST(pthread_cond_init(&cond->c, &attr));
	MUST(pthread_condattr_destroy(&attr));
}

void cond_release(struct cond *cond)
{
	MUST(pthread_cond_destroy(&cond->c));
}

void cond_wait(struct cond *cond, struct lock *lock)
{
	MUST(pthread_cond_wait(&cond->c, &lock->m));
}

bool cond_wait_until(struct cond *cond, struct lock *lock, uint64_t deadline)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline / NS_PER_SEC),
		.tv_nsec = (long)(deadline % NS_PER_SEC),
	};
	int rc;

	if (deadline == UINT64_MAX) {
		cond_wait(cond, lock);
		return true;
	}
	rc = pthread_cond_timedwait(&cond->c, &lock->m, &ts);
	if (rc != ETIMEDOUT)
		must(rc, "pthread_cond_timedwait");
	return rc == 0;
}

void cond_wake_one(struct cond *cond)
{
	MUST(pthread_cond_signal(&cond->c));
}

void cond_wake_all(struct cond *cond)
{
	MUST(pthread_cond_broadcast(&cond->c));
}

void rwlock_init(struct rwlock *lock)
{
	pthread_rwlockattr_t attr;

	MUST(pthread_rwlockattr_init(&attr));
	MUST(pthread_rwlockattr_setkind_np(&attr,
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	MUST(pthread_rwlock_init(&lock->rw, &attr));
	MUST(pthread_rwlockattr_destroy(&attr));
}

void rwlock_release(struct rwlock *lock)
{
	MUST(pthread_rwlock_destroy(&lock->rw));
}

void rwlock_read(struct rwlock *lock)
{
	MUST(pthread_rwlock_rdlock(&lock->rw));
}

void rwlock_write(struct rwlock *lock)
{
	MUST(pthread_rwlock_wrlock(&lock->rw));
}

void rwlock_drop(struct rwlock *lock)
{
	MUST(pthread_rwlock_unlock(&lock->rw));
}

struct start {
	void (*fn)(void *arg);
	void *arg;
	char name[16];		/* the kernel's limit */
};

static void *thread_main(void *p)
{
	struct start start = *(struct start *)p;

	free(p);
	pthread_setname_np(pthread_self(), start.name);
	start.fn(start.arg);
	return NULL;
}

/* All but the signals that a thread raises itself: blocked, those would kill
 * the process without running the handlers. */
static void signals_to_block(sigset_t *set)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(set, own[i]);
}

int thread_start(pthread_t *out, const char *name, void (*fn)(void *arg),
		 void *arg)
{
	struct start *start = mem_alloc(sizeof(*start));
	sigset_t block, old;
	int rc;

	start->fn = fn;
	start->arg = arg;
	snprintf(start->name, sizeof(start->name), "%s", name);

	/* The new thread inherits the mask, so no signal slips in before it
	 * could block them itself. */
	signals_to_block(&block);
	MUST(pthread_sigmask(SIG_SETMASK, &block, &old));
	rc = pthread_create(out, NULL, thread_main, start);
	MUST(pthread_sigmask(SIG_SETMASK, &old, NULL));
	if (rc)
		free(start);
	return -rc;
}

void thread_join(pthread_t thread)
{
	MUST(pthread_join(thread, NULL));
}

unsigned thread_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)n;
}
