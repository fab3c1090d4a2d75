/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/util/restore.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "engine/util/bug.h"

static struct {
	struct termios modes;
	bool kept;
	char bytes[256];
	size_t len;
	atomic_bool armed;
} restore;

static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
				     SIGABRT, SIGQUIT };
#define CRASH_SIGNALS (sizeof(crash_signals) / sizeof(*crash_signals))

/* What happened to them before: the default, or a sanitizer's report. */
static struct sigaction crash_before[CRASH_SIGNALS];

/* In the background it is the terminal of somebody else. */
static bool is_ours(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 || group == getpgrp();
}

void restore_now(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (!atomic_exchange(&restore.armed, false) || !is_ours())
		return;
	/* One that is stopped (C-s) takes nothing, maybe for ever. */
	if (restore.len && poll(&out, 1, 0) > 0 &&
	    write(STDOUT_FILENO, restore.bytes, restore.len) < 0)
		return;
	if (restore.kept)
		tcsetattr(STDIN_FILENO, TCSANOW, &restore.modes);
}

static void unguard_crashes(void)
{
	for (size_t i = 0; i < CRASH_SIGNALS; i++)
		sigaction(crash_signals[i], &crash_before[i], NULL);
	bug_set_hook(NULL);
}

/* With the terminal in order it happens again, and is what it was. */
static void crash(int sig)
{
	restore_now();
	unguard_crashes();
	raise(sig);
}

static void guard_crashes(void)
{
	struct sigaction action = { .sa_handler = crash,
				    .sa_flags = SA_NODEFER };

	for (size_t i = 0; i < CRASH_SIGNALS; i++)
		sigaction(crash_signals[i], &action, &crash_before[i]);
	bug_set_hook(restore_now);
}

void restore_keep(void)
{
	restore.kept = !tcgetattr(STDIN_FILENO, &restore.modes);
}

void restore_guard(const char *bytes, size_t len)
{
	restore.len = len <= sizeof(restore.bytes) ? len : 0;
	memcpy(restore.bytes, bytes, restore.len);
	atomic_store(&restore.armed, true);
	guard_crashes();
}

void restore_unguard(void)
{
	atomic_store(&restore.armed, false);
	unguard_crashes();
}
