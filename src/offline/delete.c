/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon delete: images that nothing uses.
 */
#include "src/offline/delete.h"

#include <getopt.h>
#include <stdio.h>

#include "engine/util/mem.h"
#include "src/console/files_text.h"
#include "src/offline/command.h"

#define DELETE_USAGE 2

struct delete_command {
	bool dry_run, data_files, json, help;
	int count;
	char **names;
};

const struct option_row delete_rows[] = {
	{ "dry-run", 'n', .help = "say what would go, and leave it" },
	{ "data-files", 'd',
	  .help = "with the external data files that no other image names" },
	{ "json", OPT_JSON, .help = "as JSON" },
	{ "help", 'h', .help = "this" },
	{ 0 }
};

static const struct option_row *const tables[] = { delete_rows, NULL };

static void delete_show(const struct delete_command *c, const json_t *report)
{
	struct str text = STR_INIT;

	if (c->json) {
		offline_put_json(report);
		return;
	}
	deletion_text(report, c->dry_run, &text);
	offline_put_text(str_get(&text));
	str_release(&text);
}

static json_t *delete_request(const struct delete_command *c, struct err *err)
{
	json_t *files = json_array();

	for (int i = 0; i < c->count; i++) {
		json_t *name = json_string(c->names[i]);

		if (name) {
			json_array_append_new(files, name);
			continue;
		}
		err_set(err, ERR_GENERIC, "'%s' is not UTF-8", c->names[i]);
		json_decref(files);
		return NULL;
	}
	return json_pack("{s:o, s:b, s:b}", "files", files, "dry-run",
			 (int)c->dry_run, "data-files", (int)c->data_files);
}

static int delete_files(const struct delete_command *c)
{
	struct err err = ERR_INIT;
	json_t *request = delete_request(c, &err), *report;
	struct machine *machine;

	if (!request)
		return offline_fail(&err);
	machine = machine_new();
	report = offline_ask(machine, "x-blkmon-delete", request, &err);
	if (report)
		delete_show(c, report);
	json_decref(report);
	machine_free(machine);
	if (!report)
		return offline_fail(&err);
	return fflush(stdout) ? 1 : 0;
}

static int delete_take(struct delete_command *c, int option)
{
	switch (option) {
	case 'n':
		c->dry_run = true;
		return 0;
	case 'd':
		c->data_files = true;
		return 0;
	case OPT_JSON:
		c->json = true;
		return 0;
	case 'h':
		c->help = true;
		return 0;
	default:
		return -1;
	}
}

static int delete_parse(struct delete_command *c, int argc, char **argv)
{
	struct option *longs = option_longs(tables);
	char *letters = option_letters(tables);
	char whole[] = "blkmon delete";
	int option, rc = option_check(argc, argv);

	argv[0] = whole;	/* getopt() says who complains */
	while (!rc && (option = getopt_long(argc, argv, letters, longs,
					    NULL)) != -1)
		rc = delete_take(c, option);
	free(longs);
	free(letters);
	argv[0] = NULL;
	c->count = argc - optind;
	c->names = argv + optind;
	if (rc || c->help || c->count)
		return rc;
	fputs("blkmon delete: name some images\n", stderr);
	return -1;
}

int delete_run(int argc, char **argv, struct signals *signals)
{
	struct delete_command c = { .dry_run = false };
	struct err err = ERR_INIT;

	if (delete_parse(&c, argc, argv)) {
		fputs("Try 'blkmon delete --help'.\n", stderr);
		return DELETE_USAGE;
	}
	if (!c.help)
		return signals_start(signals, &err) ? offline_fail(&err) :
			delete_files(&c);
	option_synopsis(tables, printf("usage: blkmon delete"), stdout);
	puts(" FILE...\n");
	option_help(delete_rows, stdout);
	return 0;
}
