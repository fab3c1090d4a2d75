/* guest_thread.h - a guest's request from where the host is at work: on a
 * thread of its own, as guests have it, for the host's holds locks. */
#ifndef BLKMON_TESTS_GUEST_THREAD_H
#define BLKMON_TESTS_GUEST_THREAD_H

#include <pthread.h>
#include <stdlib.h>

struct guest_thread {
	void (*fn)(void *arg);
	void *arg;
};

static inline void *guest_thread_run(void *opaque)
{
	const struct guest_thread *t = opaque;

	t->fn(t->arg);
	return NULL;
}

/* Returns when @fn has. */
static inline void guest_thread(void (*fn)(void *arg), void *arg)
{
	struct guest_thread t = { .fn = fn, .arg = arg };
	pthread_t id;

	if (pthread_create(&id, NULL, guest_thread_run, &t))
		abort();
	pthread_join(id, NULL);
}

#endif
