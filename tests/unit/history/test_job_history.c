/* test_job_history.c - lines of jobs: none torn, none lost, none twice, and
 * nothing written over that is not ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/history/job_history.h"

#define WRITERS 4
#define LINES 50
/* So many of those make the file full some times. */
#define LONG (100u << 10)

static char dir[64], path[128], old[160];

static int folder_enter(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/blkmon-history-XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("XDG_STATE_HOME", dir, 1);
	snprintf(path, sizeof(path), "%s/blkmon/jobs.jsonl", dir);
	snprintf(old, sizeof(old), "%s.1", path);
	return 0;
}

static int folder_leave(void **state)
{
	char folder[128];

	(void)state;
	unlink(path);
	unlink(old);
	snprintf(folder, sizeof(folder), "%s/blkmon", dir);
	rmdir(folder);
	return rmdir(dir);
}

static int add(int writer, int n, size_t length)
{
	char *text = calloc(1, length + 1);
	struct err err = ERR_INIT;
	json_t *entry;
	int rc;

	memset(text, 'x', length);
	entry = json_pack("{s:i, s:i, s:s}", "writer", writer, "n", n,
			  "text", text);
	rc = job_history_add(entry, &err);
	json_decref(entry);
	free(text);
	return rc;
}

static json_t *all(void)
{
	struct err err = ERR_INIT;
	json_t *list = job_history_read(1000000, &err);

	assert_non_null(list);
	return list;
}

static int number(const json_t *list, size_t i)
{
	return (int)json_integer_value(json_object_get(
		json_array_get(list, i), "n"));
}

static void the_newest_come_first(void **state)
{
	struct err err = ERR_INIT;
	struct stat st;
	json_t *list;

	(void)state;
	list = all();
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	for (int i = 0; i < 5; i++)
		assert_int_equal(add(0, i, 3), 0);
	list = job_history_read(2, &err);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(number(list, 0), 4);
	assert_int_equal(number(list, 1), 3);
	json_decref(list);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(old, sizeof(old), "%s/blkmon", dir);
	assert_int_equal(stat(old, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* Of each writer the lines that are left are its last, in order, each once;
 * and a full file was moved away, more than once. */
static void check_all(void)
{
	int next[WRITERS];
	json_t *list = all();
	size_t left = 0;

	for (int w = 0; w < WRITERS; w++)
		next[w] = LINES - 1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *entry = json_array_get(list, i);
		int w = (int)json_integer_value(json_object_get(entry,
								"writer"));

		assert_int_equal(number(list, i), next[w]--);
		assert_int_equal(strlen(json_string_value(json_object_get(
					entry, "text"))), LONG);
		left++;
	}
	json_decref(list);
	assert_true(left * LONG > JOB_HISTORY_BYTES / 2);
	assert_true(left < WRITERS * LINES);
}

static void many_writers_tear_nothing(void **state)
{
	struct stat st;

	(void)state;
	for (int w = 0; w < WRITERS; w++)
		if (!fork()) {
			int rc = 0;

			for (int i = 0; i < LINES; i++)
				rc |= add(w, i, LONG);
			_exit(rc ? 1 : 0);
		}
	for (int w = 0, status; w < WRITERS; w++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	check_all();
	assert_int_equal(stat(path, &st), 0);
	assert_true((size_t)st.st_size < JOB_HISTORY_BYTES);
	assert_int_equal(stat(old, &st), 0);
	assert_true((size_t)st.st_size < JOB_HISTORY_BYTES);
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A crash, or another hand, left half a line. */
static void what_is_torn_is_passed_over(void **state)
{
	json_t *list;

	(void)state;
	assert_int_equal(add(0, 1, 3), 0);
	put(path, "{\"n\": 2, \"te");
	list = all();
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	assert_int_equal(add(0, 3, 3), 0);
	put(path, "no JSON\n\n[]\n");
	assert_int_equal(add(0, 4, 3), 0);
	list = all();
	assert_int_equal(json_array_size(list), 3);
	assert_int_equal(number(list, 0), 4);
	assert_int_equal(number(list, 1), 3);
	assert_int_equal(number(list, 2), 1);
	json_decref(list);
}

/* The disk is full in the middle of a line: it is taken back. */
static void half_a_line_is_taken_back(void **state)
{
	struct rlimit before, few = { 0 };
	struct stat st;
	off_t size;

	(void)state;
	assert_int_equal(add(0, 1, 100), 0);
	assert_int_equal(stat(path, &st), 0);
	size = st.st_size;
	getrlimit(RLIMIT_FSIZE, &before);
	few = before;
	few.rlim_cur = (rlim_t)size + 20;
	setrlimit(RLIMIT_FSIZE, &few);
	assert_int_equal(add(0, 2, 100), -1);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(add(0, 3, 100), 0);
}

/* Who holds the lock for ever holds nobody up. */
static void a_lock_that_is_kept_is_no_reason(void **state)
{
	json_t *list;
	int fd;

	(void)state;
	assert_int_equal(add(0, 1, 3), 0);
	fd = open(path, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(add(0, 2, 3), 0);
	close(fd);
	list = all();
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
}

/* A link, a FIFO, a folder, a file of somebody else: refused, and as before. */
static void what_is_not_ours_is_left_alone(void **state)
{
	char target[128];
	struct stat st;

	(void)state;
	assert_int_equal(add(0, 1, 3), 0);
	unlink(path);
	snprintf(target, sizeof(target), "%s/disk", dir);
	put(target, "data");
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(add(0, 2, 3), -1);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(add(0, 3, 3), -1);
	unlink(path);
	assert_int_equal(link(target, path), 0);
	assert_int_equal(add(0, 4, 3), -1);
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 4);
	unlink(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_come_first,
						folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(many_writers_tear_nothing,
						folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(what_is_torn_is_passed_over,
						folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(half_a_line_is_taken_back,
						folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_lock_that_is_kept_is_no_reason, folder_enter,
			folder_leave),
		cmocka_unit_test_setup_teardown(what_is_not_ours_is_left_alone,
						folder_enter, folder_leave),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
