/* test_file.c - host files: what is opened and created, and how the access to
 * it is changed. The data path is in test_file_io.c. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/util/mem.h"
#include "tests/unit/file_fault.h"
#include "tests/unit/file_help.h"

static void open_fails(const char *path, bool writable, const char *text)
{
	struct file_options o = { .path = path, .writable = writable };
	struct err err = ERR_INIT;
	struct file *f = NULL;

	assert_int_equal(file_open(&f, &o, &err), -1);
	assert_null(f);
	assert_string_equal(err.text, text);
	assert_int_equal(err.class, ERR_GENERIC);
}

/* For the superuser too; in a container all of /sys is. */
static void read_only_for_all(void)
{
	const char *path = "/sys/kernel/uevent_seqnum";
	bool whole = access(path, W_OK) && errno == EROFS;

	if (!access(path, F_OK))
		open_fails(path, true, whole ? "Could not open "
			   "'/sys/kernel/uevent_seqnum': Read-only file system"
			   : "Could not open "
			   "'/sys/kernel/uevent_seqnum': Permission denied");
}

static void what_cannot_be_opened(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(bind(s, (void *)&sun, sizeof(sun)), 0);
	assert_int_equal(symlink("fifo", "link"), 0);
	open_fails("fifo", false, "Could not open 'fifo': not a regular file "
		   "or block device (it is a FIFO)");
	open_fails("link", true, "Could not open 'link': not a regular file "
		   "or block device (it is a FIFO)");
	open_fails("dir", true, "Could not open 'dir': not a regular file "
		   "or block device (it is a directory)");
	open_fails("sock", false, "Could not open 'sock': not a regular file "
		   "or block device (it is a socket)");
	open_fails("/dev/null", true, "Could not open '/dev/null': not a "
		   "regular file or block device (it is a character device)");
	open_fails("none", false,
		   "Could not open 'none': No such file or directory");
	read_only_for_all();
	close(s);
	scratch_clear();
}

static void what_is_created(void **state)
{
	struct err err = ERR_INIT;
	struct file *f, *g;
	struct stat st;

	(void)state;
	umask(027);
	assert_int_equal(file_create(&f, "new", 0664, false,
				     FILE_CACHE_WRITEBACK, &err), 0);
	assert_int_equal(stat("new", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(f->mode, st.st_mode);
	assert_int_equal(f->size, 0);
	assert_true(f->writable && f->role == LOCKS_WRITE);

	assert_int_equal(file_create(&g, "new", 0600, false,
				     FILE_CACHE_WRITEBACK, &err), -1);
	assert_string_equal(err.text, "Could not create 'new': File exists");
	/* empty, but somebody is at it */
	assert_int_equal(file_create(&g, "new", 0600, true,
				     FILE_CACHE_WRITEBACK, &err), -1);
	assert_string_equal(err.text, "Failed to get \"write\" lock\n"
			    "Is another process using the image [new]?");
	file_close(f);
	assert_int_equal(file_create(&f, "new", 0600, true,
				     FILE_CACHE_WRITEBACK, &err), 0);
	assert_int_equal(file_write(f, 0, "x", 1), 0);
	file_close(f);
	assert_int_equal(file_create(&f, "new", 0600, true,
				     FILE_CACHE_WRITEBACK, &err), -1);
	assert_string_equal(err.text, "Could not create 'new': File exists");
	assert_int_equal(size_on_disk("new"), 1);

	assert_int_equal(symlink("gone", "link"), 0);
	assert_int_equal(file_create(&f, "link", 0600, true,
				     FILE_CACHE_WRITEBACK, &err), -1);
	assert_int_equal(access("gone", F_OK), -1);
	assert_int_equal(file_create(&f, "no/where", 0600, false,
				     FILE_CACHE_WRITEBACK, &err), -1);
	assert_string_equal(err.text, "Could not create 'no/where': "
			    "No such file or directory");
	scratch_clear();
}

static void identity(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK), *g, *h;

	(void)state;
	file_close(f);
	assert_int_equal(link("a", "hard"), 0);
	assert_int_equal(symlink("a", "soft"), 0);
	f = open_file("a", false, FILE_CACHE_WRITEBACK);
	g = open_file("hard", false, FILE_CACHE_WRITEBACK);
	h = open_file("soft", false, FILE_CACHE_WRITEBACK);
	assert_true(file_is_same(f, g) && file_is_same(f, h));
	file_close(g);
	g = create("b", FILE_CACHE_WRITEBACK);
	assert_false(file_is_same(f, g));
	file_close(f);
	file_close(g);
	file_close(h);
	file_close(NULL);
	assert_int_equal(file_sync_dir("a"), 0);
	assert_int_equal(file_sync_dir("/a"), 0);
	assert_int_equal(file_sync_dir("no/a"), -ENOENT);
	scratch_clear();
}

static void direct_refused(void **state)
{
	struct file_options o = {
		.path = "/proc/version", .cache = FILE_CACHE_NONE,
	};
	struct err err = ERR_INIT;
	struct file *f = NULL;

	(void)state;
	assert_int_equal(file_open(&f, &o, &err), -1);
	assert_string_equal(err.text, "Could not open '/proc/version': its "
			    "file system does not support O_DIRECT "
			    "(cache=none)");
}

static void access_is_changed_in_place(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK), *g;
	struct err err = ERR_INIT;
	int fd;

	(void)state;
	assert_int_equal(file_write(f, 0, "abc", 3), 0);
	file_close(f);
	f = open_file("a", false, FILE_CACHE_WRITEBACK);
	fd = f->fd;
	assert_int_equal(rename("a", "b"), 0);	/* the name means nothing */
	assert_int_equal(file_write(f, 0, "x", 1), -EBADF);
	assert_int_equal(file_set_writable(f, true, LOCKS_WRITE, &err), 0);
	assert_true(f->writable && f->role == LOCKS_WRITE && f->fd == fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(file_write(f, 0, "x", 1), 0);
	assert_int_equal(file_set_writable(f, true, LOCKS_WRITE, &err), 0);
	assert_int_equal(file_set_writable(f, false, LOCKS_READ, &err), 0);
	assert_int_equal(file_write(f, 0, "y", 1), -EBADF);
	assert_reads(f, 0, "xbc", 3);

	g = open_file("b", false, FILE_CACHE_WRITEBACK);
	assert_int_equal(file_set_writable(f, true, LOCKS_WRITE, &err), -1);
	assert_string_equal(err.text, "Failed to get \"write\" lock\n"
			    "Is another process using the image [a]?");
	assert_true(!f->writable && f->role == LOCKS_READ && f->fd == fd);
	assert_int_equal(file_write(f, 0, "y", 1), -EBADF);
	/* both hold what they held: neither can write while the other reads */
	assert_int_equal(file_set_writable(g, true, LOCKS_WRITE, &err), -1);
	file_close(f);
	assert_int_equal(file_set_writable(g, true, LOCKS_WRITE, &err), 0);
	assert_int_equal(file_set_writable(g, true, LOCKS_NONE, &err), 0);
	f = open_file("b", true, FILE_CACHE_WRITEBACK);
	file_close(f);
	file_close(g);
	scratch_clear();
}

static _Atomic bool stop;

static void reader_main(void *arg)
{
	char c;

	while (!stop) {
		assert_int_equal(file_read(arg, 0, &c, 1), 0);
		assert_int_equal(c, 'a');
		assert_int_equal(file_flush(arg), 0);
	}
}

static void access_changes_beside_requests(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	struct err err = ERR_INIT;
	pthread_t thread;

	(void)state;
	assert_int_equal(file_write(f, 0, "a", 1), 0);
	stop = false;
	assert_int_equal(thread_start(&thread, "reader", reader_main, f), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(file_set_writable(f, i % 2, i % 2 ?
						   LOCKS_WRITE : LOCKS_READ,
						   &err), 0);
	stop = true;
	thread_join(thread);
	file_close(f);
	scratch_clear();
}

/* The old description may be the only one that learns of a failed write-back,
 * so it is flushed before it goes. */
static void access_change_keeps_failure(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	struct err err = ERR_INIT;

	(void)state;
	file_fail(FILE_OP_FLUSH);
	assert_int_equal(file_set_writable(f, false, LOCKS_READ, &err), 0);
	file_set_hook(NULL);
	assert_int_equal(file_flush(f), -EIO);
	file_close(f);
	scratch_clear();
}

/* A loop device over file "disk", or -1 where that is not to be had. */
static int loop_attach(char *name, size_t len)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int disk = open("disk", O_RDWR | O_CLOEXEC), loop = -1;

	if (control >= 0)
		close(control);
	snprintf(name, len, "/dev/loop%d", number);
	if (number >= 0)
		loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_SET_FD, disk)) {
		close(loop);
		loop = -1;
	}
	close(disk);
	return loop;
}

static void block_device(void **state)
{
	enum { SIZE = 1 << 20 };
	struct file *f = create("disk", FILE_CACHE_WRITEBACK);
	uint8_t *want = mem_alloc(SIZE);
	char name[32];
	int loop;

	(void)state;
	assert_int_equal(file_truncate(f, SIZE), 0);
	file_close(f);
	loop = loop_attach(name, sizeof(name));
	if (loop < 0) {
		free(want);
		scratch_clear();
		skip();
	}
	for (int direct = 0; direct < 2; direct++) {
		f = open_file(name, true, direct ? FILE_CACHE_NONE
						 : FILE_CACHE_WRITEBACK);
		assert_true(f->block_device && f->ino == 0);
		assert_int_equal(f->size, SIZE);
		assert_int_equal(file_disk_bytes(f), SIZE);
		fill(want, SIZE, 5);
		assert_int_equal(file_write(f, 0, want, SIZE), 0);
		assert_int_equal(file_zero(f, 4096, 8192), 0);
		memset(want + 4096, 0, 8192);
		assert_int_equal(file_zero(f, 20000, 1001), 0);
		memset(want + 20000, 0, 1001);
		assert_int_equal(file_write(f, SIZE - 3, "end", 3), 0);
		memcpy(want + SIZE - 3, "end", 3);
		assert_reads(f, 0, want, SIZE);
		assert_int_equal(file_discard(f, 65536, 65536), 0);
		memset(want + 65536, 0, 65536);
		assert_reads(f, 0, want, SIZE);
		assert_extent(f, 0, SIZE, true, SIZE);
		assert_int_equal(file_write(f, SIZE, "x", 1), -ENOSPC);
		assert_int_equal(file_clone(f, 0, f, 4096, 4096), -EOPNOTSUPP);
		assert_int_equal(file_flush(f), 0);
		file_close(f);
	}
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
	free(want);
	scratch_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_opened),
		cmocka_unit_test(what_is_created),
		cmocka_unit_test(identity),
		cmocka_unit_test(direct_refused),
		cmocka_unit_test(access_is_changed_in_place),
		cmocka_unit_test(access_changes_beside_requests),
		cmocka_unit_test(access_change_keeps_failure),
		cmocka_unit_test(block_device),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
