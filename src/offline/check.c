/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon check. What is found goes to stderr, what it comes to to stdout.
 */
#include "src/offline/check.h"
#include "src/offline/command.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/util/str.h"

enum { STATUS_WELL, STATUS_FAILED, STATUS_CORRUPT, STATUS_LEAKS,
       STATUS_NOT_SUPPORTED = 63 };

typedef unsigned long long ull;

struct check_command {
	struct check_file file;
	struct check_options o;
	struct signals *signals;
	bool json, quiet, help;
	const char *format;		/* what it is */
	struct check_report r;
};

static void check_put_line(void *arg, const char *line)
{
	struct str safe = STR_INIT;

	(void)arg;
	str_add_safe(&safe, line);
	fprintf(stderr, "%s\n", str_get(&safe));
	str_release(&safe);
}

/* An error may have a second line, of advice. */
static int offline_check_fail(const struct err *err)
{
	char text[ERR_TEXT_MAX];
	char *rest = text;

	memcpy(text, err->text, sizeof(text));
	fputs("blkmon: ", stderr);
	for (char *line; (line = strsep(&rest, "\n"));)
		check_put_line(NULL, line);
	return STATUS_FAILED;
}

static bool check_stop(void *arg)
{
	const struct check_command *c = arg;

	return c->signals->interrupt.signal;
}

/* --- what it came to --- */

static void put_mended(const struct check_report *r)
{
	if (!r->corruptions_fixed && !r->leaks_fixed)
		return;
	printf("The following inconsistencies were found and repaired:\n\n"
	       "    %llu leaked clusters\n    %llu corruptions\n\n"
	       "Double checking the fixed image now...\n",
	       (ull)r->leaks_fixed, (ull)r->corruptions_fixed);
}

static void put_left(const struct check_report *r)
{
	if (!r->corruptions && !r->leaks && !r->check_errors)
		puts("No errors were found on the image.");
	if (r->corruptions)
		printf("\n%llu errors were found on the image.\n"
		       "Data may be corrupted, or further writes to the image "
		       "may corrupt it.\n", (ull)r->corruptions);
	if (r->leaks)
		printf("\n%llu leaked clusters were found on the image.\n"
		       "This means waste of disk space, but no harm to data."
		       "\n", (ull)r->leaks);
	if (r->check_errors)
		printf("\n%llu internal errors have occurred during the check."
		       "\n", (ull)r->check_errors);
}

static double percent(uint64_t part, uint64_t of)
{
	return 100.0 * (double)part / (double)of;
}

static void put_text(const struct check_report *r)
{
	put_mended(r);
	put_left(r);
	if (r->total_clusters && r->allocated_clusters)
		printf("%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, "
		       "%0.2f%% compressed clusters\n",
		       (ull)r->allocated_clusters, (ull)r->total_clusters,
		       percent(r->allocated_clusters, r->total_clusters),
		       percent(r->fragmented_clusters, r->allocated_clusters),
		       percent(r->compressed_clusters, r->allocated_clusters));
	if (r->image_end)
		printf("Image end offset: %llu\n", (ull)r->image_end);
}

/* qemu-img leaves out what is 0. */
static void put_json(const struct check_command *c)
{
	const struct { const char *name; uint64_t value; } some[] = {
		{ "image-end-offset", c->r.image_end },
		{ "corruptions", c->r.corruptions },
		{ "leaks", c->r.leaks },
		{ "corruptions-fixed", c->r.corruptions_fixed },
		{ "leaks-fixed", c->r.leaks_fixed },
		{ "total-clusters", c->r.total_clusters },
		{ "allocated-clusters", c->r.allocated_clusters },
		{ "fragmented-clusters", c->r.fragmented_clusters },
		{ "compressed-clusters", c->r.compressed_clusters },
	};
	struct str name = STR_INIT;
	json_t *all;

	str_add_safe(&name, c->file.path);
	all = json_pack("{s:s, s:s, s:I}", "filename", str_get(&name),
			"format", c->format, "check-errors",
			(json_int_t)c->r.check_errors);
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		if (some[i].value)
			json_object_set_new(all, some[i].name, json_integer(
					    (json_int_t)some[i].value));
	offline_put_json(all);
	json_decref(all);
	str_release(&name);
}

static int check_judge(struct check_command *c)
{
	if (c->json)
		put_json(c);
	else if (!c->quiet)
		put_text(&c->r);
	if (fflush(stdout) || ferror(stdout))
		return STATUS_FAILED;
	if (c->r.check_errors) {
		fputs("blkmon: Check failed\n", stderr);
		return STATUS_FAILED;
	}
	return c->r.corruptions ? STATUS_CORRUPT :
		c->r.leaks ? STATUS_LEAKS : STATUS_WELL;
}

/* --- the command line --- */

const struct option_row check_rows[] = {
	{ "format", 'f', "FORMAT", .words = "qcow2|raw",
	  .help = "the format of the image" },
	{ "repair", 'r', "WHAT", .words = "leaks|all",
	  .help = "mend what is wrong, or leaks alone" },
	{ "quiet", 'q', .help = "say only what is wrong" },
	{ "force-share", 'U',
	  .help = "look even while another program writes the image" },
	OFFLINE_OUTPUT_ROWS,
	{ "help", 'h', .help = "this" },
	{ 0 }
};

static const struct option_row *const tables[] = { check_rows, NULL };

/* Which of the words of option @code @value is; -1 and said if none. */
static int check_take_word(int code, const char *value)
{
	const struct option_row *row = option_find(check_rows, code);
	int n = option_word(row->words, value);

	if (n < 0)
		fprintf(stderr, "blkmon: --%s takes %s\n", row->name,
			row->words);
	return n;
}

static int take_repair(struct check_command *c, const char *value)
{
	int n = check_take_word('r', value);

	c->o.fix = n == 1 ? CHECK_FIX_ALL : CHECK_FIX_LEAKS;
	return n < 0 ? -1 : 0;
}

static int check_take_output(struct check_command *c, const char *value)
{
	int n = check_take_word(OPT_OUTPUT, value);

	c->json = n == 1;
	return n < 0 ? -1 : 0;
}

static int check_take(struct check_command *c, int option, const char *value)
{
	switch (option) {
	case 'f':
		c->file.format = value;
		return 0;
	case 'r':
		return take_repair(c, value);
	case 'q':
		c->quiet = true;
		return 0;
	case 'U':
		c->file.force_share = true;
		return 0;
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_OUTPUT:
		return check_take_output(c, value);
	case 'h':
		c->help = true;
		return 0;
	default:
		return -1;
	}
}

static int check_parse(struct check_command *c, int argc, char **argv)
{
	struct option *longs = option_longs(tables);
	char *letters = option_letters(tables);
	char whole[] = "blkmon check";
	int option, rc = option_check(argc, argv);

	argv[0] = whole;	/* getopt() says who complains */
	while (!rc && (option = getopt_long(argc, argv, letters, longs,
					    NULL)) != -1)
		rc = check_take(c, option, optarg);
	free(longs);
	free(letters);
	argv[0] = NULL;
	if (rc)
		return -1;
	if (c->help)
		return 0;
	if (optind != argc - 1) {
		fputs("blkmon check: name one image\n", stderr);
		return -1;
	}
	if (c->o.fix && c->file.force_share) {
		fputs("blkmon check: --force-share only looks\n", stderr);
		return -1;
	}
	c->file.path = argv[optind];
	return 0;
}

static int offline_check_image(struct check_command *c)
{
	struct err err = ERR_INIT;
	int rc;

	if (signals_start(c->signals, &err))
		return offline_check_fail(&err);
	rc = engine_check_file(&c->file, &c->o, &c->r, &c->format, &err);
	if (!rc)
		return check_judge(c);
	offline_check_fail(&err);
	return err.class == ERR_NOT_SUPPORTED ? STATUS_NOT_SUPPORTED :
		STATUS_FAILED;
}

int check_run(int argc, char **argv, struct signals *signals)
{
	struct check_command c = {
		.signals = signals,
		.o = { .say = check_put_line, .stop = check_stop, .arg = &c },
	};

	if (check_parse(&c, argc, argv)) {
		fputs("Try 'blkmon check --help'.\n", stderr);
		return STATUS_FAILED;
	}
	if (!c.help)
		return offline_check_image(&c);
	option_synopsis(tables, printf("usage: blkmon check"), stdout);
	puts(" IMAGE\n");
	option_help(check_rows, stdout);
	return STATUS_WELL;
}
