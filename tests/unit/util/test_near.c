/* test_near.c - which word was meant, and when none was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/util/near.h"

static const char *nearest(const char *word)
{
	static const char *const words[] = {
		"block_commit", "block_stream", "block_job_cancel", "commit",
		"cont", "c", "help", "info", "q", "quit", "wait",
	};
	static struct near n;

	near_init(&n, word, strlen(word));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		near_try(&n, words[i]);
	return near_found(&n);
}

static void slips_are_seen_through(void **state)
{
	(void)state;
	assert_string_equal(nearest("blok_commit"), "block_commit");
	assert_string_equal(nearest("block-comit"), "block_commit");
	assert_string_equal(nearest("BLOCK_STREM"), "block_stream");
	assert_string_equal(nearest("comimt"), "commit");
	assert_string_equal(nearest("hlep"), "help");
	assert_string_equal(nearest("qui"), "quit");
	assert_string_equal(nearest("waitt"), "wait");
}

static void other_words_are_not(void **state)
{
	char word[100];

	(void)state;
	assert_null(nearest("savevm"));
	assert_null(nearest("x"));
	assert_null(nearest("qq"));
	assert_null(nearest(""));
	memset(word, 'b', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(nearest(word));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slips_are_seen_through),
		cmocka_unit_test(other_words_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
