/* test_forecast.c - space: what fits, what is refused, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/forecast/forecast.h"
#include "engine/util/mem.h"
#include "tests/unit/scratch.h"

static struct jobs jobs;

static void begin(void)
{
	jobs_init(&jobs, NULL, NULL, NULL);
}

/* To the byte, and with what jobs have reserved. */
static void test_fits(void **state)
{
	struct forecast f = { .kind = "stream" };
	struct err err = ERR_INIT;

	(void)state;
	f.space.folder = mem_dup("/images");
	f.space.needs = 1 << 20;
	f.space.has = 1 << 20;
	assert_int_equal(forecast_check_space(&f, &err), 0);
	f.space.reserved = 1;
	assert_int_equal(forecast_check_space(&f, &err), -1);
	assert_string_equal(err.text, "The stream needs 1.00M, /images has "
			    "1.00M, and running jobs need 1 (x-blkmon-force, "
			    "-f or --force: do it all the same)");
	f.space.reserved = 2 << 20;
	assert_int_equal(forecast_check_space(&f, &err), -1);
	f.space.needs = 0;
	assert_int_equal(forecast_check_space(&f, &err), 0);
	f.space.needs = UINT64_MAX - 1;
	f.space.has = UINT64_MAX;
	assert_int_equal(forecast_check_space(&f, &err), 0);
	forecast_release(&f);
	assert_null(f.space.folder);
}

/* No rate, no time; with one it is bounded by the speed that is asked for. */
static void test_time(void **state)
{
	struct forecast f = { .kind = "commit" };

	(void)state;
	begin();
	assert_int_equal(forecast_space_at(&f, &jobs, "x"), 0);
	assert_true(f.space.has > 0 && f.space.has != UINT64_MAX);
	assert_int_equal(f.space.folder[0], '/');
	forecast_release(&f);
	jobs_release(&jobs);
}

static void test_rate(void **state)
{
	struct forecast f = { .kind = "commit" };
	struct err err = ERR_INIT;
	struct file *file;

	(void)state;
	begin();
	assert_int_equal(file_open_memory(&file, 4096, &err), 0);
	f.bytes.copied = 90 << 20;
	f.bytes.overwritten = 10 << 20;
	assert_int_equal(forecast_space(&f, &jobs, file, 0), 0);
	assert_false(f.rated);
	jobs.moved = 20 << 20;
	jobs.moved_ns = 2000000000;
	assert_int_equal(forecast_space(&f, &jobs, file, 0), 0);
	assert_true(f.rated);
	assert_int_equal(f.seconds, 10);
	assert_int_equal(forecast_space(&f, &jobs, file, 5 << 20), 0);
	assert_int_equal(f.seconds, 20);
	assert_int_equal(f.space.reserved, 0);
	file_close(file);
	forecast_release(&f);
	jobs_release(&jobs);
}

/* In front and behind, and nothing is lost when it grows. */
static void test_lists(void **state)
{
	struct forecast f = { .kind = "commit" };
	char name[8];

	(void)state;
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(forecast_add(&f.after, NULL, name, NULL,
					      i % 2), 0);
		assert_int_equal(forecast_add_name(&f.jobs, name), 0);
	}
	assert_int_equal(f.after.count, 40);
	assert_string_equal(f.after.file[0].path, "39");
	assert_string_equal(f.after.file[19].path, "1");
	assert_string_equal(f.after.file[20].path, "0");
	assert_string_equal(f.after.file[39].path, "38");
	assert_string_equal(f.jobs.name[39], "39");
	forecast_release(&f);
	assert_int_equal(f.after.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),
		cmocka_unit_test_setup_teardown(test_time, scratch_enter,
						scratch_leave),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
