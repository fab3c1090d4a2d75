/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/prompt/history.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>

#include "engine/util/mem.h"
#include "engine/util/own_file.h"
#include "ui/prompt/editor.h"

#define HISTORY_LINES 1000

/* What is no text, or no line, the editor must not get. */
static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
		      O_NOCTTY);
	struct stat st;
	FILE *file = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) ?
		fdopen(fd, "r") : NULL;
	size_t size = 0;
	char *line = NULL;

	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (getline(&line, &size, file) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && editor_takes(line))
			add_history(line);
	}
	free(line);
	fclose(file);
}

/* A new file takes the place of the old one, whatever that was. */
static void save(const char *path)
{
	char *made = mem_printf("%s.%ld", path, (long)getpid());
	int fd = own_file_new(made, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	HIST_ENTRY **list = history_list();
	bool bad;

	if (file) {
		for (; list && *list; list++)
			fprintf(file, "%s\n", (*list)->line);
		bad = ferror(file);
		bad |= fclose(file) != 0;
		if (bad || rename(made, path))
			unlink(made);
	}
	free(made);
}

void history_load(void)
{
	char *path = own_file_state("history");

	using_history();
	stifle_history(HISTORY_LINES);
	if (path)
		load(path);
	free(path);
}

void history_save(void)
{
	char *path = own_file_state("history");

	if (path)
		save(path);
	free(path);
}

void history_remember(const char *line)
{
	HIST_ENTRY *last = history_length ?
		history_get(history_base + history_length - 1) : NULL;

	if (*line && (!last || strcmp(last->line, line)))
		add_history(line);
}
