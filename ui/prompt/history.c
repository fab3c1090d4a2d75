/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/prompt/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <readline/history.h>

#include "engine/util/mem.h"

#define HISTORY_LINES 1000

/* $XDG_STATE_HOME/blkmon/history, its folder made; caller frees. NULL without
 * a home. */
static char *history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *dir, *path;

	if (state && *state == '/')
		dir = mem_dup(state);
	else if (home && *home)
		dir = mem_printf("%s/.local/state", home);
	else
		return NULL;
	for (char *s = strchr(dir + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		mkdir(dir, 0700);
		*s = '/';
	}
	mkdir(dir, 0700);
	path = mem_printf("%s/blkmon", dir);
	mkdir(path, 0700);
	free(dir);
	dir = path;
	path = mem_printf("%s/history", dir);
	free(dir);
	return path;
}

void history_load(void)
{
	char *path = history_path();

	using_history();
	stifle_history(HISTORY_LINES);
	if (path)
		read_history(path);
	free(path);
}

void history_save(void)
{
	char *path = history_path();

	if (path)
		write_history(path);
	free(path);
}

void history_remember(const char *line)
{
	HIST_ENTRY *last = history_length ?
		history_get(history_base + history_length - 1) : NULL;

	if (*line && (!last || strcmp(last->line, line)))
		add_history(line);
}
