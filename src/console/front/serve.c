/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/front/serve.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>

#include "src/console/hmp/wait.h"

static void serve_write_line(void *arg, enum console_kind kind,
			     const char *line)
{
	(void)arg;
	if (kind == CONSOLE_NOTICE || kind == CONSOLE_FAILURE)
		fprintf(stderr, "blkmon: %s", line);
}

void serve_init(struct console *console)
{
	console->write = serve_write_line;
}

int serve_run(struct console *c, int end)
{
	struct pollfd fds[] = {
		{ .fd = channel_event_fd(c->channel), .events = POLLIN },
		{ .fd = c->interrupt ? c->interrupt->fd : -1,
		  .events = POLLIN },
		{ .fd = end, .events = POLLIN },
	};

	while (!c->quit && !console_interrupted(c) && !fds[2].revents) {
		poll(fds, 3, -1);
		console_events(c, 0);
	}
	return fds[2].revents && !c->quit ? wait_end(c) : 0;
}
