/* test_file_io.c - host files: what is read and written, from how many threads
 * ever, and how the host's failures come out. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/thread.h"
#include "tests/unit/file_help.h"

/* The host as the tests want it: transfers of at most that many bytes, so many
 * calls that are interrupted first, or all of them fail with that errno. */
static size_t most = SIZE_MAX;
static int interrupts, host_error;

static bool host_fails(void)
{
	errno = host_error;
	if (!interrupts)
		return host_error;
	errno = interrupts-- % 2 ? EINTR : EAGAIN;
	return true;
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	return host_fails() ? -1 : syscall(SYS_pread64, fd, buf,
					   (size_t)min_u64(len, most), off);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return host_fails() ? -1 : syscall(SYS_pwrite64, fd, buf,
					   (size_t)min_u64(len, most), off);
}

int fdatasync(int fd)
{
	return host_fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return host_fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size)
{
	return host_fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

off_t lseek(int fd, off_t off, int whence)
{
	return host_fails() ? -1 : syscall(SYS_lseek, fd, off, whence);
}

/* Fails the op of one kind. */
static enum file_op fail_op;
static int fail_rc;
static int hooked[FILE_OP_OPEN + 1];

static int failing_hook(const struct file *f, enum file_op op, uint64_t off,
			uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)len;
	assert_true(!buf || op == FILE_OP_WRITE);
	__atomic_fetch_add(&hooked[op], 1, __ATOMIC_RELAXED);
	return op == fail_op ? fail_rc : 0;
}

static int fallocate_refuses;	/* so many calls */

int fallocate(int fd, int mode, off_t off, off_t len)
{
	if (host_fails())
		return -1;
	if (fallocate_refuses) {
		fallocate_refuses--;
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

static void short_and_interrupted(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	uint8_t data[1000], got[1200];

	(void)state;
	fill(data, sizeof(data), 1);
	most = 7;
	interrupts = 5;
	assert_int_equal(file_write(f, 3, data, sizeof(data)), 0);
	assert_int_equal(interrupts, 0);
	interrupts = 5;
	memset(got, 0xee, sizeof(got));
	assert_int_equal(file_read(f, 3, got, sizeof(got)), 0);
	most = SIZE_MAX;
	assert_memory_equal(got, data, sizeof(data));
	assert_true(bytes_are_zero(got + sizeof(data), 200));
	assert_int_equal(f->size, 1003);
	assert_int_equal(f->write_highest, 1003);
	assert_int_equal(f->reads, 1);
	assert_int_equal(f->read_bytes, 1200);
	assert_int_equal(f->writes, 1);
	assert_int_equal(f->write_bytes, 1000);
	assert_true(file_disk_bytes(f) % 512 == 0);
	assert_int_equal(file_read(f, 1 << 20, got, 10), 0);
	assert_true(bytes_are_zero(got, 10));
	file_close(f);
	scratch_clear();
}

static bool host_has_direct(void)
{
	int fd = open("probe", O_RDWR | O_CREAT | O_DIRECT, 0600);

	if (fd >= 0)
		close(fd);
	unlink("probe");
	return fd >= 0;
}

static void errors_of_the_host(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	uint64_t len = 10;
	bool data;
	char c = 'x';

	(void)state;
	host_error = EIO;
	assert_int_equal(file_read(f, 0, &c, 1), -EIO);
	assert_int_equal(file_write(f, 0, &c, 1), -EIO);
	assert_int_equal(file_truncate(f, 100), -EIO);
	assert_int_equal(file_zero(f, 0, 100), -EIO);
	assert_int_equal(file_discard(f, 0, 100), -EIO);
	assert_int_equal(file_extent(f, 0, &len, &data), -EIO);
	assert_int_equal(f->size, 0);
	host_error = EINVAL;
	assert_int_equal(file_extent(f, 0, &len, &data), 0);
	assert_true(data && len == 10);
	host_error = EIO;
	assert_int_equal(file_flush(f), -EIO);
	assert_int_equal(file_sync_dir("a"), -EIO);
	host_error = 0;
	assert_int_equal(file_flush(f), -EIO);
	assert_int_equal(file_sync_dir("a"), 0);
	interrupts = 4;
	assert_int_equal(file_truncate(f, 100), 0);
	interrupts = 4;
	assert_int_equal(file_zero(f, 0, 200), 0);
	assert_int_equal(f->size, 200);
	file_close(f);
	scratch_clear();
}

static void errors_of_the_host_direct(void **state)
{
	struct file *f;
	char data[3000] = "x";

	(void)state;
	if (!host_has_direct())
		skip();
	f = create("a", FILE_CACHE_NONE);
	host_error = EIO;
	assert_int_equal(file_read(f, 1, data, 3000), -EIO);
	assert_int_equal(file_write(f, 1, data, 3000), -EIO);
	host_error = 0;
	assert_int_equal(file_write(f, 1, data, 3000), 0);
	file_close(f);
	scratch_clear();
}

/* Every operation against the same in memory. */
static void model(enum file_cache cache, const char *path)
{
	enum { SIZE = 600 << 10 };
	struct file *f = create(path, cache);
	uint8_t *want = mem_alloc(SIZE), *buf = buf_new(SIZE);
	uint64_t end = 0;

	srand(1);
	for (int i = 0; i < 300; i++) {
		size_t len = (size_t)rand() % (i % 10 ? 10000 : 400000) + 1;
		size_t off = (size_t)rand() % (SIZE - len);
		size_t skew = (size_t)rand() % 2;	/* of the address */

		if (i % 4 == 0) {
			off = (size_t)align_down(off, 4096);
			len = (size_t)align_up(len, 4096);
			len = (size_t)min_u64(len, SIZE - off);
			skew = 0;
		}
		if (off + len + skew > SIZE)
			continue;
		if (i % 7 == 6) {
			assert_int_equal(file_zero(f, off, len), 0);
			memset(want + off, 0, len);
		} else {
			fill(buf + skew, len, (unsigned)i);
			assert_int_equal(file_write(f, off, buf + skew, len),
					 0);
			memcpy(want + off, buf + skew, len);
		}
		end = max_u64(end, off + len);
		assert_int_equal(f->size, end);
		assert_int_equal(size_on_disk(path), end);
		off = (size_t)rand() % SIZE;
		assert_reads(f, off, want + off, SIZE - off);
	}
	assert_int_equal(file_flush(f), 0);
	file_close(f);
	f = open_file(path, false, FILE_CACHE_WRITEBACK);
	assert_int_equal(f->size, end);
	assert_reads(f, 0, want, SIZE);
	file_close(f);
	free(want);
	free(buf);
	scratch_clear();
}

static void buffered_as_in_memory(void **state)
{
	(void)state;
	model(FILE_CACHE_WRITEBACK, "a");
}

static void direct_as_in_memory(void **state)
{
	(void)state;
	if (!host_has_direct())
		skip();
	model(FILE_CACHE_NONE, "a");
}

/* Stripes of neighbours share blocks; nobody may lose a byte. */
enum { STRIPE = 1000, STRIPES = 64, WRITERS = 4 };

struct writer {
	pthread_t thread;
	struct file *f;
	unsigned number;
};

static void writer_main(void *arg)
{
	struct writer *w = arg;
	uint8_t data[STRIPE];

	for (unsigned i = w->number; i < STRIPES; i += WRITERS) {
		fill(data, STRIPE, i);
		assert_int_equal(file_write(w->f, i * STRIPE, data, STRIPE),
				 0);
		assert_reads(w->f, i * STRIPE, data, STRIPE);
		if (i % 3 == 0)
			assert_int_equal(file_zero(w->f, i * STRIPE, STRIPE),
					 0);
		if (i % 8 == 0)
			assert_int_equal(file_flush(w->f), 0);
	}
}

static void many_writers(enum file_cache cache)
{
	static const uint8_t zero[STRIPE];
	struct file *f = create("a", cache);
	struct writer w[WRITERS];
	uint8_t data[STRIPE];

	for (unsigned i = 0; i < WRITERS; i++) {
		w[i] = (struct writer) { .f = f, .number = i };
		assert_int_equal(thread_start(&w[i].thread, "writer",
					      writer_main, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		thread_join(w[i].thread);
	for (unsigned i = 0; i < STRIPES; i++) {
		fill(data, STRIPE, i);
		assert_reads(f, i * STRIPE, i % 3 ? data : zero, STRIPE);
	}
	assert_int_equal(f->size, STRIPE * STRIPES);
	assert_int_equal(size_on_disk("a"), STRIPE * STRIPES);
	file_close(f);
	scratch_clear();
}

static void many_writers_buffered(void **state)
{
	(void)state;
	many_writers(FILE_CACHE_WRITEBACK);
}

static void many_writers_direct(void **state)
{
	(void)state;
	if (!host_has_direct())
		skip();
	many_writers(FILE_CACHE_NONE);
}

static void every_op_can_fail(void **state)
{
	struct file_options o = { .path = "a" };
	struct file *f = create("a", FILE_CACHE_WRITEBACK), *g = NULL;
	struct err err = ERR_INIT;
	char c = 'x';

	(void)state;
	fail_rc = -ENOSPC;
	file_set_hook(failing_hook);
	fail_op = FILE_OP_READ;
	assert_int_equal(file_read(f, 0, &c, 1), -ENOSPC);
	fail_op = FILE_OP_WRITE;
	assert_int_equal(file_write(f, 0, &c, 1), -ENOSPC);
	fail_op = FILE_OP_TRUNCATE;
	assert_int_equal(file_truncate(f, 100), -ENOSPC);
	fail_op = FILE_OP_ZERO;
	assert_int_equal(file_zero(f, 0, 100), -ENOSPC);
	fail_op = FILE_OP_DISCARD;
	assert_int_equal(file_discard(f, 0, 100), -ENOSPC);
	fail_op = FILE_OP_CLONE;
	assert_int_equal(file_clone(f, 0, f, 4096, 4096), -ENOSPC);
	assert_int_equal(f->size, 0);
	assert_int_equal(size_on_disk("a"), 0);
	fail_op = FILE_OP_OPEN;
	assert_int_equal(file_open(&g, &o, &err), -1);
	assert_string_equal(err.text,
			    "Could not open 'a': No space left on device");
	assert_int_equal(file_create(&g, "b", 0600, false,
				     FILE_CACHE_WRITEBACK, &err), -1);
	assert_string_equal(err.text,
			    "Could not create 'b': No space left on device");
	assert_int_equal(access("b", F_OK), -1);
	file_set_hook(NULL);
	file_close(f);
	scratch_clear();
}

static void a_failed_flush_is_final(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK);

	(void)state;
	memset(hooked, 0, sizeof(hooked));
	fail_op = FILE_OP_FLUSH;
	fail_rc = 0;
	file_set_hook(failing_hook);
	assert_int_equal(file_flush(f), 0);
	fail_rc = -EIO;
	assert_int_equal(file_flush(f), -EIO);
	fail_rc = 0;
	assert_int_equal(file_flush(f), -EIO);
	assert_int_equal(hooked[FILE_OP_FLUSH], 2);
	assert_int_equal(f->failed, -EIO);
	assert_int_equal(f->flushes, 3);
	file_set_hook(NULL);
	file_close(f);
	f = create("b", FILE_CACHE_UNSAFE);
	fail_rc = -EIO;
	file_set_hook(failing_hook);
	assert_int_equal(file_flush(f), 0);
	file_set_hook(NULL);
	file_close(f);
	scratch_clear();
}

static _Atomic int flushes_left;
static _Atomic bool flush_failed;

static int fail_last_hook(const struct file *f, enum file_op op, uint64_t off,
			  uint64_t len, const void *buf)
{
	(void)f;
	(void)off;
	(void)len;
	(void)buf;
	if (op != FILE_OP_FLUSH || flushes_left-- > 0)
		return 0;
	assert_false(atomic_exchange(&flush_failed, true));
	return -EIO;
}

/* A flush that was called after the failure never says yes. */
static void flusher_main(void *arg)
{
	int rc = 0;

	while (!rc) {
		bool failed = flush_failed;

		rc = file_flush(arg);
		assert_true(rc || !failed);
	}
	assert_int_equal(rc, -EIO);
}

static void many_flushers(void **state)
{
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	pthread_t thread[WRITERS];

	(void)state;
	flushes_left = 50;
	file_set_hook(fail_last_hook);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(thread_start(&thread[i], "flusher",
					      flusher_main, f), 0);
	for (int i = 0; i < WRITERS; i++)
		thread_join(thread[i]);
	file_set_hook(NULL);
	file_close(f);
	scratch_clear();
}

/* Whatever fallocate can do: 0 all, 1 no ZERO_RANGE, 2 nothing. */
static void zeroing(int refuses)
{
	enum { SIZE = 1 << 20, OFF = 5000, LEN = 600000 };
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	uint8_t *want = malloc(SIZE);

	fill(want, SIZE, 2);
	assert_int_equal(file_write(f, 0, want, SIZE), 0);
	fallocate_refuses = refuses;
	assert_int_equal(file_zero(f, OFF, LEN), 0);
	memset(want + OFF, 0, LEN);
	assert_reads(f, 0, want, SIZE);
	assert_int_equal(f->size, SIZE);
	fallocate_refuses = refuses;
	assert_int_equal(file_zero(f, SIZE - 10, SIZE), 0);
	memset(want + SIZE - 10, 0, 10);
	assert_reads(f, 0, want, SIZE);
	assert_int_equal(f->size, 2 * SIZE - 10);
	assert_int_equal(size_on_disk("a"), 2 * SIZE - 10);
	assert_int_equal(file_zero(f, 0, 0), 0);
	fallocate_refuses = 0;
	free(want);
	file_close(f);
	scratch_clear();
}

static void zeroes_by_any_means(void **state)
{
	(void)state;
	for (int refuses = 0; refuses < 3; refuses++)
		zeroing(refuses);
}

static void holes_and_data(void **state)
{
	enum { BLOCK = 64 << 10 };
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	uint8_t *data = malloc(BLOCK);

	(void)state;
	fill(data, BLOCK, 3);
	assert_int_equal(file_truncate(f, 6 * BLOCK), 0);
	assert_int_equal(f->size, 6 * BLOCK);
	assert_extent(f, 0, 1 << 30, false, 1 << 30);
	assert_int_equal(file_write(f, BLOCK, data, BLOCK), 0);
	assert_int_equal(file_write(f, 3 * BLOCK, data, BLOCK), 0);
	assert_extent(f, 0, 6 * BLOCK, false, BLOCK);
	assert_extent(f, 0, 10, false, 10);
	assert_extent(f, BLOCK, 5 * BLOCK, true, BLOCK);
	assert_extent(f, BLOCK + 10, 20, true, 20);
	assert_extent(f, 2 * BLOCK, 4 * BLOCK, false, BLOCK);
	assert_extent(f, 4 * BLOCK, 2 * BLOCK, false, 2 * BLOCK);
	assert_extent(f, 9 * BLOCK, 7, false, 7);
	assert_int_equal(file_discard(f, BLOCK, 3 * BLOCK), 0);
	assert_extent(f, 0, 6 * BLOCK, false, 6 * BLOCK);
	assert_int_equal(f->size, 6 * BLOCK);
	fallocate_refuses = 1;
	assert_int_equal(file_discard(f, 0, BLOCK), 0);
	file_start_writeback(f, 0, 6 * BLOCK);
	assert_int_equal(file_truncate(f, 100), 0);
	assert_int_equal(size_on_disk("a"), 100);
	free(data);
	file_close(f);
	scratch_clear();
}

/* Room behind the end of the file is lost when a write there fails, on ext4. */
static void room_is_kept_within_the_file(void **state)
{
	enum { BLOCK = 64 << 10 };
	struct file *f = create("a", FILE_CACHE_WRITEBACK);
	struct stat st;

	(void)state;
	assert_int_equal(file_reserve(f, 2 * BLOCK, BLOCK), 0);
	assert_int_equal(stat("a", &st), 0);
	assert_true(st.st_blocks * 512 >= BLOCK);
	assert_int_equal(st.st_size, 3 * BLOCK);
	assert_int_equal(f->size, 3 * BLOCK);
	assert_int_equal(file_reserve(f, 0, BLOCK), 0);
	assert_int_equal(f->size, 3 * BLOCK);
	fallocate_refuses = 2;
	assert_int_equal(file_reserve(f, 5 * BLOCK, BLOCK), 0);
	assert_int_equal(f->size, size_on_disk("a"));
	fallocate_refuses = 0;
	/* What another program has cut off is not hidden in a hole. */
	assert_int_equal(truncate("a", BLOCK), 0);
	assert_int_equal(file_reserve(f, 2 * BLOCK, BLOCK), -EIO);
	file_close(f);
	scratch_clear();
}

static void cloning(void **state)
{
	enum { BLOCK = 64 << 10 };
	struct file *src = create("a", FILE_CACHE_WRITEBACK);
	struct file *dst = create("b", FILE_CACHE_WRITEBACK);
	uint8_t *data = malloc(BLOCK);
	int rc;

	(void)state;
	fill(data, BLOCK, 4);
	assert_int_equal(file_write(src, 0, data, BLOCK), 0);
	assert_int_equal(file_clone(dst, 0, src, 1, 512), -EINVAL);
	assert_int_equal(file_clone(dst, 0, src, 0, 2 * BLOCK), -EINVAL);
	assert_true(dst->can_clone);
	rc = file_clone(dst, BLOCK, src, 0, BLOCK);
	assert_true(dst->can_clone == !rc);
	if (!rc) {
		assert_reads(dst, BLOCK, data, BLOCK);
		assert_int_equal(dst->size, 2 * BLOCK);
	} else {
		assert_int_equal(dst->size, 0);
		assert_int_equal(file_clone(dst, 0, src, 0, BLOCK),
				 -EOPNOTSUPP);
	}
	free(data);
	file_close(src);
	file_close(dst);
	scratch_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_and_interrupted),
		cmocka_unit_test(errors_of_the_host),
		cmocka_unit_test(errors_of_the_host_direct),
		cmocka_unit_test(buffered_as_in_memory),
		cmocka_unit_test(direct_as_in_memory),
		cmocka_unit_test(many_writers_buffered),
		cmocka_unit_test(many_writers_direct),
		cmocka_unit_test(every_op_can_fail),
		cmocka_unit_test(a_failed_flush_is_final),
		cmocka_unit_test(many_flushers),
		cmocka_unit_test(zeroes_by_any_means),
		cmocka_unit_test(holes_and_data),
		cmocka_unit_test(room_is_kept_within_the_file),
		cmocka_unit_test(cloning),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
