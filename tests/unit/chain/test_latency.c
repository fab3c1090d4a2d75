/* test_latency.c - each time is in one bin, and no bin is wide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/chain/latency.h"

static unsigned bin_of(uint64_t ns)
{
	struct latency l = { 0 };

	latency_add(&l, ns);
	for (unsigned i = 0; i < LATENCY_BINS; i++)
		if (l.bin[i])
			return i;
	fail_msg("%ju is nowhere", (uintmax_t)ns);
	return 0;
}

static void bins(void **state)
{
	(void)state;
	assert_int_equal(bin_of(0), 0);
	for (unsigned i = 0; i + 1 < LATENCY_BINS; i++) {
		uint64_t most = latency_most(i);

		assert_int_equal(bin_of(most), i);
		assert_int_equal(bin_of(most + 1), i + 1);
		if (i >= 4)
			assert_true(latency_most(i + 1) * 4 <= most * 5 + 5);
	}
	assert_int_equal(bin_of(UINT64_MAX), LATENCY_BINS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bins) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
