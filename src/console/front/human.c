/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/front/human.h"

#include "engine/util/mem.h"
#include "src/console/console.h"
#include "src/console/line/console_run.h"

static void collect(void *arg, enum console_kind kind, const char *line)
{
	if (kind == CONSOLE_OUT)
		str_add(arg, line);
}

char *human_line(struct machine *machine, const char *line)
{
	struct channel *channel = channel_local_new(machine);
	struct str text = STR_INIT;
	struct console console;

	if (!channel)
		return mem_dup("Error: Too many open files\n");
	console_init(&console, channel);
	console.write = collect;
	console.arg = &text;
	console_run_hmp(&console, line);
	console_release(&console);
	channel_free(channel);
	if (!text.lost)
		return str_detach(&text);
	str_release(&text);
	return NULL;
}
