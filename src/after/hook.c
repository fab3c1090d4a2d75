/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/after/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/after/hook_call.h"

/* Where there is no pidfd to wake for. */
#define HOOK_LOOK_MS 100

void hooks_init(struct hooks *h, const char *const *programs, size_t n,
		struct event_ring *ring)
{
	*h = (struct hooks) { .programs = programs, .n = n, .ring = ring };
	list_init(&h->waiting);
	for (unsigned i = 0; i < HOOKS_AT_ONCE; i++)
		h->run[i].pidfd = h->run[i].out = -1;
}

/* --- starting --- */

/* A file with @text from its beginning on; or -errno. */
static int hook_input(const char *text)
{
	size_t len = strlen(text), done = 0;
	int fd = memfd_create("event", MFD_CLOEXEC);

	while (fd >= 0 && done < len) {
		ssize_t n = pwrite(fd, text + done, len - done, (off_t)done);

		if (n < 0 && errno != EINTR) {
			int rc = -errno;

			close(fd);
			return rc;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return fd < 0 ? -errno : fd;
}

static void hook_attributes(posix_spawnattr_t *attr)
{
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETPGROUP);
}

/* 0 and *pid, or -errno. */
static int hook_spawn(struct hook_call *call, int in, int out,
		      pid_t *pid)
{
	char *argv[] = { (char *)call->program, NULL };
	char **env = hook_call_environment(call);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc;

	hook_attributes(&attr);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	rc = posix_spawn(pid, call->program, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	free(env);
	return -rc;
}

static int hook_start(struct hook_run *run, struct hook_call *call)
{
	int in = hook_input(call->input), out[2], rc;

	if (in < 0)
		return in;
	if (pipe2(out, O_CLOEXEC)) {
		rc = -errno;
		close(in);
		return rc;
	}
	rc = hook_spawn(call, in, out[1], &run->pid);
	close(in);
	close(out[1]);
	if (rc) {
		close(out[0]);
		run->pid = 0;
		return rc;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	run->out = out[0];
	run->pidfd = pidfd_open(run->pid, 0);
	run->call = call;
	run->lines = 0;
	run->len = 0;
	return 0;
}

static struct hook_call *hook_take(struct hooks *h)
{
	struct hook_call *call = hook_call_linked(h->waiting.next);

	list_del(&call->link);
	h->count--;
	return call;
}

static void hook_tell_dropped(struct hooks *h)
{
	if (h->dropped)
		event_notice(h->ring, "on-event: %llu events came too fast "
			     "and were not passed on",
			     (unsigned long long)h->dropped);
	h->dropped = 0;
}

static void hooks_start(struct hooks *h)
{
	for (unsigned i = 0; i < HOOKS_AT_ONCE && h->count; i++) {
		struct hook_call *call;
		int rc;

		if (h->run[i].pid)
			continue;
		hook_tell_dropped(h);
		call = hook_take(h);
		rc = hook_start(&h->run[i], call);
		if (!rc)
			continue;
		event_notice(h->ring, "on-event: could not run '%s': %s",
			     call->program, strerror(-rc));
		hook_call_free(call);
	}
}

/* What waits for @program and came last. */
static struct hook_call *hook_last(struct hooks *h, const char *program)
{
	struct list *link = h->waiting.prev;

	for (; link != &h->waiting; link = link->prev)
		if (hook_call_linked(link)->program == program)
			return hook_call_linked(link);
	return NULL;
}

void hooks_event(struct hooks *h, const struct event *ev,
		 const json_t *json)
{
	for (size_t i = 0; i < h->n; i++) {
		struct hook_call *last = hook_last(h, h->programs[i]);
		struct hook_call *call;

		/* One error after the other: the next call counts them. */
		if (last && hook_call_joins(last, ev))
			continue;
		call = hook_call_new(h->programs[i], ev, json);
		if (!call) {
			h->dropped++;
			continue;
		}
		list_add_tail(&h->waiting, &call->link);
		if (++h->count > HOOKS_WAITING) {
			hook_call_free(hook_take(h));
			h->dropped++;
		}
	}
}

/* --- what they write --- */

static void hook_tell(struct hooks *h, struct hook_run *run)
{
	run->line[run->len] = '\0';
	if (run->len && run->lines < HOOK_LINES)
		event_notice(h->ring, "%s: %s", run->call->name, run->line);
	else if (run->len && run->lines == HOOK_LINES)
		event_notice(h->ring, "%s: (what else it says is left out)",
			     run->call->name);
	run->lines += run->len && run->lines <= HOOK_LINES;
	run->len = 0;
}

static void hook_take_text(struct hooks *h, struct hook_run *run,
			   const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] && text[i] != '\n')
			run->line[run->len++] = text[i];
		if (text[i] == '\n' || run->len == HOOK_LINE)
			hook_tell(h, run);
	}
}

/* At most some pieces at a time: the others want to be heard, too. */
static void hook_read(struct hooks *h, struct hook_run *run)
{
	char buf[4096];

	for (unsigned i = 0; i < 16 && run->out >= 0; i++) {
		ssize_t n = read(run->out, buf, sizeof(buf));

		if (n > 0) {
			hook_take_text(h, run, buf, (size_t)n);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		close(run->out);
		run->out = -1;
	}
}

/* --- their end --- */

static void hook_tell_end(struct hooks *h, const struct hook_run *run,
			  int status)
{
	const struct hook_call *call = run->call;

	if (WIFSIGNALED(status))
		event_notice(h->ring, "%s (%s of '%s') was killed by signal %d",
			     call->name, call->event, call->job,
			     WTERMSIG(status));
	else if (WEXITSTATUS(status))
		event_notice(h->ring, "%s (%s of '%s') failed with status %d",
			     call->name, call->event, call->job,
			     WEXITSTATUS(status));
}

/* What it has left in the background may keep the pipe: nobody listens to that
 * any more. */
static void hook_close(struct hooks *h, struct hook_run *run)
{
	hook_read(h, run);
	hook_tell(h, run);
	if (run->out >= 0)
		close(run->out);
	if (run->pidfd >= 0)
		close(run->pidfd);
	hook_call_free(run->call);
	*run = (struct hook_run) { .pidfd = -1, .out = -1 };
}

static void hook_reap(struct hooks *h, struct hook_run *run, int flags)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(run->pid, &status, flags);
	while (pid < 0 && errno == EINTR);
	if (!pid)
		return;
	if (pid > 0)
		hook_tell_end(h, run, status);
	hook_close(h, run);
}

void hooks_look(struct hooks *h)
{
	for (unsigned i = 0; i < HOOKS_AT_ONCE; i++) {
		struct hook_run *run = &h->run[i];

		if (!run->pid)
			continue;
		hook_read(h, run);
		hook_reap(h, run, WNOHANG);
	}
	hooks_start(h);
}

int hooks_poll(const struct hooks *h, struct pollfd *fds)
{
	int timeout = -1;

	for (unsigned i = 0; i < HOOKS_AT_ONCE; i++) {
		const struct hook_run *run = &h->run[i];

		fds[2 * i] = (struct pollfd) { .fd = run->pidfd,
					       .events = POLLIN };
		fds[2 * i + 1] = (struct pollfd) { .fd = run->out,
						   .events = POLLIN };
		if (run->pid && run->pidfd < 0)
			timeout = HOOK_LOOK_MS;
	}
	return timeout;
}

bool hooks_idle(const struct hooks *h)
{
	bool idle = !h->count;

	for (unsigned i = 0; i < HOOKS_AT_ONCE; i++)
		idle &= !h->run[i].pid;
	return idle;
}

/* It is not waited for yet, so its number is that of no other group. */
void hooks_end(struct hooks *h, int sig)
{
	while (h->count) {
		hook_call_free(hook_take(h));
		h->dropped++;
	}
	hook_tell_dropped(h);
	for (unsigned i = 0; i < HOOKS_AT_ONCE; i++)
		if (h->run[i].pid)
			kill(-h->run[i].pid, sig);
}

void hooks_release(struct hooks *h)
{
	hooks_end(h, SIGKILL);
	for (unsigned i = 0; i < HOOKS_AT_ONCE; i++)
		if (h->run[i].pid)
			hook_reap(h, &h->run[i], 0);
}
