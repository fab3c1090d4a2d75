/* test_keep.c - clones that are kept, put back and taken away, on a host that
 * clones by copying: what is made durable, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/file/keep.h"
#include "engine/file/remove.h"
#include "engine/util/str.h"
#include "tests/unit/file_help.h"

#define CLONE "base" KEEP_SUFFIX

/* --- the host: what it was asked for, in order --- */

static struct str done = STR_INIT;
static int sync_rc;		/* of the next fsync() of a file */

static void note_done(const char *what, int fd)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	str_addf(&done, "%s %s%s, ", what, strrchr(path, '/') + 1,
		 access(path, F_OK) ? " (gone)" : "");
}

int ioctl(int fd, unsigned long request, ...)
{
	struct stat st;
	va_list more;
	int from;

	va_start(more, request);
	from = va_arg(more, int);
	va_end(more);
	if (request != FICLONE) {
		errno = ENOTTY;
		return -1;
	}
	note_done("clone to", fd);
	return fstat(from, &st) ||
	       sendfile(fd, from, NULL, (size_t)st.st_size) != st.st_size ?
		-1 : 0;
}

int fsync(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISDIR(st.st_mode))
		return 0;		/* the hook has noted it */
	note_done("sync", fd);
	if (sync_rc)
		errno = EIO;
	return sync_rc;
}

int fsetxattr(int fd, const char *name, const void *value, size_t size,
	      int flags)
{
	(void)name;
	(void)value;
	(void)size;
	(void)flags;
	note_done("note at", fd);
	return 0;
}

/* The folder, and which of the names are there then. */
static int note_folder(const struct file *f, enum file_op op, uint64_t off,
		       uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)len;
	(void)buf;
	if (op == FILE_OP_SYNC_DIR)
		str_addf(&done, "sync folder with%s%s, ",
			 access("base", F_OK) ? "" : " base",
			 access(CLONE, F_OK) ? "" : " clone");
	return 0;
}

static void assert_done(const char *want)
{
	assert_string_equal(str_get(&done), want);
	str_clear(&done);
}

/* --- the tests --- */

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static void assert_text(const char *path, const char *want)
{
	char text[64] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_string_equal(text, want);
}

static int keep_setup(void **state)
{
	(void)state;
	str_clear(&done);
	sync_rc = 0;
	file_set_hook(note_folder);
	write_text("base", "before");
	return 0;
}

static int keep_teardown(void **state)
{
	(void)state;
	file_set_hook(NULL);
	scratch_clear();
	return 0;
}

static void make(struct keep *k)
{
	struct err err = ERR_INIT;

	if (keep_make(k, "base", &err))
		fail_msg("%s", err.text);
}

/* Base is written next: what is in the clone has to be on disk, under its
 * name. */
static void a_clone_is_durable_before_base_is_written(void **state)
{
	struct keep k;

	(void)state;
	make(&k);
	assert_done("clone to " CLONE ", sync " CLONE
		    ", sync folder with base clone, ");
	write_text("base", "after");
	assert_text(CLONE, "before");
	keep_release(&k);
}

static void what_is_not_durable_is_not_kept(void **state)
{
	struct err err = ERR_INIT;
	struct keep k;

	(void)state;
	sync_rc = -1;
	assert_int_equal(keep_make(&k, "base", &err), -1);
	assert_non_null(strstr(err.text, "Could not keep"));
	assert_int_not_equal(access(CLONE, F_OK), 0);
}

static void a_note_is_durable(void **state)
{
	struct keep k;

	(void)state;
	make(&k);
	str_clear(&done);
	assert_int_equal(keep_note(&k, true, "x", 2), 0);
	assert_done("note at " CLONE ", sync " CLONE ", ");
	sync_rc = -1;
	assert_int_equal(keep_note(&k, true, "x", 2), -EIO);
	keep_release(&k);
}

static void what_is_put_back_is_durable(void **state)
{
	struct err err = ERR_INIT;
	struct keep k;

	(void)state;
	make(&k);
	write_text("base", "after");
	str_clear(&done);
	assert_int_equal(keep_restore(&k, &err), 0);
	assert_done("sync folder with base, ");
	assert_text("base", "before");
	keep_release(&k);
}

static void what_is_removed_is_gone_for_good(void **state)
{
	struct err err = ERR_INIT;
	struct removal *r;

	(void)state;
	assert_int_equal(removal_open(&r, "base", &err), 0);
	assert_int_equal(removal_lock(r, &err), 0);
	assert_int_equal(removal_do(r, &err), 0);
	assert_done("sync folder with, ");
	removal_close(r);
}

#define KEEP_TEST(f) cmocka_unit_test_setup_teardown(f, keep_setup, \
						      keep_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(a_clone_is_durable_before_base_is_written),
		KEEP_TEST(what_is_not_durable_is_not_kept),
		KEEP_TEST(a_note_is_durable),
		KEEP_TEST(what_is_put_back_is_durable),
		KEEP_TEST(what_is_removed_is_gone_for_good),
	};
	int rc = cmocka_run_group_tests(tests, scratch_enter, scratch_leave);

	str_release(&done);
	return rc;
}
