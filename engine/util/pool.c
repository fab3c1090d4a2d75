/* pool.c - see pool.h. */
#include "engine/util/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/mem.h"

#define POOL_NICE 10

struct pool {
	struct lock lock;	/* leaf */
	struct cond work;	/* queue not empty, or stop */
	struct list queue;	/* struct task.link, oldest first */
	bool stop;
	unsigned threads;
	pthread_t thread[];
};

/* Takes a waiting task out of both queues and runs it without the lock. The
 * wake-up is sent under the lock: afterwards the batch may be gone. */
static void pool_run(struct pool *pool, struct task *task)
{
	struct batch *batch = task->batch;
	int rc;

	list_del(&task->link);
	list_del(&task->mine);
	lock_drop(&pool->lock);
	rc = task->fn(task);
	lock_take(&pool->lock);
	if (!batch->rc)
		batch->rc = rc;
	if (!--batch->open)
		cond_wake_all(&batch->done);
}

static void pool_worker(void *arg)
{
	struct pool *pool = arg;

	/* This thread's alone. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), POOL_NICE);
	lock_take(&pool->lock);
	while (!pool->stop) {
		if (list_is_empty(&pool->queue))
			cond_wait(&pool->work, &pool->lock);
		else
			pool_run(pool, container_of(pool->queue.next,
						    struct task, link));
	}
	lock_drop(&pool->lock);
}

struct pool *pool_new(unsigned threads)
{
	struct pool *pool = mem_alloc(sizeof(*pool) +
				      threads * sizeof(pool->thread[0]));
	char name[16];

	BUG_ON(!threads);
	lock_init(&pool->lock);
	cond_init(&pool->work);
	list_init(&pool->queue);
	/* Fewer threads than wanted, even none, are only slower: whoever
	 * waits for a batch works it off. */
	for (; pool->threads < threads; pool->threads++) {
		snprintf(name, sizeof(name), "pool-%u", pool->threads);
		if (thread_start(&pool->thread[pool->threads], name,
				 pool_worker, pool) < 0)
			break;
	}
	return pool;
}

void pool_free(struct pool *pool)
{
	lock_take(&pool->lock);
	BUG_ON(!list_is_empty(&pool->queue));
	pool->stop = true;
	cond_wake_all(&pool->work);
	lock_drop(&pool->lock);
	for (unsigned i = 0; i < pool->threads; i++)
		thread_join(pool->thread[i]);
	cond_release(&pool->work);
	lock_release(&pool->lock);
	free(pool);
}

void batch_init(struct batch *batch, struct pool *pool)
{
	*batch = (struct batch){ .pool = pool };
	list_init(&batch->waiting);
	cond_init(&batch->done);
}

void pool_submit(struct batch *batch, struct task *task)
{
	struct pool *pool = batch->pool;

	lock_take(&pool->lock);
	task->batch = batch;
	batch->open++;
	list_add_tail(&pool->queue, &task->link);
	list_add_tail(&batch->waiting, &task->mine);
	cond_wake_one(&pool->work);
	lock_drop(&pool->lock);
}

int batch_wait(struct batch *batch)
{
	struct pool *pool = batch->pool;
	int rc;

	lock_take(&pool->lock);
	while (batch->open) {
		if (list_is_empty(&batch->waiting))
			cond_wait(&batch->done, &pool->lock);
		else
			pool_run(pool, container_of(batch->waiting.next,
						    struct task, mine));
	}
	rc = batch->rc;
	batch->rc = 0;
	lock_drop(&pool->lock);
	return rc;
}

void batch_release(struct batch *batch)
{
	BUG_ON(batch->open);
	cond_release(&batch->done);
}
