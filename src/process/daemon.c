/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/process/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/util/own_file.h"

/* The end of the pipe that the parent waits at; -1 none. */
static int ready_fd = -1;

static _Noreturn void be_parent(pid_t child, int fd)
{
	int status = 0;
	ssize_t n;
	char c;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int daemon_begin(struct err *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, errno, "Could not become a daemon");
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "Could not become a daemon");
	if (pid) {
		close(fds[1]);
		be_parent(pid, fds[0]);
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
	return 0;
}

static void leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	fflush(NULL);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	close(fd);
}

void daemon_ready(void)
{
	if (ready_fd < 0)
		return;
	leave_terminal();
	while (write(ready_fd, "", 1) < 0 && errno == EINTR)
		;
	close(ready_fd);
	ready_fd = -1;
}

/* --- the file --- */

/* Empty, or a number and nothing else: what stands in such a file. */
static bool is_pidfile(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	if (n < 0 || n == (ssize_t)sizeof(text))
		return false;
	while (n && text[n - 1] == '\n')
		n--;
	while (n && text[n - 1] >= '0' && text[n - 1] <= '9')
		n--;
	return !n;
}

static int take_over(struct pidfile *p, int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fcntl(fd, F_OFD_SETLK, &whole))
		return -errno;
	if (!is_pidfile(fd))
		return -EEXIST;
	if (fstat(fd, &st) || ftruncate(fd, 0))
		return -errno;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	return dprintf(fd, "%ld\n", (long)getpid()) < 0 ? -errno : 0;
}

int pidfile_make(struct pidfile *p, const char *path, struct err *err)
{
	int fd = own_file_open(path, "", 0644), rc;

	if (fd < 0)
		return err_sys(err, fd, "Could not make PID file '%s'",
			       path);
	rc = take_over(p, fd);
	if (rc == -EAGAIN || rc == -EACCES)
		err_set(err, ERR_GENERIC, "PID file '%s' belongs to a "
			"process that is running", path);
	else if (rc)
		err_sys(err, rc, "Could not write PID file '%s'", path);
	if (rc) {
		close(fd);
		return -1;
	}
	p->path = path;
	p->fd = fd;
	return 0;
}

void pidfile_remove(struct pidfile *p)
{
	struct stat st;

	if (!p->path)
		return;
	if (!lstat(p->path, &st) && st.st_dev == p->dev &&
	    st.st_ino == p->ino)
		unlink(p->path);
	close(p->fd);
	p->path = NULL;
}
