/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/process/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/util/restore.h"

/* Jobs are cancelled and images closed by then, or never. */
#define GRACE_MS 4500

static volatile sig_atomic_t ending;	/* the signal that ends us */

static int read_signal(struct signals *s)
{
	struct signalfd_siginfo info;

	if (read(s->source, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

static void tell_front_end(struct signals *s, int sig)
{
	s->interrupt.signal = sig;
	eventfd_write(s->interrupt.fd, 1);
}

static void tell_clients(struct signals *s)
{
	struct event ev = { .type = EVENT_SHUTDOWN };

	snprintf(ev.text, sizeof(ev.text), "host-signal");
	lock_take(&s->lock);
	if (s->engine)
		event_publish(engine_events(s->engine), &ev);
	lock_drop(&s->lock);
}

static void cancel_jobs(struct signals *s)
{
	lock_take(&s->lock);
	if (s->engine)
		engine_cancel_all(s->engine);
	lock_drop(&s->lock);
}

/* True when told to stop, false when a signal came or time is up. */
static bool stopped(struct signals *s, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = s->stop, .events = POLLIN },
		{ .fd = s->source, .events = POLLIN },
	};

	while (poll(fds, 2, timeout_ms) < 0 && errno == EINTR)
		;
	return fds[0].revents != 0;
}

static void leave_now(int sig)
{
	restore_now();
	_exit(128 + sig);
}

/* Of SIGALRM, in whatever the program hangs. */
static void time_is_up(int sig)
{
	(void)sig;
	leave_now((int)ending);
}

/* Before anything that takes a lock, or waits for what does. */
static void begin_grace(int sig)
{
	struct itimerval grace = {
		.it_value = { GRACE_MS / 1000, GRACE_MS % 1000 * 1000 },
	};
	struct sigaction action = { .sa_handler = time_is_up };

	ending = sig;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &grace, NULL);
}

/* The front end cancels the jobs as well: clients have to hear why before.
 * A second signal is impatience. */
static void end(struct signals *s, int sig)
{
	s->ended = sig;
	begin_grace(sig);
	tell_clients(s);
	tell_front_end(s, sig);
	cancel_jobs(s);
	if (!stopped(s, -1))
		leave_now(sig);
}

static void signals_serve(void *arg)
{
	struct signals *s = arg;
	sigset_t alarm;
	int sig;

	/* This thread never stands in a request to a disk. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	while (!s->ended && !stopped(s, -1)) {
		sig = read_signal(s);
		if (sig == SIGINT && s->soft_int)
			tell_front_end(s, sig);
		else if (sig)
			end(s, sig);
	}
}

int signals_init(struct signals *s, struct err *err)
{
	sigset_t set, grace;

	*s = (struct signals) { 0 };
	lock_init(&s->lock);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* Taken by our thread alone, which has to end the process. */
	sigemptyset(&grace);
	sigaddset(&grace, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &grace, NULL);
	s->source = signalfd(-1, &set, SFD_CLOEXEC);
	s->stop = eventfd(0, EFD_CLOEXEC);
	s->interrupt.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->source < 0 || s->stop < 0 || s->interrupt.fd < 0)
		return err_sys(err, errno, "No descriptor for signals");
	return 0;
}

int signals_start(struct signals *s, struct err *err)
{
	int rc = thread_start(&s->thread, "signals", signals_serve, s);

	s->started = !rc;
	return rc ? err_sys(err, rc, "No thread for signals") : 0;
}

void signals_attach(struct signals *s, struct engine *engine)
{
	lock_take(&s->lock);
	s->engine = engine;
	lock_drop(&s->lock);
}

void signals_detach(struct signals *s)
{
	signals_attach(s, NULL);
}

void signals_release(struct signals *s)
{
	eventfd_write(s->stop, 1);
	if (s->started)
		thread_join(s->thread);
	close(s->source);
	close(s->stop);
	close(s->interrupt.fd);
	lock_release(&s->lock);
}
