/* test_mark.c - notes at files: whose they are, and when they are void. */
#include "tests/unit/file_help.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "engine/file/mark.h"

#define NAME "user.blkmon"

static void skip_where_there_are_none(void)
{
	struct file *f = create("probe", FILE_CACHE_WRITEBACK);
	int rc = fsetxattr(f->fd, NAME, "x", 1, 0);

	file_close(f);
	scratch_clear();
	if (rc)
		skip();
}

static enum mark_kind kind_of(const struct file *f)
{
	struct mark m;

	mark_get(f, &m);
	return m.kind;
}

static void stays_until_it_is_taken_away(void **state)
{
	struct file *top, *base;
	struct mark m;
	char *path;

	(void)state;
	skip_where_there_are_none();
	top = create("top\nof it", FILE_CACHE_WRITEBACK);
	base = create("base", FILE_CACHE_WRITEBACK);
	path = realpath("top\nof it", NULL);
	assert_int_equal(kind_of(base), MARK_NONE);
	mark_set(base, MARK_COMMITTING, top->path);
	assert_int_equal(file_write(base, 0, "abc", 3), 0);
	file_close(base);
	base = open_file("base", false, FILE_CACHE_WRITEBACK);
	mark_get(base, &m);
	assert_int_equal(m.kind, MARK_COMMITTING);
	assert_string_equal(m.other, path);
	assert_true(m.since > 1000000000);
	mark_clear(base);
	assert_int_equal(kind_of(base), MARK_NONE);
	file_close(base);
	file_close(top);
	free(path);
}

static void merged_ends_with_a_write(void **state)
{
	struct file *f;

	(void)state;
	skip_where_there_are_none();
	f = create("a", FILE_CACHE_WRITEBACK);
	assert_int_equal(file_write(f, 0, "abc", 3), 0);
	mark_set(f, MARK_MERGED, ".");
	assert_int_equal(kind_of(f), MARK_MERGED);
	/* The host's clock for files may stand still for some ms. */
	assert_int_equal(utimensat(AT_FDCWD, "a", (const struct timespec[2]){
		{ .tv_nsec = UTIME_OMIT }, { .tv_sec = 1 } }, 0), 0);
	assert_int_equal(kind_of(f), MARK_NONE);
	mark_set(f, MARK_COMMITTING, ".");
	assert_int_equal(kind_of(f), MARK_COMMITTING);
	file_close(f);
}

static void write_note(const struct file *f, const char *text)
{
	assert_int_equal(fsetxattr(f->fd, NAME, text, strlen(text), 0), 0);
}

static void is_of_one_file(void **state)
{
	static const char *const garbage[] = {
		"", "1", "1 1 2 3 4", "2 1 2 3 4 /x", "1 1 -1 0 0 /x",
		"1 1 99999999999999999999999999 0 0 /x", "%n%n%n%n",
	};
	struct file *a, *b;
	char text[5000];
	ssize_t n;

	(void)state;
	skip_where_there_are_none();
	a = create("a", FILE_CACHE_WRITEBACK);
	b = create("b", FILE_CACHE_WRITEBACK);
	mark_set(a, MARK_COMMITTING, "b");
	n = fgetxattr(a->fd, NAME, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	write_note(b, text);
	assert_int_equal(kind_of(b), MARK_NONE);
	assert_int_equal(kind_of(a), MARK_COMMITTING);
	/* What it leads to must be there, and have a whole name. */
	mark_clear(a);
	mark_set(a, MARK_COMMITTING, "gone");
	assert_int_equal(kind_of(a), MARK_NONE);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		write_note(a, garbage[i]);
		assert_int_equal(kind_of(a), MARK_NONE);
	}
	snprintf(text, sizeof(text), "1 1 %ju 0 0 /%04000d",
		 (uintmax_t)a->ino, 0);
	write_note(a, text);
	assert_int_equal(kind_of(a), MARK_COMMITTING);
	snprintf(text, sizeof(text), "1 1 %ju 0 0 /%04200d",
		 (uintmax_t)a->ino, 0);
	assert_true(fsetxattr(a->fd, NAME, text, strlen(text), 0) ||
		    kind_of(a) == MARK_NONE);
	file_close(a);
	file_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_until_it_is_taken_away),
		cmocka_unit_test(merged_ends_with_a_write),
		cmocka_unit_test(is_of_one_file),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
