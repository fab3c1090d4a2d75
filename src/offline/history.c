/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon history: what jobs have done, of all programs of the user.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/console/history_text.h"
#include "src/history/job_history.h"
#include "src/offline/command.h"
#include "src/offline/history.h"

#define HISTORY_USUAL 20

const struct option_row history_rows[] = {
	{ NULL, 'n', "N", .help = "the last N jobs (20)" },
	{ "json", OPT_JSON, .help = "as JSON" },
	{ "help", 'h', .help = "this" },
	{ 0 }
};

struct history_options {
	bool json, help;
	size_t most;
};

static int history_usage(const char *fmt, const char *word)
{
	fputs("blkmon history: ", stderr);
	fprintf(stderr, fmt, word);
	fputs("\nTry 'blkmon history --help'.\n", stderr);
	return 2;
}

static int history_take_count(struct history_options *o, const char *value)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || *end || end == value || n < 0 || n > 1000000)
		return history_usage("'%s' is no number of jobs", value);
	o->most = (size_t)n;
	return 0;
}

/* 0, or the exit status. */
static int history_parse(struct history_options *o, int argc, char **argv)
{
	const struct option_row *tables[] = { history_rows, NULL };
	struct option *longs = option_longs(tables);
	char *letters = option_letters(tables);
	int option, rc = option_check(argc, argv);

	*o = (struct history_options) { .most = HISTORY_USUAL };
	argv[0] = (char *)"blkmon history";	/* getopt() says who */
	while (!rc && (option = getopt_long(argc, argv, letters, longs,
					    NULL)) != -1) {
		if (option == 'n')
			rc = history_take_count(o, optarg);
		else if (option == OPT_JSON)
			o->json = true;
		else if (option == 'h')
			o->help = true;
		else
			rc = 2;
	}
	free(longs);
	free(letters);
	if (!rc && optind < argc)
		rc = history_usage("'%s' is too much", argv[optind]);
	return rc;
}

static void history_print(const json_t *list, bool json)
{
	struct str text = STR_INIT;

	if (json) {
		offline_put_json(list);
		return;
	}
	history_text(list, &text);
	offline_put_text(str_get(&text));
	str_release(&text);
}

int history_run(int argc, char **argv, struct signals *signals)
{
	struct history_options o;
	struct err err = ERR_INIT;
	int rc = history_parse(&o, argc, argv);
	json_t *list;

	(void)signals;
	if (rc)
		return rc;
	if (o.help) {
		puts("usage: blkmon history [-n N] [--json]\n\n"
		     "To show what jobs have done, the newest first.\n");
		option_help(history_rows, stdout);
		return 0;
	}
	list = job_history_read(o.most, &err);
	if (!list)
		return offline_fail(&err);
	history_print(list, o.json);
	json_decref(list);
	return fflush(stdout) || ferror(stdout);
}
