/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way to an address: sockets, or a child that is ssh. None of it waits
 * longer than it is told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/socket.h"
#include "engine/util/str.h"
#include "src/attach/address.h"

extern char **environ;

static int dial_wrong(struct err *err, int errnum)
{
	err->errnum = errnum < 0 ? -errnum : errnum;
	return err_set(err, ERR_GENERIC, "%s", strerror(err->errnum));
}

/* Who called listen() there; 0: not known. */
static pid_t dial_peer(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) ? 0 :
		peer.pid;
}

/* A connect() that is under way: 0 or -errno. */
static int dial_wait(int fd, uint64_t deadline, int stop)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = stop, .events = POLLIN },
	};
	int error = 0, rc;
	socklen_t len = sizeof(error);

	rc = poll(fds, 2, clock_poll_ms(deadline));
	if (rc <= 0 || fds[1].revents)
		return -ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return -error;
}

static int dial_to(const struct sockaddr *at, socklen_t len,
		   uint64_t deadline, int stop)
{
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK |
			SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = connect(fd, at, len) ? -errno : 0;
	if (rc == -EINPROGRESS)
		rc = dial_wait(fd, deadline, stop);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int dial_unix(const struct address *a, uint64_t deadline, int stop,
		     struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(a->path) >= sizeof(at.sun_path))
		return err_set(err, ERR_GENERIC, "the path of its socket is "
			       "too long");
	strcpy(at.sun_path, a->path);
	fd = dial_to((const void *)&at, sizeof(at), deadline, stop);
	if (fd >= 0)
		return fd;
	/* The queue of those who wait for a monitor is full. */
	if (fd == -EAGAIN)
		return err_set(err, ERR_GENERIC, "others hold its monitor and "
			       "wait for it");
	return dial_wrong(err, fd);
}

static bool dial_is_loopback(const struct addrinfo *at)
{
	const struct sockaddr_in *four = (const void *)at->ai_addr;
	const struct sockaddr_in6 *six = (const void *)at->ai_addr;

	if (at->ai_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	return at->ai_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static int dial_tcp(const struct address *a, uint64_t deadline, int stop,
		    struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	int fd = -EADDRNOTAVAIL, rc = getaddrinfo(a->host, a->path, &hints,
						  &list);

	if (rc)
		return err_set(err, ERR_GENERIC, "%s", gai_strerror(rc));
	for (const struct addrinfo *at = list; fd < 0 && at; at = at->ai_next)
		if (a->any_host || dial_is_loopback(at))
			fd = dial_to(at->ai_addr, at->ai_addrlen, deadline,
				     stop);
	freeaddrinfo(list);
	if (fd < 0)
		return dial_wrong(err, fd);
	socket_tune(fd);
	return fd;
}

/* --- ssh --- */

/* What the other host says when it begins to work for us. */
#define DIAL_REACHED "blkmon: reached"

/* socat has a language of its own in its arguments: what could mean something
 * in it stands behind a backslash. The login shell there may be any. */
static char *dial_remote_command(const char *path)
{
	struct str socat = STR_INIT, command = STR_INIT, login = STR_INIT;

	str_add(&socat, "UNIX-CONNECT:");
	for (const char *c = path; *c; c++) {
		if (strchr(",:!\"'\\()[]{}", *c))
			str_add_char(&socat, '\\');
		str_add_char(&socat, *c);
	}
	str_add(&command, "echo " DIAL_REACHED " >&2; "
		"if command -v socat >/dev/null 2>&1; "
		"then exec socat - ");
	str_add_shell(&command, str_get(&socat));
	str_add(&command, "; else exec nc -U -- ");
	str_add_shell(&command, path);
	str_add(&command, "; fi");
	str_add(&login, "exec sh -c ");
	str_add_shell(&login, str_get(&command));
	str_release(&socat);
	str_release(&command);
	return str_detach(&login);
}

/* In a session of its own: Ctrl-C at our terminal is not meant for it, and it
 * cannot ask anybody for a password. */
static int dial_spawn(char *const argv[], int io, int complaints, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, io, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, io, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, complaints, STDERR_FILENO);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	rc = posix_spawnp(pid, argv[0], &files, &how, argv, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return -rc;
}

/* It asks nobody, says when the host is not there or gone any more, and
 * carries nothing else along: no terminal, agent, display or port. */
static const char *const dial_options[] = {
	"-T", "-a", "-x", "-oBatchMode=yes", "-oConnectTimeout=8",
	"-oServerAliveInterval=5", "-oServerAliveCountMax=3",
	"-oClearAllForwardings=yes", "-oRemoteCommand=none",
	"-oControlMaster=no", "--",
};

static int dial_ssh(const struct address *a, struct dialled *out,
		    struct err *err)
{
	char *command = dial_remote_command(a->path);
	char *argv[sizeof(dial_options) / sizeof(*dial_options) + 4] = {
		(char[]){ "ssh" } };
	size_t n = sizeof(dial_options) / sizeof(*dial_options);
	int io[2] = { -1, -1 }, say[2] = { -1, -1 }, rc;

	for (size_t i = 0; i < n; i++)
		argv[i + 1] = (char *)dial_options[i];
	argv[n + 1] = a->host;
	argv[n + 2] = command;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io) ||
	    pipe2(say, O_CLOEXEC))
		rc = -errno;
	else
		rc = dial_spawn(argv, io[1], say[1], &out->child);
	free(command);
	close(io[1]);
	close(say[1]);
	if (!rc) {
		fcntl(io[0], F_SETFL, O_NONBLOCK);
		fcntl(say[0], F_SETFL, O_NONBLOCK);
		out->complaints = say[0];
		return io[0];
	}
	out->child = 0;
	close(io[0]);
	close(say[0]);
	dial_wrong(err, rc);
	err_prefix(err, "cannot start ssh: ");
	return -1;
}

int address_dial(const struct address *a, uint64_t deadline, int stop,
		 struct dialled *out, struct err *err)
{
	*out = (struct dialled) { .fd = -1, .complaints = -1,
				  .reached = a->kind != ADDRESS_SSH };
	switch (a->kind) {
	case ADDRESS_UNIX:
		out->fd = dial_unix(a, deadline, stop, err);
		out->peer = out->fd < 0 ? 0 : dial_peer(out->fd);
		break;
	case ADDRESS_TCP:
		out->fd = dial_tcp(a, deadline, stop, err);
		break;
	case ADDRESS_SSH:
		out->fd = dial_ssh(a, out, err);
	}
	return out->fd < 0 ? -1 : 0;
}

void dialled_forget(struct dialled *d)
{
	*d->last = '\0';
	d->len = 0;
}

/* What was said before that is a greeting. */
static void dial_take_line(struct dialled *d)
{
	d->line[d->len] = '\0';
	if (!strcmp(d->line, DIAL_REACHED)) {
		d->reached = true;
		dialled_forget(d);
	} else if (d->len) {
		memcpy(d->last, d->line, d->len + 1);
	}
	d->len = 0;
}

static void dial_take_words(struct dialled *d, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (data[i] == '\n')
			dial_take_line(d);
		else if (data[i] != '\r' && data[i] &&
			 d->len < sizeof(d->line) - 1)
			d->line[d->len++] = data[i];
}

/* No more than that at once, so that one who never stops holds nobody up. */
void dialled_hear(struct dialled *d)
{
	char buf[4096];
	ssize_t n = 1;

	for (int i = 0; i < 64 && n > 0; i++) {
		n = read(d->complaints, buf, sizeof(buf));
		if (n > 0)
			dial_take_words(d, buf, (size_t)n);
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	close(d->complaints);
	d->complaints = -1;
}

/* A line that was not ended counts, too. */
static void dial_take_complaint(struct dialled *d, struct err *err)
{
	if (d->complaints >= 0)
		dialled_hear(d);
	dial_take_line(d);
	if (err && *d->last)
		err_set(err, ERR_GENERIC, "%s", d->last);
}

void dialled_close(struct dialled *d, struct err *err)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->child > 0) {
		dial_take_complaint(d, err);
		kill(d->child, SIGKILL);
		while (waitpid(d->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (d->complaints >= 0)
		close(d->complaints);
	*d = (struct dialled) { .fd = -1, .complaints = -1 };
}
