/* test_range.c - who waits for whom, and that nobody overlaps a writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>

#include "engine/image/range.h"

#define SHARED false
#define EXCLUSIVE true

/* Would [off, off + len) be granted now? */
static bool is_free(struct range *range, uint64_t off, uint64_t len,
		    bool exclusive)
{
	struct range_hold hold;

	if (!range_try(range, &hold, off, len, exclusive))
		return false;
	range_drop(range, &hold);
	return true;
}

static unsigned holders(struct range *range)
{
	unsigned n = 0;

	lock_take(&range->lock);
	list_for_each(link, &range->held)
		n++;
	lock_drop(&range->lock);
	return n;
}

static void await_holders(struct range *range, unsigned n)
{
	while (holders(range) != n)
		sched_yield();
}

static void overlaps(void **state)
{
	struct range range;
	struct range_hold a, b;

	(void)state;
	range_init(&range);
	range_take(&range, &a, 10, 10, SHARED);
	assert_true(is_free(&range, 10, 10, SHARED));
	assert_false(is_free(&range, 19, 1, EXCLUSIVE));
	assert_false(is_free(&range, 0, 11, EXCLUSIVE));
	assert_false(is_free(&range, 0, 100, EXCLUSIVE));
	assert_false(is_free(&range, 12, 2, EXCLUSIVE));
	assert_true(is_free(&range, 0, 10, EXCLUSIVE));
	assert_true(is_free(&range, 20, 10, EXCLUSIVE));
	range_take(&range, &b, 20, UINT64_MAX - 20, EXCLUSIVE);
	assert_false(is_free(&range, UINT64_MAX - 1, 1, SHARED));
	assert_true(is_free(&range, 10, 10, SHARED));
	range_drop(&range, &a);
	assert_true(is_free(&range, 0, 20, EXCLUSIVE));
	range_drop(&range, &b);
	assert_true(is_free(&range, 0, UINT64_MAX, EXCLUSIVE));
	range_release(&range);
}

static void nothing_holds_nothing(void **state)
{
	struct range range;
	struct range_hold none, all;

	(void)state;
	range_init(&range);
	range_take(&range, &none, 50, 0, EXCLUSIVE);
	range_take(&range, &all, 0, 100, EXCLUSIVE);
	assert_true(is_free(&range, 50, 0, EXCLUSIVE));
	range_drop(&range, &none);
	assert_false(range_drop(&range, &all));
	range_release(&range);
}

/* A thread that takes one range, notes its turn, and drops it. */
struct taker {
	struct range *range;
	uint64_t off, len;
	bool exclusive;
	atomic_uint *turns;
	unsigned turn;
	pthread_t thread;
};

static void taker_main(void *arg)
{
	struct taker *taker = arg;
	struct range_hold hold;

	range_take(taker->range, &hold, taker->off, taker->len,
		   taker->exclusive);
	taker->turn = atomic_fetch_add(taker->turns, 1);
	range_drop(taker->range, &hold);
}

/* Starts @taker and returns when it stands in the queue as number @n. */
static void taker_start(struct taker *taker, unsigned n)
{
	assert_int_equal(thread_start(&taker->thread, "taker", taker_main,
				      taker), 0);
	await_holders(taker->range, n);
}

static void first_come_first_served(void **state)
{
	enum { N = 8 };
	struct taker taker[N];
	struct range_hold all;
	struct range range;
	atomic_uint turns = 0;

	(void)state;
	range_init(&range);
	range_take(&range, &all, 0, 100, EXCLUSIVE);
	for (unsigned i = 0; i < N; i++) {
		taker[i] = (struct taker){
			.range = &range, .off = i, .len = N, .exclusive = true,
			.turns = &turns,
		};
		taker_start(&taker[i], i + 2);
	}
	assert_int_equal(atomic_load(&turns), 0);
	assert_true(range_drop(&range, &all));
	for (unsigned i = 0; i < N; i++) {
		thread_join(taker[i].thread);
		assert_int_equal(taker[i].turn, i);
	}
	range_release(&range);
}

/* A reader that comes after a waiting writer waits for it; one beside the
 * writer does not. */
static void readers_do_not_pass_a_writer(void **state)
{
	struct range_hold reader;
	struct range range;
	atomic_uint turns = 0;
	struct taker writer = {
		.range = &range, .off = 0, .len = 10, .exclusive = true,
		.turns = &turns,
	};
	struct taker late = {
		.range = &range, .off = 0, .len = 5, .turns = &turns,
	};

	(void)state;
	range_init(&range);
	range_take(&range, &reader, 5, 10, SHARED);
	taker_start(&writer, 2);
	taker_start(&late, 3);
	assert_false(is_free(&range, 9, 1, SHARED));
	assert_true(is_free(&range, 10, 5, SHARED));
	assert_int_equal(atomic_load(&turns), 0);
	range_drop(&range, &reader);
	thread_join(writer.thread);
	thread_join(late.thread);
	assert_int_equal(writer.turn, 0);
	assert_int_equal(late.turn, 1);
	range_release(&range);
}

/* Readers that always overlap each other, so that without order the range
 * would never be free. Ends only if the writer gets its turns. */
struct readers {
	struct range range;
	atomic_bool stop;
};

static void reader_main(void *arg)
{
	struct readers *r = arg;
	struct range_hold hold;

	while (!atomic_load(&r->stop)) {
		range_take(&r->range, &hold, 0, 100, SHARED);
		sched_yield();
		range_drop(&r->range, &hold);
	}
}

static void writer_is_not_starved(void **state)
{
	enum { N = 6, WRITES = 100 };
	struct readers r;
	struct range_hold hold;
	pthread_t thread[N];

	(void)state;
	range_init(&r.range);
	atomic_init(&r.stop, false);
	for (int i = 0; i < N; i++)
		assert_int_equal(thread_start(&thread[i], "reader",
					      reader_main, &r), 0);
	for (int i = 0; i < WRITES; i++) {
		range_take(&r.range, &hold, 50, 1, EXCLUSIVE);
		range_drop(&r.range, &hold);
	}
	atomic_store(&r.stop, true);
	for (int i = 0; i < N; i++)
		thread_join(thread[i]);
	range_release(&r.range);
}

/* A small world whose cells are plain memory: ThreadSanitizer would see two
 * threads in one cell, the test sees a writer that was not alone. */
#define WORLD 48
#define WALKERS 8
#define STEPS 600

struct world {
	struct range range;
	unsigned cell[WORLD];
	atomic_uint faults;
};

struct walker {
	struct world *world;
	unsigned id, seed;
	pthread_t thread;
};

static unsigned walker_random(struct walker *w, unsigned below)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % below;
}

static void walker_write(struct walker *w, unsigned off, unsigned len)
{
	unsigned *cell = w->world->cell + off;
	unsigned mark = w->id * STEPS + walker_random(w, STEPS);

	for (unsigned i = 0; i < len; i++)
		cell[i] = mark;
	sched_yield();
	for (unsigned i = 0; i < len; i++)
		if (cell[i] != mark)
			atomic_fetch_add(&w->world->faults, 1);
}

static void walker_read(struct walker *w, unsigned off, unsigned len)
{
	const unsigned *cell = w->world->cell + off;
	unsigned sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum += cell[i];
	sched_yield();
	for (unsigned i = 0; i < len; i++)
		sum -= cell[i];
	if (sum)
		atomic_fetch_add(&w->world->faults, 1);
}

static void walker_main(void *arg)
{
	struct walker *w = arg;
	struct range_hold hold;

	for (int i = 0; i < STEPS; i++) {
		unsigned off = walker_random(w, WORLD);
		unsigned len = walker_random(w, WORLD - off + 1);
		bool write = walker_random(w, 3) == 0;

		if (walker_random(w, 4))
			range_take(&w->world->range, &hold, off, len, write);
		else if (!range_try(&w->world->range, &hold, off, len, write))
			continue;
		if (write)
			walker_write(w, off, len);
		else
			walker_read(w, off, len);
		range_drop(&w->world->range, &hold);
	}
}

static void many_walkers_in_a_small_world(void **state)
{
	struct walker walker[WALKERS];
	struct world world = { .faults = 0 };

	(void)state;
	range_init(&world.range);
	for (unsigned i = 0; i < WALKERS; i++) {
		walker[i] = (struct walker){
			.world = &world, .id = i, .seed = i * 7919 + 1,
		};
		assert_int_equal(thread_start(&walker[i].thread, "walker",
					      walker_main, &walker[i]), 0);
	}
	for (unsigned i = 0; i < WALKERS; i++)
		thread_join(walker[i].thread);
	assert_int_equal(atomic_load(&world.faults), 0);
	assert_int_equal(holders(&world.range), 0);
	range_release(&world.range);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlaps),
		cmocka_unit_test(nothing_holds_nothing),
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(readers_do_not_pass_a_writer),
		cmocka_unit_test(writer_is_not_starved),
		cmocka_unit_test(many_walkers_in_a_small_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
