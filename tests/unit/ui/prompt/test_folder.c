/* test_folder.c - names of files for the prompt: what is offered, and that
 * nobody waits for a folder that does not answer.
 */
#include "tests/unit/ui/ui.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ui/prompt/folder.h"

static int gate = -1;		/* opendir() waits until it can be read */

/* In place of the C library's. */
DIR *opendir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	eventfd_t count;

	if (gate >= 0)
		eventfd_read(gate, &count);
	return fd < 0 ? NULL : fdopendir(fd);
}

static char top[] = "folder-XXXXXX";

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	return chdir(tmp ? tmp : "/tmp") || !mkdtemp(top) || chdir(top) ||
		mkdir("base.d", 0700);
}

static int tear_down(void **state)
{
	(void)state;
	return system("rm -rf \"$PWD\"");
}

static void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t count;

	assert_int_equal(poll(&p, 1, -1), 1);
	eventfd_read(fd, &count);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, with blanks between them. */
static void assert_names(const char *part, const char *want)
{
	int fd = eventfd(0, 0);
	struct folder *f = folder_read(part, fd);
	char got[256] = "", *sorted[8];
	char *const *list;
	size_t n;

	await(fd);
	assert_true(folder_is_read(f));
	n = folder_names(f, &list);
	assert_true(n <= 8);
	memcpy(sorted, list, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (size_t i = 0; i < n; i++) {
		strcat(got, i ? " " : "");
		strcat(got, sorted[i]);
	}
	assert_string_equal(got, want);
	folder_put(f);
	close(fd);
}

static void names(void **state)
{
	(void)state;
	make("base");
	make("base.d/inner");
	make(".hidden");
	assert_names("bas", "base base.d/");
	assert_names("base.d/", "base.d/inner");
	assert_names("./base.", "./base.d/");
	assert_names("./.h", "./.hidden");
	assert_names("x", "");
	assert_names("nosuch/x", "");
}

static void bounded(void **state)
{
	int fd = eventfd(0, 0);
	struct folder *f;
	char *const *list;
	char name[32];

	(void)state;
	for (int i = 0; i < FOLDER_NAMES + 10; i++) {
		snprintf(name, sizeof(name), "base.d/many%d", i);
		make(name);
	}
	f = folder_read("base.d/many", fd);
	await(fd);
	assert_true(folder_is_read(f));
	assert_int_equal(folder_names(f, &list), FOLDER_NAMES);
	folder_put(f);
	close(fd);
}

/* It answers when the asker has gone, and all is freed in the end. */
static void nobody_waits(void **state)
{
	int fd = eventfd(0, 0);
	struct folder *f;

	(void)state;
	gate = eventfd(0, 0);
	f = folder_read("bas", fd);
	assert_non_null(f);
	assert_false(folder_is_read(f));
	assert_string_equal(folder_part(f), "bas");
	folder_put(f);
	eventfd_write(gate, 1);
	await(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(bounded),
		cmocka_unit_test(nobody_waits),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
