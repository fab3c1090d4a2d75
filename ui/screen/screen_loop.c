/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one poll(): terminal, client, the program's end, signals. A key is drawn
 * at once, news at most twenty times a second; with neither nothing wakes up.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/clock.h"
#include "engine/util/err.h"
#include "engine/util/mem.h"
#include "engine/util/own_file.h"
#include "ui/screen/replay.h"
#include "ui/screen/screen.h"
#include "ui/screen/screen_impl.h"
#include "ui/tty/tty.h"

#define FRAME (50 * NS_PER_MS)
/* A lone ESC is the key when nothing follows for so long. */
#define ESC_TIME (25 * NS_PER_MS)

struct loop {
	struct screen *s;
	struct interrupt *outer;	/* of the program; may be NULL */
	int signals;
	uint64_t drawn;			/* clock_ns() of the last frame */
	uint64_t typed;			/* clock_ns() of the last bytes */
	bool dirty, anew;
};

bool screen_possible(void)
{
	return tty_possible();
}

static int open_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGWINCH);
	sigaddset(set, SIGTSTP);
	sigaddset(set, SIGCONT);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void loop_resize(struct loop *l)
{
	unsigned w, h;

	tty_size(&w, &h);
	tty_resize(w, h);
	canvas_resize(&l->s->sheet.canvas, w, h);
	l->anew = true;
}

static void suspend(struct loop *l)
{
	l->s->suspend = false;
	tty_suspend();
	loop_resize(l);
}

static void take_signals(struct loop *l)
{
	struct signalfd_siginfo info;

	while (read(l->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			l->s->suspend = true;
		if (info.ssi_signo == SIGCONT)
			tty_resume();
		loop_resize(l);
	}
}

/* SIGINT from outside is a Ctrl-C; all others end us. */
static void loop_take_interrupt(struct loop *l)
{
	eventfd_t count;

	eventfd_read(l->outer->fd, &count);
	if (l->outer->signal != SIGINT) {
		l->s->over = true;
		return;
	}
	l->outer->signal = 0;
	action_run(l->s, ACTION_INTERRUPT);
}

/* The terminal is gone when there is nothing to read. */
static void loop_read_keys(struct loop *l)
{
	char bytes[4096];
	ssize_t n = read(tty_fd(), bytes, sizeof(bytes));

	l->typed = clock_ns();
	if (n > 0)
		screen_bytes(l->s, bytes, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		l->s->over = true;
}

static int loop_timeout_ms(const struct loop *l)
{
	uint64_t at = UINT64_MAX;

	if (l->dirty)
		at = l->drawn + FRAME;
	if (!l->s->planning && input_pending(&l->s->input) &&
	    l->typed + ESC_TIME < at)
		at = l->typed + ESC_TIME;
	return clock_poll_ms(at);
}

/* True if a key was handled. */
static bool loop_wait(struct loop *l)
{
	struct pollfd fds[] = {
		{ .fd = tty_fd(), .events = POLLIN },
		{ .fd = client_fd(l->s->client), .events = POLLIN },
		{ .fd = l->signals, .events = POLLIN },
		{ .fd = l->outer ? l->outer->fd : -1, .events = POLLIN },
	};
	int n = poll(fds, 4, loop_timeout_ms(l));

	if (n < 0)
		return false;
	if (fds[3].revents)
		loop_take_interrupt(l);
	if (fds[2].revents)
		take_signals(l);
	if (fds[1].revents) {
		screen_update(l->s);
		l->dirty = true;
	}
	if (fds[0].revents)
		loop_read_keys(l);
	return screen_pump(l->s, !fds[0].revents && clock_ns() >= l->typed +
			   ESC_TIME);
}

/* --- telling the terminal --- */

static char *title(const struct view_jobs *jobs)
{
	const struct view_job *job = NULL;

	for (size_t i = 0; i < jobs->n; i++)
		if (jobs->list[i].end == JOB_LIVES)
			job = &jobs->list[i];
	if (!job)
		return mem_dup("blkmon");
	if (job->ready)
		return mem_printf("READY %s - blkmon", job->id);
	/* Whole tens: a title that changes all the time disturbs. */
	return mem_printf("%u%% %s - blkmon", view_job_percent(job) / 10 * 10,
			  job->id);
}

static void loop_tell(struct loop *l)
{
	struct screen *s = l->s;
	char *now = title(&s->sheet.jobs);

	if (!s->title || strcmp(s->title, now)) {
		free(s->title);
		s->title = now;
		tty_title(now);
	} else {
		free(now);
	}
	if (s->ring && s->options->bell)
		tty_bell();
	if (s->ring && s->options->notify)
		tty_notify("blkmon: a job has ended or is READY");
	s->ring = false;
	if (s->sheet.copy && !tty_copy(s->sheet.copy)) {
		sheet_uncover(&s->sheet);
		sheet_message(&s->sheet, "this terminal has no clipboard");
		l->dirty = true;
	}
	free(s->sheet.copy);
	s->sheet.copy = NULL;
}

static void paint(struct loop *l)
{
	screen_draw(l->s);
	tty_paint(&l->s->sheet.canvas, l->anew);
	l->drawn = clock_ns();
	l->dirty = l->anew = false;
	loop_tell(l);
}

static void loop_run(struct loop *l)
{
	bool key = true;

	while (!l->s->over) {
		if (l->s->suspend)
			suspend(l);
		if (l->s->redraw)
			l->anew = true;
		l->s->redraw = false;
		if (key || l->anew || (l->dirty && clock_ns() >= l->drawn +
				       FRAME))
			paint(l);
		key = loop_wait(l);
	}
}

static int run_on_terminal(struct screen *s, struct interrupt *outer)
{
	sigset_t set;
	struct loop l = { .s = s, .outer = outer,
			  .signals = open_signals(&set) };
	const struct screen_options *o = s->options;
	struct str typed = STR_INIT;

	if (l.signals < 0 || tty_open(o->theme, o->color, o->mouse, &typed)) {
		fputs("blkmon: this terminal can't show the screen\n",
		      stderr);
		return -1;
	}
	screen_bytes(s, str_get(&typed), typed.len);
	str_release(&typed);
	loop_resize(&l);
	loop_run(&l);
	tty_close();
	close(l.signals);
	return 0;
}

/* Who else may read what is typed here is not ours to say: 0600. A file that
 * is there is continued if it is such a log, and nothing else. */
static int open_log(struct screen *s)
{
	const char *name = s->options->log_file, *why = "not such a log";
	int fd;

	if (!name)
		return 0;
	fd = own_file_open(name, LOG_MARK, 0600);
	if (fd >= 0) {
		s->sheet.log.file = fdopen(fd, "a");
		BUG_ON(!s->sheet.log.file);
		return 0;
	}
	if (fd != -EEXIST)
		why = fd == -EINVAL ? "not a regular file" : strerror(-fd);
	err_say("Could not open '%s': %s", name, why);
	return -1;
}

int screen_run(const struct screen_options *o, struct console *console,
	       struct channel *watch)
{
	struct interrupt *outer = console->interrupt;
	struct screen_options options = *o;
	struct screen s;
	int rc;

	options.ascii |= !o->script && tty_is_ascii();
	screen_init(&s, &options, console, watch);
	rc = open_log(&s);
	for (size_t i = 0; i < o->first_count && !rc; i++)
		screen_first(&s, o->first[i]);
	if (!rc)
		rc = o->script ? replay_run(&s, outer) :
			run_on_terminal(&s, outer);
	screen_release(&s);
	console->interrupt = outer;
	return rc;
}
