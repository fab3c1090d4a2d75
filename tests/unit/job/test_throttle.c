/* test_throttle.c - the bucket under a clock made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/job/throttle.h"
#include "engine/util/clock.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define PIECE_MIN (64 * KIB)
#define PIECE_MAX (2 * MIB)
#define START 12345678901ull

/* Bytes done from *now to @end by a job whose work takes no time. */
static uint64_t run(struct throttle *t, uint64_t *now, uint64_t end)
{
	uint64_t done = 0, piece;

	for (;;) {
		*now += throttle_delay(t, *now);
		if (*now >= end)
			return done;
		assert_int_equal(throttle_delay(t, *now), 0);
		piece = throttle_piece(t, PIECE_MIN, PIECE_MAX);
		throttle_charge(t, piece, *now);
		done += piece;
	}
}

static void assert_within(uint64_t got, uint64_t want, double part)
{
	assert_true((double)got >= (double)want * (1 - part));
	assert_true((double)got <= (double)want * (1 + part));
}

static void speed_is_kept(void **state)
{
	(void)state;
	for (uint64_t speed = MIB; speed <= GIB; speed *= 2) {
		uint64_t now = START;
		struct throttle t;

		throttle_init(&t, speed, now);
		assert_within(run(&t, &now, START + 2 * NS_PER_SEC), 2 * speed,
			      0.05);
	}
}

static void idle_time_is_not_saved_up(void **state)
{
	uint64_t now = START, done;
	struct throttle t;

	(void)state;
	throttle_init(&t, 100 * MIB, now);
	now += 3600 * NS_PER_SEC;
	done = run(&t, &now, now + 2 * NS_PER_SEC);
	assert_within(done, 200 * MIB, 0.05);
}

/* A sleep that lasts a little longer than asked for costs no speed. */
static void oversleeping_is_made_good(void **state)
{
	uint64_t now = START, done = 0;
	struct throttle t;

	(void)state;
	throttle_init(&t, 100 * MIB, now);
	while (now < START + 2 * NS_PER_SEC) {
		uint64_t piece = throttle_piece(&t, PIECE_MIN, PIECE_MAX);

		throttle_charge(&t, piece, now);
		done += piece;
		now += throttle_delay(&t, now) + 5 * NS_PER_MS;
	}
	assert_within(done, 200 * MIB, 0.05);
}

static void crawl_stands_still(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, 1, START);
	assert_int_equal(throttle_delay(&t, START), 0);
	throttle_charge(&t, 64 * KIB, START);
	assert_true(throttle_delay(&t, START) == 64 * KIB * NS_PER_SEC);
	throttle_charge(&t, UINT64_MAX, START);
	assert_true(throttle_delay(&t, START) == UINT64_MAX / 2);
}

static void crawl_to_unlimited(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, 1, START);
	throttle_charge(&t, 64 * KIB, START);
	throttle_set_speed(&t, 0, START);
	assert_int_equal(throttle_delay(&t, START), 0);
	throttle_charge(&t, GIB, START);
	assert_int_equal(throttle_delay(&t, START), 0);
	throttle_set_speed(&t, 1, START);
	assert_int_equal(throttle_delay(&t, START), 0);
}

static void crawl_to_run(void **state)
{
	struct throttle t;

	(void)state;
	throttle_init(&t, 1, START);
	throttle_charge(&t, 64 * KIB, START);
	throttle_set_speed(&t, 10 * MIB, START + NS_PER_MS);
	assert_true(throttle_delay(&t, START + NS_PER_MS) < 100 * NS_PER_MS);
}

static void run_to_crawl(void **state)
{
	struct throttle t;
	uint64_t before;

	(void)state;
	throttle_init(&t, GIB, START);
	throttle_charge(&t, 50 * MIB, START);
	before = throttle_delay(&t, START);
	assert_true(before > 48 * NS_PER_MS && before < 49 * NS_PER_MS);
	throttle_set_speed(&t, MIB, START);
	assert_within(throttle_delay(&t, START), before, 0.001);
}

static void time_going_back_is_no_time(void **state)
{
	struct throttle t;
	uint64_t delay;

	(void)state;
	throttle_init(&t, MIB, START);
	throttle_charge(&t, MIB, START);
	delay = throttle_delay(&t, START);
	throttle_charge(&t, 0, START - NS_PER_SEC);
	assert_true(throttle_delay(&t, START - NS_PER_SEC) == delay);
	assert_true(throttle_delay(&t, START) == delay);
}

static void pieces(void **state)
{
	static const struct {
		uint64_t speed, piece;
	} rows[] = {
		{ 0, PIECE_MAX }, { 1, PIECE_MIN }, { MIB, PIECE_MIN },
		{ 10 * MIB, 512 * KIB }, { 11 * MIB, 512 * KIB },
		{ 40 * MIB, PIECE_MAX }, { GIB, PIECE_MAX },
		{ UINT64_MAX, PIECE_MAX },
	};
	struct throttle t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		throttle_init(&t, rows[i].speed, START);
		assert_int_equal(throttle_piece(&t, PIECE_MIN, PIECE_MAX),
				 rows[i].piece);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speed_is_kept),
		cmocka_unit_test(idle_time_is_not_saved_up),
		cmocka_unit_test(oversleeping_is_made_good),
		cmocka_unit_test(crawl_stands_still),
		cmocka_unit_test(crawl_to_unlimited),
		cmocka_unit_test(crawl_to_run),
		cmocka_unit_test(run_to_crawl),
		cmocka_unit_test(time_going_back_is_no_time),
		cmocka_unit_test(pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
