/* test_progress.c - the row of progress at any width, and its numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "src/console/progress.h"

#define M (1ull << 20)

static void row_is(unsigned columns, uint64_t rate, const char *want)
{
	struct str out = STR_INIT;

	progress_text(&out, "commit web", 23 * M, 44 * M, rate, columns, true);
	assert_string_equal(str_get(&out), want);
	assert_true(out.len <= columns);
	str_release(&out);
}

static void what_does_not_fit_goes(void **state)
{
	(void)state;
	row_is(100, 20 * M, "commit web  ###############---------------  52%  "
	       "23.0M of 44.0M  20.0M/s  0:02");
	row_is(60, 20 * M, "commit web  ######------  52%  23.0M of 44.0M  "
	       "20.0M/s  0:02");
	row_is(50, 20 * M, "commit web    52%  23.0M of 44.0M  20.0M/s  0:02");
	row_is(40, 20 * M, "  52%  23.0M of 44.0M  20.0M/s  0:02");
	row_is(30, 20 * M, "commit web  #########---------");
	row_is(5, 20 * M, "##---");
	row_is(1, 20 * M, "");
	row_is(40, 0, "commit web  ###----  52%  23.0M of 44.0M");
}

static void at_every_width_it_fits(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	for (unsigned w = 0; w < 200; w++) {
		str_clear(&out);
		progress_text(&out, "commit web", UINT64_MAX, 1, UINT64_MAX, w,
			      true);
		assert_true(out.len <= w);
		str_clear(&out);
		progress_text(&out, "", 0, 0, 0, w, true);
		assert_true(out.len <= w);
	}
	str_release(&out);
}

/* The total is not known at first; each percent once; all of it at the end. */
static void numbers_end_with_all(void **state)
{
	struct progress p;
	char text[256] = "";
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	progress_init(&p, fd[1], fd[1]);
	assert_int_equal(p.row_fd, -1);
	progress_show(&p, "x", 0, 0, false);
	progress_show(&p, "x", 0, 1000, false);
	progress_show(&p, "x", 1, 1000, false);
	progress_show(&p, "x", 500, 1000, false);
	progress_show(&p, "x", 501, 1000, false);
	progress_done(&p);
	progress_done(&p);
	progress_end(&p);
	progress_done(&p);
	progress_show(&p, "y", 0, 0, true);
	assert_true(read(fd[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "0 1000\n500 1000\n1000 1000\n0 0\n");
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit_goes),
		cmocka_unit_test(at_every_width_it_fits),
		cmocka_unit_test(numbers_end_with_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
