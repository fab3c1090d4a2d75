/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/process/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Jobs are cancelled and images closed by then, or never. */
#define GRACE_MS 4500

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

/* The front end cancels the jobs as well: clients have to hear why before.
 * A second signal is impatience. */
static void end(struct signals *s, int sig)
{
	s->ended = sig;
	tell_clients(s);
	tell_front_end(s, sig);
	cancel_jobs(s);
	if (!stopped(s, GRACE_MS))
		_exit(128 + sig);
}

static void serve(void *arg)
{
	struct signals *s = arg;
	int sig;

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
	sigset_t set;

	*s = (struct signals) { 0 };
	lock_init(&s->lock);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->source = signalfd(-1, &set, SFD_CLOEXEC);
	s->stop = eventfd(0, EFD_CLOEXEC);
	s->interrupt.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->source < 0 || s->stop < 0 || s->interrupt.fd < 0)
		return err_sys(err, errno, "No descriptor for signals");
	return 0;
}

int signals_start(struct signals *s, struct err *err)
{
	int rc = thread_start(&s->thread, "signals", serve, s);

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
