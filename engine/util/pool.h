/* pool.h - worker threads for the moves of data.
 *
 * A task is one bounded piece of work (one read, one write, one inflate). It
 * may block on the disk, never on a lock of the engine above the leaves.
 * Tasks are handed in under a batch; the owner of the batch waits for it, and
 * while it waits it runs tasks of its own batch that no worker has begun.
 * Workers are nice (10): where processors are short, guests go first.
 */
#ifndef BLKMON_UTIL_POOL_H
#define BLKMON_UTIL_POOL_H

#include "engine/util/list.h"
#include "engine/util/thread.h"

struct pool;

struct batch {
	struct pool *pool;
	struct list waiting;	/* tasks nobody has begun; pool's lock */
	unsigned open;		/* tasks not finished; pool's lock */
	int rc;			/* first error of a task; pool's lock */
	struct cond done;
};

struct task {
	int (*fn)(struct task *task);	/* 0 or -errno */
	struct batch *batch;		/* set by pool_submit */
	struct list link, mine;		/* in the queues of pool and batch */
};

/* @threads workers (>= 1). Never NULL. Thread-safe from here on. */
struct pool *pool_new(unsigned threads);
/* All batches must have been waited for. */
void pool_free(struct pool *pool);

void batch_init(struct batch *batch, struct pool *pool);
/* @task stays the caller's and must live until batch_wait() returns. */
void pool_submit(struct batch *batch, struct task *task);
/* Waits for (and helps with) all tasks submitted; 0 or the first -errno. The
 * batch can be used again afterwards. */
int batch_wait(struct batch *batch);
void batch_release(struct batch *batch);

#endif
