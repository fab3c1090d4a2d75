/* test_pool.c - every task runs once, whoever runs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/util/pool.h"

#define TASKS 100

struct count_task {
	struct task task;
	int runs, rc;
};

static int count_fn(struct task *task)
{
	struct count_task *t = container_of(task, struct count_task, task);

	t->runs++;
	return t->rc;
}

static void submit_counts(struct batch *batch, struct count_task *t, int n)
{
	for (int i = 0; i < n; i++) {
		t[i] = (struct count_task){ .task.fn = count_fn };
		pool_submit(batch, &t[i].task);
	}
}

static void every_task_runs_once(void **state)
{
	struct count_task t[TASKS];
	struct batch batch;
	struct pool *pool = pool_new(3);

	(void)state;
	batch_init(&batch, pool);
	assert_int_equal(batch_wait(&batch), 0);
	for (int round = 0; round < 20; round++) {
		submit_counts(&batch, t, TASKS);
		assert_int_equal(batch_wait(&batch), 0);
		for (int i = 0; i < TASKS; i++)
			assert_int_equal(t[i].runs, 1);
	}
	batch_release(&batch);
	pool_free(pool);
}

static void an_error_stops_no_other_task(void **state)
{
	struct count_task t[TASKS] = { 0 };
	struct batch batch;
	struct pool *pool = pool_new(2);

	(void)state;
	batch_init(&batch, pool);
	for (int i = 0; i < TASKS; i++) {
		t[i].task.fn = count_fn;
		t[i].rc = i == 7 ? -EIO : 0;
		pool_submit(&batch, &t[i].task);
	}
	assert_int_equal(batch_wait(&batch), -EIO);
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(t[i].runs, 1);
	submit_counts(&batch, t, TASKS);
	assert_int_equal(batch_wait(&batch), 0);
	batch_release(&batch);
	pool_free(pool);
}

/* A task that stands in its worker until it is let go. */
struct gate {
	struct task task;
	struct lock lock;
	struct cond moved;
	bool entered, open;
	char name[16];
};

static int gate_fn(struct task *task)
{
	struct gate *gate = container_of(task, struct gate, task);

	pthread_getname_np(pthread_self(), gate->name, sizeof(gate->name));
	lock_take(&gate->lock);
	gate->entered = true;
	cond_wake_all(&gate->moved);
	while (!gate->open)
		cond_wait(&gate->moved, &gate->lock);
	lock_drop(&gate->lock);
	return 0;
}

static void gate_shut(struct gate *gate, struct batch *batch)
{
	*gate = (struct gate){ .task.fn = gate_fn };
	lock_init(&gate->lock);
	cond_init(&gate->moved);
	pool_submit(batch, &gate->task);
	lock_take(&gate->lock);
	while (!gate->entered)
		cond_wait(&gate->moved, &gate->lock);
	lock_drop(&gate->lock);
}

static void gate_open(struct gate *gate)
{
	lock_take(&gate->lock);
	gate->open = true;
	cond_wake_all(&gate->moved);
	lock_drop(&gate->lock);
}

static void gate_release(struct gate *gate)
{
	cond_release(&gate->moved);
	lock_release(&gate->lock);
}

/* The only worker stands still: the owner works its own batch off, and leaves
 * the tasks of others alone. */
static void the_owner_helps(void **state)
{
	struct count_task mine[TASKS], other[1];
	struct batch blocked, others, own;
	struct pool *pool = pool_new(1);
	struct gate gate;

	(void)state;
	batch_init(&blocked, pool);
	batch_init(&others, pool);
	batch_init(&own, pool);
	gate_shut(&gate, &blocked);
	assert_string_equal(gate.name, "pool-0");
	submit_counts(&others, other, 1);
	submit_counts(&own, mine, TASKS);
	assert_int_equal(batch_wait(&own), 0);
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(mine[i].runs, 1);
	assert_int_equal(other[0].runs, 0);
	gate_open(&gate);
	assert_int_equal(batch_wait(&blocked), 0);
	assert_int_equal(batch_wait(&others), 0);
	assert_int_equal(other[0].runs, 1);
	gate_release(&gate);
	batch_release(&own);
	batch_release(&others);
	batch_release(&blocked);
	pool_free(pool);
}

/* With the worker held, the owner alone runs its tasks, so in order. */
static void the_first_error_is_told(void **state)
{
	struct count_task t[] = {
		{ .task.fn = count_fn },
		{ .task.fn = count_fn, .rc = -EIO },
		{ .task.fn = count_fn, .rc = -ENOSPC },
	};
	struct batch blocked, own;
	struct pool *pool = pool_new(1);
	struct gate gate;

	(void)state;
	batch_init(&blocked, pool);
	batch_init(&own, pool);
	gate_shut(&gate, &blocked);
	for (int i = 0; i < 3; i++)
		pool_submit(&own, &t[i].task);
	assert_int_equal(batch_wait(&own), -EIO);
	gate_open(&gate);
	assert_int_equal(batch_wait(&blocked), 0);
	gate_release(&gate);
	batch_release(&own);
	batch_release(&blocked);
	pool_free(pool);
}

struct owner {
	struct pool *pool;
	pthread_t thread;
	atomic_uint *faults;
};

static void owner_main(void *arg)
{
	enum { ROUNDS = 60, N = 8 };
	struct owner *owner = arg;

	for (int round = 0; round < ROUNDS; round++) {
		struct count_task t[N];
		struct batch batch;

		batch_init(&batch, owner->pool);
		submit_counts(&batch, t, N);
		if (batch_wait(&batch) < 0)
			atomic_fetch_add(owner->faults, 1);
		for (int i = 0; i < N; i++)
			if (t[i].runs != 1)
				atomic_fetch_add(owner->faults, 1);
		batch_release(&batch);
	}
}

static void many_owners(void **state)
{
	enum { N = 5 };
	struct pool *pool = pool_new(3);
	struct owner owner[N];
	atomic_uint faults = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		owner[i] = (struct owner){ .pool = pool, .faults = &faults };
		assert_int_equal(thread_start(&owner[i].thread, "owner",
					      owner_main, &owner[i]), 0);
	}
	for (int i = 0; i < N; i++)
		thread_join(owner[i].thread);
	assert_int_equal(atomic_load(&faults), 0);
	pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_task_runs_once),
		cmocka_unit_test(an_error_stops_no_other_task),
		cmocka_unit_test(the_owner_helps),
		cmocka_unit_test(the_first_error_is_told),
		cmocka_unit_test(many_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
