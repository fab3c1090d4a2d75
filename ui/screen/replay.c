/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/replay.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "ui/screen/screen.h"

static void wait_news(struct screen *s, struct interrupt *outer)
{
	struct pollfd fds[] = {
		{ .fd = client_fd(s->client), .events = POLLIN },
		{ .fd = outer ? outer->fd : -1, .events = POLLIN },
	};

	poll(fds, 2, -1);
	s->over |= outer && outer->signal;
	screen_update(s);
	screen_pump(s, true);
}

static bool has_news(struct screen *s)
{
	struct pollfd fd = { .fd = client_fd(s->client), .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

static bool is_settled(const struct screen *s)
{
	return client_settled(s->client) && !prompt_is_waiting();
}

/* Drawing may ask for maps, and those may change the drawing; they may also be
 * there before one has looked whether they are awaited. */
void replay_settle(struct screen *s, struct interrupt *outer)
{
	do {
		while (!is_settled(s) && !s->over)
			wait_news(s, outer);
		screen_update(s);
		screen_pump(s, true);
		screen_draw(s);
	} while ((!is_settled(s) || has_news(s)) && !s->over);
}

static int replay_fault(const char *what, const char *word)
{
	fprintf(stderr, "blkmon: screen script: %s '%s'\n", what, word);
	return -1;
}

static void press(struct screen *s, const char *bytes)
{
	screen_bytes(s, bytes, strlen(bytes));
	screen_pump(s, true);
	screen_draw(s);
}

static int keys(struct screen *s, char *names, struct interrupt *outer)
{
	char *save = NULL, *name = strtok_r(names, " \t", &save);

	for (; name; name = strtok_r(NULL, " \t", &save)) {
		const char *bytes = input_bytes_of(name);

		if (!bytes)
			return replay_fault("there is no key", name);
		press(s, bytes);
		replay_settle(s, outer);
	}
	return 0;
}

static int replay_resize(struct screen *s, const char *size)
{
	unsigned w, h;

	if (sscanf(size, "%ux%u", &w, &h) != 2 || w > 1000 || h > 1000)
		return replay_fault("no size", size);
	canvas_resize(&s->sheet.canvas, w, h);
	return 0;
}

static bool is_in_state(const struct screen *s, const char *id,
			const char *state)
{
	const struct view_job *job = jobs_find(&s->sheet, id);

	unsigned percent;

	if (!strcmp(state, "done"))
		return !job;
	if (sscanf(state, "%u%%", &percent) == 1)
		return !job || view_job_percent(job) >= percent;
	if (!strcmp(state, "ready"))
		return job && job->ready;
	return job && !strcmp(job->status, state);
}

static int wait_job(struct screen *s, char *words, struct interrupt *outer)
{
	char *state = strchr(words, ' ');

	if (!state)
		return replay_fault("a job and a state are missing in", words);
	*state++ = '\0';
	while (!s->over && !is_in_state(s, words, state))
		wait_news(s, outer);
	return 0;
}

static int paste(struct screen *s, const char *text)
{
	screen_bytes(s, "\033[200~", 6);
	screen_bytes(s, text, strlen(text));
	press(s, "\033[201~");
	return 0;
}

int replay_line(struct screen *s, char *line, struct interrupt *outer)
{
	char *rest = line + strcspn(line, " \t\n");

	line[strcspn(line, "\n")] = '\0';
	if (*rest)
		*rest++ = '\0';
	replay_settle(s, outer);
	if (!*line || *line == '#')
		return 0;
	if (!strcmp(line, "key"))
		return keys(s, rest, outer);
	if (!strcmp(line, "size"))
		return replay_resize(s, rest);
	if (!strcmp(line, "wait"))
		return wait_job(s, rest, outer);
	if (!strcmp(line, "paste"))
		return paste(s, rest);
	if (!strcmp(line, "type"))
		press(s, rest);
	else if (!strcmp(line, "screenshot"))
		screen_shoot(s, rest);
	else
		return replay_fault("there is no command", line);
	return 0;
}

static int replay_run_file(struct screen *s, FILE *file,
			   struct interrupt *outer)
{
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	while (!rc && !s->over && getline(&line, &size, file) >= 0)
		rc = replay_line(s, line, outer);
	free(line);
	return rc;
}

int replay_run(struct screen *s, struct interrupt *outer)
{
	const char *name = s->options->script;
	FILE *file = fopen(name, "re");
	int rc;

	if (!file) {
		fprintf(stderr, "blkmon: Could not open '%s': %s\n", name,
			strerror(errno));
		return -1;
	}
	rc = replay_run_file(s, file, outer);
	fclose(file);
	if (!rc && s->options->screenshot) {
		replay_settle(s, outer);
		rc = canvas_save(&s->sheet.canvas, s->options->theme,
				 s->options->screenshot);
		if (rc)
			fprintf(stderr, "blkmon: screenshot '%s': %s\n",
				s->options->screenshot, strerror(-rc));
	}
	return rc ? -1 : 0;
}
