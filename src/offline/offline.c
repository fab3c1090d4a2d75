/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * commit, info, cat. The last two look only: without locks, so that they work
 * beside a running user of the image.
 */
#include "src/offline/offline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/near.h"
#include "engine/util/size.h"
#include "src/console/console.h"
#include "src/console/image_text.h"
#include "src/offline/cat.h"
#include "src/offline/check.h"
#include "src/offline/command.h"
#include "src/offline/history.h"
#include "src/offline/delete.h"
#include "src/offline/places_command.h"
#include "src/process/option.h"
#include "src/qmp/json/text.h"

int offline_usage(void)
{
	fputs("Try 'blkmon --help'.\n", stderr);
	return 2;
}

static void offline_put_line(void *arg, enum console_kind kind,
			     const char *line)
{
	(void)arg;
	(void)kind;
	fputs(line, stdout);
}

void offline_put_text(const char *text)
{
	struct console console = { .write = offline_put_line };

	console_print(&console, CONSOLE_OUT, text);
}

void offline_put_json(const json_t *value)
{
	qmp_dump_line(value, JSON_INDENT(4), stdout);
}

static int offline_add_image(struct offline *o, struct err *err)
{
	/* The image itself will show what it showed before. */
	struct drive_options drive = { .id = o->what, .node = o->node,
				       .force = true, .guess_unsaid = true };

	return engine_add_drive(o->machine->engine, &drive, err);
}

/* --- info --- */

/* NULL: it could not be told, and err says why. */
static json_t *first_image(struct offline *o, struct err *err)
{
	json_t *disks = offline_ask(o->machine, "query-block", NULL, err);
	json_t *disk = json_object_get(json_array_get(disks, 0), "inserted");
	json_t *image = json_incref(json_object_get(disk, "image"));

	json_decref(disks);
	return image;
}

static void print_json(json_t *image)
{
	json_t *list = json_array();

	while (image) {
		json_t *below = json_object_get(image, "backing-image");

		json_incref(below);
		json_object_del(image, "backing-image");
		json_array_append_new(list, image);
		image = below;
	}
	offline_put_json(list);
	json_decref(list);
}

static void print_text(json_t *image)
{
	struct str text = STR_INIT;

	for (json_t *at = image; at;
	     at = json_object_get(at, "backing-image")) {
		if (text.len)
			str_add_char(&text, '\n');
		image_text(at, &text);
	}
	offline_put_text(str_get(&text));
	str_release(&text);
	json_decref(image);
}

/* Where the chain cannot be opened, the image alone is shown beside the
 * reason. */
static int run_info(struct offline *o)
{
	struct err err = ERR_INIT, alone = ERR_INIT;
	json_t *image;
	int rc = 0;

	o->node.no_lock = true;
	if (offline_add_image(o, &err)) {
		o->node.no_backing = true;
		if (offline_add_image(o, &alone))
			return offline_fail(&err);
		rc = offline_fail(&err);
	}
	image = first_image(o, &alone);
	if (!image)
		return offline_fail(&alone);
	(o->json ? print_json : print_text)(image);
	return rc;
}

/* --- cat --- */

static int run_cat(struct offline *o)
{
	struct err err = ERR_INIT;

	o->node.no_lock = true;
	if (offline_add_image(o, &err) ||
	    cat_image(o->machine->engine, o->what, o->offset, o->length,
		      &o->signals->interrupt, &err))
		return offline_fail(&err);
	return 0;
}

/* --- commit --- */

bool offline_progress(uint64_t done, uint64_t total, void *arg)
{
	struct offline *o = arg;

	progress_show(&o->progress, o->what, done, total, false);
	return !o->signals->interrupt.signal;
}

void offline_progress_end(struct offline *o)
{
	progress_end(&o->progress);
}

int offline_begin(struct offline *o, struct err *err)
{
	const struct after_options after = { .no_history = o->no_history };

	o->after = after_start(o->machine->engine, &after, err);
	return o->after ? 0 : -1;
}

/* What the engine had to tell of its own accord. */
static void offline_put_notices(struct offline *o)
{
	struct event ev;
	uint64_t lost;

	while (event_next(&o->notices, &ev, 0, &lost))
		if (ev.type == EVENT_NOTICE)
			err_say("%s", ev.text);
}

void offline_end(struct offline *o)
{
	after_stop(o->after);
	offline_put_notices(o);
}

static int commit_image(struct offline *o, struct err *err)
{
	struct sync_options sync = {
		.device = o->what, .base = o->base, .force = o->force,
		.keep = o->keep,
		.progress = offline_progress, .arg = o,
	};
	int rc;

	if (offline_begin(o, err))
		return -1;
	rc = engine_commit_offline(o->machine->engine, &sync, err);
	if (!rc && o->progress.percent < 100)	/* there was nothing to do */
		progress_show(&o->progress, o->what, 0, 0, true);
	offline_progress_end(o);
	offline_end(o);
	return rc;
}

static int run_commit(struct offline *o)
{
	struct err err = ERR_INIT;
	int rc;

	o->node.read_only = false;
	rc = offline_add_image(o, &err) || commit_image(o, &err);
	if (rc)
		return offline_fail(&err);
	puts("Image committed.");
	return 0;
}

/* --- the command line --- */

static const struct option_row common_rows[] = {
	{ NULL, 'f', "FORMAT", .words = "qcow2|raw",
	  .help = "the format of the image" },
	{ "backing-format", OPT_BACKING_FORMAT, "FORMAT",
	  .words = "qcow2|raw",
	  .help = "of backing files whose link does not record one" },
	{ "data-file", OPT_DATA_FILE, "PATH", .takes = OPTION_FILE,
	  .help = "the external data file of the next image that asks for\n"
		"one; may be repeated" },
	{ "probe", OPT_PROBE,
	  .help = "guess the format of backing files whose link does\n"
		"not record one" },
	{ "help", 'h', .help = "this" },
	{ 0 }
};

static const struct option_row commit_rows[] = {
	{ NULL, 'b', "BASE", .takes = OPTION_FILE,
	  .help = "into BASE; the image keeps its content" },
	OFFLINE_PROGRESS_ROWS,
	{ "force", OPT_FORCE,
	  .help = "even where internal snapshots change, or overlays\n"
		"that are not open" },
	{ "keep", OPT_KEEP,
	  .help = "keep BASE, as a clone that costs nothing, for undo; the\n"
		"image is not emptied" },
	OFFLINE_HISTORY_ROW,
	{ 0 }
};

static const struct option_row info_rows[] = {
	{ "json", OPT_JSON, .help = "as JSON" },
	{ 0 }
};

static const struct option_row cat_rows[] = {
	{ "offset", OPT_OFFSET, "N", .help = "begin there (0)" },
	{ "length", OPT_LENGTH, "N", .help = "how much (all)" },
	{ 0 }
};

/* --- what they mean --- */

static int offline_take_size(const char *value, uint64_t *out)
{
	const char *end = value;

	if (!size_parse(value, out, &end) && !*end)
		return 0;
	err_say("'%s' is no size", value);
	return -1;
}

static int offline_take_output(struct offline *o, const char *value)
{
	int n = option_word("human|json", value);

	if (n < 0)
		fputs("blkmon: --output takes human|json\n", stderr);
	o->json = n == 1;
	return n < 0 ? -1 : 0;
}

/* --- the table --- */

static const struct subcommand {
	const char *name;
	const struct option_row *rows;		/* of its own */
	const char *operands;
	unsigned images_min, images_max;
	int (*run)(struct offline *o);
	/* instead: one that opens no chain and has none of common_rows */
	int (*run_alone)(int argc, char **argv, struct signals *signals);
	const char *help;
} subcommands[] = {
	{ "commit", commit_rows, "IMAGE", 1, 1, run_commit, NULL,
	  "write the image into its backing file, and empty it" },
	{ "info", info_rows, "IMAGE", 1, 1, run_info, NULL,
	  "show the image and all images below it" },
	{ "cat", cat_rows, "IMAGE", 1, 1, run_cat, NULL,
	  "write what a guest would read to standard output" },
	{ "check", check_rows, "IMAGE", 1, 1, NULL, check_run,
	  "say what is wrong with the image, and mend it" },
	{ "map", map_rows, "IMAGE", 1, 1, map_run, NULL,
	  "show where the bytes of the disk lie, in which file" },
	{ "compare", compare_rows, "A B", 2, 2, compare_run,
	  NULL, "say whether two disks read the same" },
	{ "measure", measure_rows, "[IMAGE]", 0, 1, measure_run,
	  NULL, "say how large a file the disk needs" },
	{ "rebase", rebase_rows, "IMAGE", 1, 1, rebase_run, NULL,
	  "give the image another backing file" },
	{ "plan", plan_rows, "commit|stream|snapshot IMAGE [FILE]", 2, 3,
	  plan_run, NULL,
	  "say what that would do to the image, and leave it" },
	{ "history", history_rows, "", 0, 0, NULL, history_run,
	  "show what jobs have done" },
	{ "undo", undo_rows, "BASE", 1, 1, undo_run, NULL,
	  "take back a commit that has kept its base" },
	{ "delete", delete_rows, "FILE...", 1, 0, NULL, delete_run,
	  "remove images that nothing uses" },
	{ "places", places_rows, "", 0, 0, NULL, places_command_run,
	  "say what there is to be attached to on this host" },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(*subcommands))

void offline_names(FILE *out, const char *between, const char *middle)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "%s%s", !i ? "" : i == SUBCOMMANDS / 2 ? middle :
			between, subcommands[i].name);
}

void offline_hint(const char *word)
{
	size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz");
	struct near near;

	if (!len || word[len] || !access(word, F_OK))
		return;
	fprintf(stderr, "blkmon: '%s' is no subcommand either; they are ",
		word);
	offline_names(stderr, ", ", ", ");
	fputs("\n", stderr);
	near_init(&near, word, len);
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		near_try(&near, subcommands[i].name);
	if (near_found(&near))
		fprintf(stderr, "blkmon: did you mean 'blkmon %s'?\n",
			near_found(&near));
}

#define COMMON "All but check, delete and history also take"

void offline_synopsis(FILE *out)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		const struct option_row *own[] = { subcommands[i].rows, NULL };

		option_synopsis(own, fprintf(out, "       blkmon %s",
					     subcommands[i].name), out);
		fprintf(out, "%s%s\n", *subcommands[i].operands ? " " : "",
			subcommands[i].operands);
	}
	fputs(COMMON, out);
	option_synopsis((const struct option_row *[]) { common_rows, NULL },
			(int)strlen(COMMON), out);
	fputs(".\n", out);
}

json_t *offline_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		const struct subcommand *sub = &subcommands[i];
		const struct option_row *tables[] = { sub->rows,
			sub->run ? common_rows : NULL, NULL };

		json_array_append_new(list, json_pack("{s:s, s:s, s:o}",
			"name", sub->name, "help", sub->help,
			"options", option_json(tables)));
	}
	return list;
}

static int offline_print_help(const struct subcommand *sub)
{
	const struct option_row *tables[] = { sub->rows, common_rows, NULL };

	option_synopsis(tables, printf("usage: blkmon %s", sub->name),
			stdout);
	printf(" %s\n\nTo %s.\n\n", sub->operands, sub->help);
	option_help(sub->rows, stdout);
	option_help(common_rows, stdout);
	return 0;
}

/* For the next image of the chain that asks for one. */
static void add_data_file(struct offline *o, const char *path)
{
	const char **files = (const char **)o->node.data_files;

	files = mem_grow(files, o->node.data_file_count + 1, sizeof(*files));
	files[o->node.data_file_count++] = path;
	o->node.data_files = files;
}

/* What the option is kept in, where that is all there is to it: one that comes
 * with different subcommands means the same to them. */
static bool *offline_flag(struct offline *o, int option)
{
	switch (option) {
	case 'h':
		return &o->help;
	case 'p':
		return &o->bar;
	case 'q':
		return &o->quiet;
	case 's':
		return &o->strict;
	case 'u':
		return &o->unsafe;
	case 'U':
		return &o->node.no_lock;
	case OPT_FORCE:
		return &o->force;
	case OPT_JSON:
		return &o->json;
	case OPT_KEEP:
		return &o->keep;
	case OPT_DROP:
		return &o->drop;
	case OPT_NO_HISTORY:
		return &o->no_history;
	case OPT_PROBE:
		return &o->node.probe_backing;
	default:
		return NULL;
	}
}

static const char **offline_text(struct offline *o, int option)
{
	switch (option) {
	case 'b':
		return &o->base;
	case 'f':
		return &o->node.format;
	case 'F':
	case 'O':
		return &o->format;
	case 'o':
		return &o->words;
	case OPT_BACKING_FORMAT:
		return &o->node.backing_format;
	default:
		return NULL;
	}
}

static uint64_t *offline_number(struct offline *o, int option)
{
	switch (option) {
	case OPT_OFFSET:
		return &o->offset;
	case OPT_LENGTH:
		return &o->length;
	case OPT_SIZE:
		return &o->size;
	default:
		return NULL;
	}
}

/* getopt() lets pass what the subcommand's rows have. 0, or -1 and said. */
static int offline_take(struct offline *o, int option, const char *value)
{
	bool *flag = offline_flag(o, option);
	const char **text = offline_text(o, option);
	uint64_t *number = offline_number(o, option);

	if (flag)
		*flag = true;
	if (text)
		*text = value;
	if (flag || text)
		return 0;
	if (number)
		return offline_take_size(value, number);
	switch (option) {
	case OPT_PROGRESS:
		return option_fd(value, &o->progress_fd) ? -1 : 0;
	case OPT_OUTPUT:
		return offline_take_output(o, value);
	case OPT_DATA_FILE:
		add_data_file(o, value);
		return 0;
	default:
		return -1;
	}
}

static int take_images(struct offline *o, const struct subcommand *sub,
		       int count, char **names)
{
	static const char *const words[] = {
		"at most one image", "one image", "two images",
		"what to plan, and one image",
	};

	if (count < (int)sub->images_min || count > (int)sub->images_max) {
		fprintf(stderr, "blkmon %s: name %s\n", sub->name,
			words[sub->images_max > 2 ? 3 : sub->images_min]);
		return -1;
	}
	for (int i = 0; i < count; i++)
		o->image[i] = names[i];
	o->node.path = o->image[0];
	return 0;
}

static int offline_parse(struct offline *o, const struct subcommand *sub,
			 int argc, char **argv)
{
	const struct option_row *tables[] = { sub->rows, common_rows, NULL };
	struct option *longs = option_longs(tables);
	char *letters = option_letters(tables);
	char *whole = mem_printf("blkmon %s", sub->name);
	int option, rc = option_check(argc, argv);

	argv[0] = whole;	/* getopt() says who complains */
	while (!rc && (option = getopt_long(argc, argv, letters, longs,
					    NULL)) != -1)
		rc = offline_take(o, option, optarg);
	free(longs);
	free(letters);
	free(whole);
	argv[0] = NULL;
	if (rc)
		return -1;
	return o->help ? 0 : take_images(o, sub, argc - optind, argv + optind);
}

static int run_parsed(struct offline *o, const struct subcommand *sub)
{
	struct err err = ERR_INIT;
	int status, rc;

	if (signals_start(o->signals, &err))
		return offline_fail(&err);
	progress_init(&o->progress, o->bar ? STDERR_FILENO : -1,
		      o->progress_fd);
	o->what = sub->name;
	o->machine = machine_new();
	signals_attach(o->signals, o->machine->engine);
	rc = event_listen(engine_events(o->machine->engine), &o->notices);
	if (rc) {
		err_sys(&err, rc, "Could not start");
		status = offline_fail(&err);
	} else {
		status = sub->run(o);
		offline_put_notices(o);
		event_unlisten(&o->notices);
	}
	if (machine_sync(o->machine, &err))
		status = offline_fail(&err);
	signals_detach(o->signals);
	machine_free(o->machine);
	if (fflush(stdout) || ferror(stdout))
		status = 1;
	return status;
}

static int offline_run_command(const struct subcommand *sub, int argc,
			       char **argv, struct signals *signals)
{
	struct offline o = {
		.signals = signals, .node = { .read_only = true },
		.progress_fd = -1, .length = UINT64_MAX,
		.size = UINT64_MAX,
	};
	int status;

	if (offline_parse(&o, sub, argc, argv))
		status = offline_usage();
	else
		status = o.help ? offline_print_help(sub) : run_parsed(&o, sub);
	free((void *)o.node.data_files);
	return status;
}

int offline_run(int argc, char **argv, struct signals *signals)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		const struct subcommand *sub = &subcommands[i];

		if (strcmp(sub->name, argv[0]))
			continue;
		return sub->run ? offline_run_command(sub, argc, argv, signals)
				: sub->run_alone(argc, argv, signals);
	}
	return -1;
}
