/* thread.h - pthread calls that cannot fail, or end the program if they do.
 *
 * Locks are error-checking in debug builds (-DDEBUG). Waits use the monotonic
 * clock. Every thread starts with all signals blocked but SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGABRT.
 */
#ifndef BLKMON_UTIL_THREAD_H
#define BLKMON_UTIL_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
	pthread_mutex_t m;
};

void lock_init(struct lock *lock);
void lock_release(struct lock *lock);
void lock_take(struct lock *lock);
bool lock_try(struct lock *lock);	/* without waiting: true if taken */
void lock_drop(struct lock *lock);

struct cond {
	pthread_cond_t c;
};

void cond_init(struct cond *cond);
void cond_release(struct cond *cond);
void cond_wait(struct cond *cond, struct lock *lock);
/* Waits until woken (true, also spuriously) or until clock_ns() reaches
 * @deadline (false). UINT64_MAX waits for ever. */
bool cond_wait_until(struct cond *cond, struct lock *lock, uint64_t deadline);
void cond_wake_one(struct cond *cond);
void cond_wake_all(struct cond *cond);

/* Readers and a preferred writer (glibc's default would starve the writer).
 * Not recursive: a reader that reads again behind a waiting writer hangs. */
struct rwlock {
	pthread_rwlock_t rw;
};

void rwlock_init(struct rwlock *lock);
void rwlock_release(struct rwlock *lock);
void rwlock_read(struct rwlock *lock);
void rwlock_write(struct rwlock *lock);
void rwlock_drop(struct rwlock *lock);

/* Starts @fn(@arg) in a thread called @name (15 characters are kept).
 * 0 or -errno; the caller joins it. */
int thread_start(pthread_t *out, const char *name, void (*fn)(void *arg),
		 void *arg);
void thread_join(pthread_t thread);
unsigned thread_processors(void);	/* that are online, at least 1 */

#endif
