/* test_lock.c - who may use an image beside whom: ours against ours, and ours
 * against a qemu-io that has the image open. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/file/file.h"
#include "engine/file/lock.h"
#include "tests/unit/scratch.h"

#define READ_TEXT "Failed to get shared \"write\" lock"
#define WRITE_TEXT "Failed to get \"write\" lock"
#define HINT "Is another process using the image [image]?"

extern char **environ;

/* The process beside us that has the image, or 0: we have it ourselves. */
static pid_t other;

static int no_locks;	/* errno of a file system that has none, or 0 */

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (no_locks && cmd == F_OFD_SETLK) {
		errno = no_locks;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

/* The bytes that others hold, as seen from a new description: "100 201". */
static const char *held(void)
{
	static const int bytes[] = { 100, 101, 102, 103, 200, 201, 202, 203 };
	static char text[64];
	int fd = open("image", O_RDWR | O_CLOEXEC);

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		struct flock lock = {
			.l_type = F_WRLCK, .l_start = bytes[i], .l_len = 1,
		};

		assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
		if (lock.l_type != F_UNLCK)
			sprintf(text + strlen(text), "%s%d",
				*text ? " " : "", bytes[i]);
	}
	close(fd);
	return text;
}

static void image_new(void)
{
	struct err err = ERR_INIT;
	struct file *f;

	assert_int_equal(file_create(&f, "image", 0600, false,
				     FILE_CACHE_WRITEBACK, &err), 0);
	assert_int_equal(file_truncate(f, 1 << 20), 0);
	file_close(f);
}

/* Expects @text (NULL: success) of taking @role. */
static struct file *take(enum lock_role role, const char *text)
{
	struct file_options o = {
		.path = "image", .role = role, .writable = role == LOCKS_WRITE,
	};
	struct err err = ERR_INIT;
	struct file *f = NULL;
	char want[256] = "";

	if (text)
		snprintf(want, sizeof(want), other ? "%s\nIs another process "
			 "using the image [image]? (qemu-io, pid %d)" :
			 "%s\n" HINT, text, other);
	assert_int_equal(file_open(&f, &o, &err), text ? -1 : 0);
	assert_string_equal(err.text, want);
	return f;
}

static void bytes_of_roles(void **state)
{
	struct file *f;

	(void)state;
	image_new();
	assert_string_equal(held(), "");
	f = take(LOCKS_READ, NULL);
	assert_string_equal(held(), "100 201 203");
	file_close(f);
	f = take(LOCKS_WRITE, NULL);
	assert_string_equal(held(), "100 101 103 201 203");
	file_close(f);
	f = take(LOCKS_NONE, NULL);
	assert_string_equal(held(), "");
	file_close(f);
	scratch_clear();
}

static void ours_beside_ours(void **state)
{
	struct file *f, *g;

	(void)state;
	image_new();
	f = take(LOCKS_READ, NULL);
	g = take(LOCKS_READ, NULL);
	take(LOCKS_WRITE, WRITE_TEXT);
	assert_string_equal(held(), "100 201 203");
	file_close(g);
	file_close(f);
	f = take(LOCKS_WRITE, NULL);
	take(LOCKS_WRITE, WRITE_TEXT);
	take(LOCKS_READ, READ_TEXT);
	assert_string_equal(held(), "100 101 103 201 203");
	/* closing another descriptor of the file lets nothing go */
	g = take(LOCKS_NONE, NULL);
	file_close(g);
	assert_string_equal(held(), "100 101 103 201 203");
	file_close(f);
	scratch_clear();
}

static void roles_change(void **state)
{
	struct err err = ERR_INIT;
	struct file *f, *g;

	(void)state;
	image_new();
	f = take(LOCKS_READ, NULL);
	assert_int_equal(file_set_writable(f, true, LOCKS_WRITE, &err), 0);
	assert_string_equal(held(), "100 101 103 201 203");
	assert_int_equal(file_set_writable(f, false, LOCKS_READ, &err), 0);
	assert_string_equal(held(), "100 201 203");
	assert_int_equal(file_set_writable(f, false, LOCKS_NONE, &err), 0);
	assert_string_equal(held(), "");
	g = take(LOCKS_WRITE, NULL);
	assert_int_equal(file_set_writable(f, false, LOCKS_READ, &err), -1);
	assert_string_equal(err.text, READ_TEXT "\n" HINT);
	file_close(g);
	assert_string_equal(held(), "");
	file_close(f);
	scratch_clear();
}

/* Somebody who write-locks: not QEMU, but to be respected. */
static void a_foreign_write_lock(void **state)
{
	struct flock lock = { .l_type = F_WRLCK };
	int fd;

	(void)state;
	image_new();
	fd = open("image", O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	take(LOCKS_READ, "Failed to lock the image");
	take(LOCKS_WRITE, "Failed to lock the image");
	close(fd);
	assert_string_equal(held(), "");
	scratch_clear();
}

static void file_systems_without_locks(void **state)
{
	static const int errors[] = { EINVAL, ENOLCK };
	struct file *f, *g;

	(void)state;
	image_new();
	for (int i = 0; i < 2; i++) {
		no_locks = errors[i];
		f = take(LOCKS_WRITE, NULL);
		g = take(LOCKS_READ, NULL);
		no_locks = 0;
		file_close(f);
		file_close(g);
	}
	scratch_clear();
}

/* A qemu-io that waits for commands, or has failed with *output. */
struct qemu {
	pid_t pid;
	int in;
	char output[4096];
};

static bool have_qemu(void)
{
	return !system("command -v qemu-io qemu-img >/dev/null 2>&1");
}

/* Reads up to the prompt or the end. */
static void qemu_read(struct qemu *q, int out)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(out, q->output + len, sizeof(q->output) - len - 1);
		len += n > 0 ? (size_t)n : 0;
		q->output[len] = '\0';
	} while (n > 0 && !strstr(q->output, "qemu-io> "));
}

static void qemu_start(struct qemu *q, const char *format, const char *mode)
{
	char *argv[] = {
		"qemu-io", "-f", (char *)format, (char *)mode, "image", NULL,
	};
	posix_spawn_file_actions_t actions;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, out[1], 2);
	assert_int_equal(posix_spawnp(&q->pid, argv[0], &actions, NULL, argv,
				      environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	q->in = in[1];
	qemu_read(q, out[0]);
	close(out[0]);
}

static void qemu_stop(struct qemu *q)
{
	int status;

	close(q->in);
	assert_int_equal(waitpid(q->pid, &status, 0), q->pid);
}

/* What each way to open it in QEMU leaves to us, and we to it. */
static const struct meeting {
	const char *format, *mode;	/* -t writeback: read-write */
	const char *bytes;		/* that qemu-io holds */
	const char *read, *write;	/* our error beside it */
	const char *at_read, *at_write;	/* its error beside us */
} meetings[] = {
	{ "qcow2", "-twriteback", "100 101 103 201 203",
	  READ_TEXT, WRITE_TEXT, WRITE_TEXT, WRITE_TEXT },
	{ "qcow2", "-r", "100 201 203",
	  NULL, WRITE_TEXT, NULL, READ_TEXT },
	{ "qcow2", "-rU", "100",
	  NULL, NULL, NULL, NULL },
	{ "raw", "-twriteback", "100 101",
	  READ_TEXT, READ_TEXT, WRITE_TEXT, WRITE_TEXT },
	{ "raw", "-r", "100",
	  NULL, NULL, NULL, NULL },
};

static void we_come_second(const struct meeting *m)
{
	struct qemu q;

	qemu_start(&q, m->format, m->mode);
	if (!strstr(q.output, "qemu-io> "))
		fail_msg("%s", q.output);
	assert_string_equal(held(), m->bytes);
	other = q.pid;
	file_close(take(LOCKS_NONE, NULL));
	file_close(take(LOCKS_READ, m->read));
	file_close(take(LOCKS_WRITE, m->write));
	other = 0;
	qemu_stop(&q);
}

static void qemu_comes_second(const struct meeting *m, enum lock_role role,
			      const char *text)
{
	struct file *f = take(role, NULL);
	struct qemu q;

	qemu_start(&q, m->format, m->mode);
	if (!text)
		text = "qemu-io> ";
	if (!strstr(q.output, text))
		fail_msg("%s %s: %s", m->format, m->mode, q.output);
	qemu_stop(&q);
	file_close(f);
}

static void ours_beside_qemu(void **state)
{
	(void)state;
	if (!have_qemu())
		skip();
	for (size_t i = 0; i < sizeof(meetings) / sizeof(*meetings); i++) {
		const struct meeting *m = &meetings[i];

		image_new();
		if (!strcmp(m->format, "qcow2"))
			assert_int_equal(system("qemu-img create -q -f qcow2 "
						"image 1M"), 0);
		we_come_second(m);
		qemu_comes_second(m, LOCKS_NONE, NULL);
		qemu_comes_second(m, LOCKS_READ, m->at_read);
		qemu_comes_second(m, LOCKS_WRITE, m->at_write);
		scratch_clear();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_roles),
		cmocka_unit_test(ours_beside_ours),
		cmocka_unit_test(roles_change),
		cmocka_unit_test(a_foreign_write_lock),
		cmocka_unit_test(file_systems_without_locks),
		cmocka_unit_test(ours_beside_qemu),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
