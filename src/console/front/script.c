/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/front/script.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/console/hmp/wait.h"
#include "src/console/line/console_run.h"

/* One line; also bounds what a stray binary file costs. */
#define LINE_MAX_BYTES (1u << 20)

static void script_write_line(void *arg, enum console_kind kind,
			      const char *line)
{
	struct script *b = arg;

	if (kind == CONSOLE_EVENT)
		return;
	b->failed |= kind == CONSOLE_FAILURE;
	if (kind == CONSOLE_FAILURE || kind == CONSOLE_HINT || !b->started) {
		fflush(stdout);
		fprintf(stderr, "blkmon: %s", line);
		return;
	}
	fputs(line, stdout);
	if (kind != CONSOLE_OUT)
		fflush(stdout);
}

void script_init(struct script *b, struct console *console)
{
	*b = (struct script) { .console = console };
	console->write = script_write_line;
	console->arg = b;
}

/* A reader that went away, or a full disk, ends the script. */
static bool flush_output(struct script *b)
{
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	if (!b->failed)
		fprintf(stderr, "blkmon: cannot write the output: %s\n",
			strerror(errno));
	b->failed = true;
	b->console->quit = true;
	return false;
}

bool script_line(struct script *b, const char *line)
{
	struct console *c = b->console;
	int rc;

	b->started = true;
	if (b->echo) {	/* seen while the line is at work: it may wait */
		printf("(blkmon) %s\n", line);
		fflush(stdout);
	}
	rc = console_run(c, line);
	b->failed |= rc != 0;
	if (!flush_output(b) || c->quit || console_interrupted(c))
		return false;
	return !rc || b->go_on;
}

/* Input, or events meanwhile. False when a signal came. */
static bool wait_input(struct script *b, int fd)
{
	struct console *c = b->console;
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = channel_event_fd(c->channel), .events = POLLIN },
		{ .fd = c->interrupt ? c->interrupt->fd : -1,
		  .events = POLLIN },
	};

	while (!console_interrupted(c) && !c->quit) {
		fds[0].revents = 0;
		poll(fds, 3, -1);
		if (fds[1].revents)
			console_events(c, 0);
		if (fds[0].revents)
			return true;
	}
	return false;
}

static bool script_complain(struct script *b, const char *text)
{
	fflush(stdout);
	fprintf(stderr, "blkmon: %s\n", text);
	b->failed = true;
	return false;
}

/* Runs the whole lines in @input and keeps the rest. A line that a zero byte
 * would cut short is not what somebody meant. */
static bool script_run_lines(struct script *b, struct str *input)
{
	char *line = input->s, *end = line + input->len, *nl;
	bool more = true;

	while (more && (nl = memchr(line, '\n', (size_t)(end - line)))) {
		if (memchr(line, '\0', (size_t)(nl - line)))
			return script_complain(b,
					       "a line has a zero byte in it");
		*nl = '\0';
		if (nl > line && nl[-1] == '\r')
			nl[-1] = '\0';
		more = script_line(b, line);
		line = nl + 1;
	}
	input->len = (size_t)(end - line);
	memmove(input->s, line, input->len);
	input->s[input->len] = '\0';
	return more;
}

/* The end of input: a last line without its newline runs too. */
static bool run_rest(struct script *b, struct str *input)
{
	bool more = true;

	if (input->len) {
		str_add_char(input, '\n');
		more = script_run_lines(b, input);
	}
	if (more && console_is_pending(b->console))
		return script_complain(b,
				       "the input ends inside a JSON object or "
				       "a transaction");
	return more;
}

static bool cannot_read(struct script *b)
{
	char text[128];

	snprintf(text, sizeof(text), "cannot read the lines: %s",
		 strerror(errno));
	return script_complain(b, text);
}

static bool script_read_all(struct script *b, int fd, struct str *input)
{
	char buf[4096];
	ssize_t n;

	while (wait_input(b, fd)) {
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return cannot_read(b);
		if (n == 0)
			return run_rest(b, input);
		str_add_mem(input, buf, (size_t)n);
		if (!script_run_lines(b, input))
			return false;
		if (input->len > LINE_MAX_BYTES)
			return script_complain(b,
					       "a line is longer than 1 MiB");
	}
	return false;
}

bool script_read(struct script *b, int fd)
{
	struct str input = STR_INIT;
	bool more = script_read_all(b, fd, &input);

	str_release(&input);
	return more;
}

void script_end(struct script *b)
{
	if (wait_end(b->console))
		b->failed = true;
	flush_output(b);
}
