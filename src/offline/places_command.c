/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/offline/places_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/scan.h"

enum { OPT_SCAN = 256 };

const struct option_row places_rows[] = {
	{ "scan", OPT_SCAN,
	  .help = "list the QMP sockets of this host that command\n"
		"lines name, whose they are and who holds them;\n"
		"nothing is connected to" },
	{ "help", 'h', .help = "this" },
	{ 0 }
};

static const struct option_row *const places_tables[] = { places_rows, NULL };

static void places_print(const struct scan_found *found, void *arg)
{
	unsigned *count = arg;
	struct str line = STR_INIT;

	++*count;
	str_add(&line, "unix:");
	str_add_safe(&line, found->path);
	str_addf(&line, "  %s (pid %ld)", found->process, found->pid);
	if (*found->guest) {
		str_add(&line, ", guest ");
		str_add_safe(&line, found->guest);
	}
	if (*found->holder)
		str_addf(&line, ", held by %s", found->holder);
	if (!found->permitted)
		str_add(&line, ", not permitted to us");
	puts(str_get(&line));
	str_release(&line);
}

static int places_scan(void)
{
	unsigned count = 0;
	int rc = scan_monitors(places_print, &count);

	if (rc)
		fprintf(stderr, "blkmon places: /proc: %s\n", strerror(-rc));
	else if (!count)
		fputs("blkmon places: no process that we may see has a QMP "
		      "socket\n", stderr);
	return fflush(stdout) || rc ? 1 : 0;
}

static int places_help(void)
{
	option_synopsis(places_tables, printf("usage: blkmon places"), stdout);
	puts("\n\nTo say what there is to be attached to on this host.\n");
	option_help(places_rows, stdout);
	return 0;
}

int places_command_run(int argc, char **argv, struct signals *signals)
{
	struct option *longs = option_longs(places_tables);
	char *letters = option_letters(places_tables);
	bool scan = false, help = false, wrong = false;
	int option;

	(void)signals;
	argv[0] = (char[]){ "blkmon places" };
	while ((option = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		scan |= option == OPT_SCAN;
		help |= option == 'h';
		wrong |= option == '?';
	}
	free(longs);
	free(letters);
	if (help)
		return places_help();
	if (scan && !wrong && optind == argc)
		return places_scan();
	fputs("Try 'blkmon places --help'.\n", stderr);
	return 2;
}
