/* test_service.c - what is told to the one who started the program, at a
 * socket of the kind that systemd makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/util/thread.h"
#include "src/process/service.h"

static char dir[] = "/tmp/blkmon-service-XXXXXX";
static char path[128];

/* A bound socket for datagrams; @len bytes of @name, as bind() takes them. */
static int listener(const char *name, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && len <= sizeof(addr.sun_path));
	memcpy(addr.sun_path, name, len);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un,
						   sun_path) + len)), 0);
	return fd;
}

/* One datagram came, which is @text, and no other. */
static void assert_told(int fd, const char *text)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void at_a_path(void **state)
{
	int fd = listener(path, strlen(path) + 1);

	(void)state;
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(service_tell("READY=1"), 0);
	assert_told(fd, "READY=1");
	assert_int_equal(service_tell("STOPPING=1"), 0);
	assert_told(fd, "STOPPING=1");
	close(fd);
	unlink(path);
}

/* systemd binds such a name without a zero at its end. */
static void at_an_abstract_name(void **state)
{
	char name[64];
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@blkmon-service-%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(service_tell("READY=1"), -ECONNREFUSED);
	*name = '\0';
	fd = listener(name, strlen(name + 1) + 1);
	assert_int_equal(service_tell("READY=1"), 0);
	assert_told(fd, "READY=1");
	close(fd);
}

static void nobody(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(service_tell("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(service_tell("READY=1"), 0);
}

static void no_such_socket(void **state)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

	(void)state;
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(service_tell("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(service_tell("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/", 1);
	assert_int_equal(service_tell("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(service_tell("READY=1"), -EINVAL);
	memset(name, 'x', sizeof(name) - 1);
	*name = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(service_tell("READY=1"), -ENAMETOOLONG);
}

static void tell_ready(void *arg)
{
	*(int *)arg = service_tell("READY=1");
}

/* Many services start at once: the queue is full, and nothing is lost. */
static void a_full_queue(void **state)
{
	int fd = listener(path, strlen(path) + 1), rc = -1;
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	pthread_t thread;
	char got[16] = "";

	(void)state;
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(other, (struct sockaddr *)&addr, len), 0);
	while (send(other, "STATUS=x", 8, 0) == 8)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(thread_start(&thread, "tell", tell_ready, &rc), 0);
	while (memcmp(got, "READY=1", 7))
		assert_true(recv(fd, got, sizeof(got), 0) > 0);
	thread_join(thread);
	assert_int_equal(rc, 0);
	close(other);
	close(fd);
	unlink(path);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_a_path),
		cmocka_unit_test(at_an_abstract_name),
		cmocka_unit_test(nobody),
		cmocka_unit_test(no_such_socket),
		cmocka_unit_test(a_full_queue),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
