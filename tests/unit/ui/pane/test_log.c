/* test_log.c - the bounded scrollback. */
#include "tests/unit/ui/ui.h"

#include "ui/pane/log.h"

static struct log book;

static int fresh(void **state)
{
	(void)state;
	log_init(&book);
	return 0;
}

static int done(void **state)
{
	(void)state;
	log_release(&book);
	return 0;
}

static const char *text_at(uint64_t number)
{
	const struct log_line *line = log_line(&book, number);

	return line ? line->text : NULL;
}

static void keeps_lines(void **state)
{
	(void)state;
	log_add(&book, 1, LOG_EVENT, "one\n");
	log_add(&book, 2, LOG_OUTPUT, "two");
	assert_string_equal(text_at(0), "one");
	assert_string_equal(text_at(1), "two");
	assert_null(text_at(2));
	assert_int_equal(log_end(&book), 2);
}

static void forgets_the_oldest(void **state)
{
	char text[16];

	(void)state;
	book.max_lines = 3;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		log_add(&book, 0, LOG_OUTPUT, text);
	}
	assert_int_equal(book.n, 3);
	assert_null(text_at(996));
	assert_string_equal(text_at(997), "997");
	assert_string_equal(text_at(999), "999");
	assert_true(book.cap <= 3);
}

static void is_bounded_in_bytes(void **state)
{
	char text[100];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[99] = '\0';
	book.max_bytes = 350;
	for (int i = 0; i < 10; i++)
		log_add(&book, 0, LOG_OUTPUT, text);
	assert_int_equal(book.n, 3);
	assert_true(book.bytes <= 350);
}

static void filters_and_seeks(void **state)
{
	uint64_t at = 0;

	(void)state;
	log_add(&book, 0, LOG_COMMAND, "(blkmon) info block");
	log_add(&book, 0, LOG_EVENT, "job is done");
	log_add(&book, 0, LOG_OUTPUT, "Disk0");
	log_add(&book, 0, LOG_FAILURE, "job failed");
	assert_true(log_seek(&book, &at, 1, "disk0"));
	assert_int_equal(at, 2);
	book.filter = LOG_EVENTS;
	at = 0;
	assert_true(log_seek(&book, &at, 1, NULL));
	assert_int_equal(at, 1);
	at = 2;
	assert_true(log_seek(&book, &at, 1, NULL));
	assert_int_equal(at, 3);
	assert_false(log_seek(&book, &at, 1, "disk0"));
	assert_int_equal(at, 3);
	book.filter = LOG_CONSOLE;
	assert_true(log_seek(&book, &at, -1, NULL));
	assert_int_equal(at, 2);
}

static void writes_json(void **state)
{
	char text[256] = "";

	(void)state;
	book.file = fmemopen(text, sizeof(text), "w");
	log_add(&book, 5, LOG_EVENT, "a \"b\"");
	assert_string_equal(text, "{\"time_us\":5,\"kind\":\"event\","
			    "\"text\":\"a \\\"b\\\"\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)
		TEST(keeps_lines),
		TEST(forgets_the_oldest),
		TEST(is_bounded_in_bytes),
		TEST(filters_and_seeks),
		TEST(writes_json),
	};

	return cmocka_run_group_tests(tests, utf8, NULL);
}
