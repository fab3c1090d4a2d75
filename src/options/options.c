/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/err.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/offline/offline.h"
#include "src/options/drive_option.h"
#include "src/process/option.h"
#include "src/qmp/version.h"

enum { OPT_DRIVE = 256, OPT_PROBE, OPT_LINE, OPT_ECHO, OPT_ON_ERROR,
       OPT_CLASSES, OPT_PRETTY, OPT_DUMP, OPT_ON_EVENT, OPT_NO_HISTORY,
       OPT_PROGRESS, OPT_HELP_ALL,
       OPT_COLOR, OPT_THEME, OPT_ASCII, OPT_NO_MOUSE, OPT_NO_BELL,
       OPT_NOTIFY, OPT_NO_CONFIG, OPT_TOUR, OPT_LOG, OPT_FIRST,
       OPT_UI_SCRIPT, OPT_UI_SIZE, OPT_UI_TIME, OPT_SCREENSHOT,
       OPT_CONNECT, OPT_LOOK, OPT_FORCE_ATTACH, OPT_INSECURE_TCP };

#define COLOR_WORDS "auto|always|never"

static const struct option_row console_rows[] = {
	{ "drive", OPT_DRIVE, "KEY=VALUE,...", .takes = OPTION_KEYS,
	  .help = "open an image; keys: file, id, format (qcow2|raw),\n"
		"readonly (on|off), cache (writeback|none|unsafe),\n"
		"backing-format, data-file, node-name,\n"
		"backing.[backing....]node-name and data-file,\n"
		"metadata-max (bytes of tables in memory, 64M),\n"
		"rerror (report|ignore|stop), werror (the same or\n"
		"enospc): what becomes of a client's requests when\n"
		"the disk fails; force (on: written even if it is the\n"
		"backing file of an image that is not open);\n"
		"a comma inside a value is doubled",
	  .brief = "file=FILE,id=ID,format=qcow2|raw,readonly=on ..." },
	{ "probe", OPT_PROBE,
	  .help = "guess the format of backing files whose link does\n"
		"not record one" },
	{ "connect", OPT_CONNECT, "[NAME=]ADDRESS",
	  .help = "attach to the QMP monitor of a running machine:\n"
		"unix:PATH, tcp:127.0.0.1:PORT, ssh:[USER@]HOST:PATH,\n"
		"with ,look=on to change nothing there, with ,hold=off\n"
		"to be connected only while asking; may be repeated" },
	{ "look", OPT_LOOK,
	  .help = "nothing can be changed at any place of --connect" },
	{ "force-attach", OPT_FORCE_ATTACH,
	  .help = "change a machine though libvirt manages it, which\n"
		"then knows nothing of it" },
	{ "insecure-tcp", OPT_INSECURE_TCP,
	  .help = "tcp may leave this machine, unprotected as it is" },
	{ "command", 'c', "CMD", .takes = OPTION_LINE,
	  .help = "run CMD and leave; may be repeated",
	  .brief = "run CMD and leave; may be repeated" },
	{ "file", 'f', "FILE", .takes = OPTION_FILE,
	  .help = "run the lines of FILE (- is stdin)",
	  .brief = "run the lines of FILE (- is stdin)" },
	{ "line", OPT_LINE,
	  .help = "a prompt, without the screen",
	  .brief = "a prompt, without the screen" },
	{ "yes", 'y',
	  .help = "ask nothing at the prompt or the screen before what\n"
		"can't be taken back; scripts are never asked" },
	{ "color", OPT_COLOR, "WHEN", .words = COLOR_WORDS,
	  .help = COLOR_WORDS ": of the screen; auto obeys\nNO_COLOR" },
	{ "theme", OPT_THEME, "NAME", .words = THEME_WORDS,
	  .help = THEME_WORDS ": auto asks the terminal\nwhether it is dark" },
	{ "ascii", OPT_ASCII, .help = "no glyphs beyond ASCII" },
	{ "no-mouse", OPT_NO_MOUSE,
	  .help = "leave the mouse to the terminal" },
	{ "no-bell", OPT_NO_BELL,
	  .help = "be silent when a job ends" },
	{ "notify", OPT_NOTIFY,
	  .help = "tell the terminal (OSC 9) when a job ends" },
	{ "no-config", OPT_NO_CONFIG,
	  .help = "without the configuration of the screen" },
	{ "log", OPT_LOG, "FILE", .takes = OPTION_FILE,
	  .help = "append what the screen's log shows, as JSON lines" },
	{ "first", OPT_FIRST, "CMD", .takes = OPTION_LINE,
	  .help = "run CMD once the screen, or the prompt, is there; may\n"
		"be repeated" },
	{ "tour", OPT_TOUR, .help = "a guided first minute",
	  .brief = "a guided first minute" },
	{ "ui-script", OPT_UI_SCRIPT, "FILE", .takes = OPTION_FILE,
	  .help = "keys for a screen without a display" },
	{ "ui-size", OPT_UI_SIZE, "COLUMNSxROWS",
	  .help = "its size (80x24)" },
	{ "ui-time", OPT_UI_TIME, "TEXT",
	  .help = "stands for all times on it, like 12:00:00" },
	{ "screenshot", OPT_SCREENSHOT, "FILE",
	  .takes = OPTION_FILE,
	  .help = "save the screen at the end of it (.ans: colours)" },
	{ "echo", OPT_ECHO,
	  .help = "show each line before its result",
	  .brief = "show each line before its result" },
	{ "on-error", OPT_ON_ERROR, "WHAT", .words = "stop|continue",
	  .help = "stop|continue behind a command that failed (stop)",
	  .brief = "stop|continue behind a command that failed" },
	{ "on-event", OPT_ON_EVENT, "PROGRAM", .takes = OPTION_FILE,
	  .help = "run PROGRAM, a path, when a job is ready or over or\n"
		"meets an error: the event stands in BLKMON_EVENT\n"
		"(READY, COMPLETED, CANCELLED, ERROR), BLKMON_JOB,\n"
		"BLKMON_RESULT ..., and as JSON on its stdin; may be\n"
		"repeated",
	  .brief = "run a program of yours when a job is ready or over" },
	{ "no-history", OPT_NO_HISTORY,
	  .help = "no line in the history of jobs" },
	{ "progress", OPT_PROGRESS, "FD",
	  .help = "while a line waits for a job, write bytes done and in\n"
		"all to a descriptor",
	  .brief = "write bytes done and in all to a descriptor" },
	{ "error-classes", OPT_CLASSES, "VERSION", .words = "7.2",
	  .help = "7.2: QMP error classes of QEMU 7.2" },
	{ "pretty", OPT_PRETTY,
	  .help = "indent the replies to QMP lines" },
	{ "help", 'h', .help = "this",
	  .brief = "this" },
	{ "help-all", OPT_HELP_ALL, .help = "all options",
	  .brief = "all options, and those of the subcommands" },
	{ "version", 'V', .help = "which blkmon this is",
	  .brief = "which blkmon this is" },
	{ 0 }
};

/* For those who build blkmon, not for those who use it. */
static const struct option_row builder_rows[] = {
	{ "dump-commands", OPT_DUMP, "FORMAT", .words = "man|json" },
	{ 0 }
};

static const struct option_row *const tables[] = {
	console_rows, daemon_option_rows, builder_rows, NULL
};

const struct option_row *const options_tables[] = {
	console_rows, daemon_option_rows, NULL
};

static const char help_end[] =
"\n"
"Without -c and -f lines are read from stdin; where that has none, --qmp is\n"
"served until it says quit. Exit status: 0 all well, 1 a command or a job\n"
"failed, 2 usage; 128+N ended by signal N.\n";

static enum options_result options_print_brief(void)
{
	fputs("usage: blkmon [OPTIONS] [[ID=]IMAGE...]\n"
	      "       blkmon SUBCOMMAND [OPTIONS] IMAGE\n      ", stdout);
	offline_names(stdout, " ", "\n      ");
	fputs("\nA console over live disk-image chains: snapshot, stream, "
	      "commit.\n\n", stdout);
	option_brief(console_rows, stdout);
	option_brief(daemon_option_rows, stdout);
	return OPTIONS_EXIT;
}

static enum options_result options_print_help(void)
{
	fputs("usage: blkmon [OPTIONS] [[ID=]IMAGE | FOLDER]...\n", stdout);
	offline_synopsis(stdout);
	fputs("\nA console over live disk-image chains: snapshot, stream, "
	      "commit.\n\n", stdout);
	option_help(console_rows, stdout);
	option_help(daemon_option_rows, stdout);
	fputs(help_end, stdout);
	return OPTIONS_EXIT;
}

static enum options_result options_usage(const char *fmt, const char *word)
{
	fputs("blkmon: ", stderr);
	fprintf(stderr, fmt, word);
	fputs("\nTry 'blkmon --help'.\n", stderr);
	return OPTIONS_USAGE;
}

/* Takes @s and keeps it as long as the options live. */
static const char *options_keep(struct options *o, char *s)
{
	o->strings = mem_grow(o->strings, o->string_count + 1,
			      sizeof(*o->strings));
	o->strings[o->string_count++] = s;
	return s;
}

static struct drive_options *new_drive(struct options *o)
{
	struct drive_options *drive;

	o->drives = mem_grow(o->drives, o->drive_count + 1,
			     sizeof(*o->drives));
	drive = &o->drives[o->drive_count++];
	*drive = (struct drive_options) { 0 };
	return drive;
}

static enum options_result wrong(const struct err *err)
{
	err_say("%s", err->text);
	fputs("Try 'blkmon --help'.\n", stderr);
	return OPTIONS_USAGE;
}

static enum options_result options_add_drive(struct options *o,
					     const char *text)
{
	struct drive_options *drive = new_drive(o);
	struct err err = ERR_INIT;
	char *copy = mem_dup(text);

	options_keep(o, copy);
	if (!drive_option_take(drive, copy, &err))
		return OPTIONS_RUN;
	err_prefix(&err, "--drive: ");
	return wrong(&err);
}

/* [ID=]IMAGE; what stands before '=' is an id only if it looks like one, so
 * that a path with '=' needs no quoting. */
static void options_add_image(struct options *o, const char *word)
{
	struct drive_options *d = new_drive(o);
	size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	d->node.path = word;
	if (!len || word[len] != '=')
		return;
	d->id = options_keep(o, mem_printf("%.*s", (int)len, word));
	d->node.path = word + len + 1;
}

static void add_input(struct options *o, bool file, const char *text)
{
	o->inputs = mem_grow(o->inputs, o->input_count + 1,
			     sizeof(*o->inputs));
	o->inputs[o->input_count++] = (struct options_input) {
		.file = file, .text = text,
	};
}

/* Which of the words that option @code knows @value is, into *out. */
static enum options_result options_take_word(int code, const char *value,
					     int *out)
{
	const struct option_row *row = option_find(console_rows, code);

	if (!row)
		row = option_find(builder_rows, code);
	*out = option_word(row->words, value);
	if (*out >= 0)
		return OPTIONS_RUN;
	err_say("--%s: '%s' is not possible", row->name, value);
	fputs("Try 'blkmon --help'.\n", stderr);
	return OPTIONS_USAGE;
}

static enum options_result take_on_error(struct options *o, const char *value)
{
	int word;	/* "stop", "continue" */
	enum options_result rc = options_take_word(OPT_ON_ERROR, value, &word);

	o->go_on = word == 1;
	return rc;
}

/* Where it lies now: the program may go elsewhere. */
static enum options_result add_hook(struct options *o, const char *path)
{
	char *full = realpath(path, NULL);
	struct stat st;

	if (!full || stat(full, &st) || access(full, X_OK)) {
		err_say("--on-event: '%s': %s", path, strerror(errno));
		free(full);
		return OPTIONS_USAGE;
	}
	options_keep(o, full);
	if (!S_ISREG(st.st_mode))
		return options_usage("--on-event: '%s' is no program", path);
	o->hooks = mem_grow(o->hooks, o->after.hook_count + 1,
			    sizeof(*o->hooks));
	o->hooks[o->after.hook_count++] = full;
	o->after.hooks = o->hooks;
	return OPTIONS_RUN;
}

static enum options_result take_dump(struct options *o, const char *value)
{
	int word;	/* "man", "json" */
	enum options_result rc = options_take_word(OPT_DUMP, value, &word);

	o->dump = (enum options_dump)(word + 1);
	return rc;
}

/* --- the screen --- */

static enum options_result take_theme(struct options *o, const char *value)
{
	enum options_result rc;
	int theme;

	rc = options_take_word(OPT_THEME, value, &theme);
	if (rc == OPTIONS_RUN)
		o->screen.theme = (enum theme_name)theme;
	o->theme_said = true;
	return rc;
}

static enum options_result take_color(struct options *o, const char *value)
{
	enum { AUTO, ALWAYS };
	const char *no_color = getenv("NO_COLOR");
	enum options_result rc;
	int word;

	rc = options_take_word(OPT_COLOR, value, &word);
	o->screen.color = word == ALWAYS ||
		(word == AUTO && !(no_color && *no_color));
	return rc;
}

static enum options_result options_take_size(struct options *o,
					     const char *value)
{
	char end;

	if (sscanf(value, "%ux%u%c", &o->screen.columns, &o->screen.rows,
		   &end) == 2 && o->screen.columns <= 1000 &&
	    o->screen.rows <= 1000)
		return OPTIONS_RUN;
	return options_usage("--ui-size: '%s' is not COLUMNSxROWS", value);
}

static enum options_result add_first(struct options *o, const char *line)
{
	o->first = mem_grow(o->first, o->first_count + 1, sizeof(*o->first));
	o->first[o->first_count++] = line;
	return OPTIONS_RUN;
}

/* --- places --- */

static void options_add_place(struct options *o, const char *text)
{
	o->connect = mem_grow(o->connect, o->connect_count + 1,
			      sizeof(*o->connect));
	o->connect[o->connect_count++] = text;
}

/* True if it is one of theirs. */
static bool take_places_option(struct options *o, int option,
			       const char *value)
{
	switch (option) {
	case OPT_CONNECT:
		options_add_place(o, value);
		return true;
	case OPT_LOOK:
		return o->places.look = true;
	case OPT_FORCE_ATTACH:
		return o->places.force = true;
	case OPT_INSECURE_TCP:
		return o->places.any_host = true;
	default:
		return false;
	}
}

static enum options_result check_places(const struct options *o)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < o->connect_count; i++)
		if (places_check(o->connect[i], &o->places, &err)) {
			err_prefix(&err, "--connect: ");
			return wrong(&err);
		}
	return OPTIONS_RUN;
}

/* True if it is one of the screen's own without more to say. */
static bool take_screen_flag(struct screen_options *s, int option,
			     const char *value)
{
	switch (option) {
	case OPT_ASCII:
		return s->ascii = true;
	case OPT_NO_MOUSE:
		s->mouse = false;
		return true;
	case OPT_NO_BELL:
		s->bell = false;
		return true;
	case OPT_NOTIFY:
		return s->notify = true;
	case OPT_TOUR:
		return s->tour = true;
	case OPT_LOG:
		s->log_file = value;
		return true;
	case OPT_UI_SCRIPT:
		s->script = value;
		return true;
	case OPT_UI_TIME:
		s->fixed_time = value;
		return true;
	case OPT_SCREENSHOT:
		s->screenshot = value;
		return true;
	default:
		return false;
	}
}

static enum options_result take_screen(struct options *o, int option,
				       const char *value)
{
	if (take_screen_flag(&o->screen, option, value))
		return OPTIONS_RUN;
	switch (option) {
	case OPT_COLOR:
		return take_color(o, value);
	case OPT_THEME:
		return take_theme(o, value);
	case OPT_UI_SIZE:
		return options_take_size(o, value);
	case OPT_FIRST:
		return add_first(o, value);
	default:
		fputs("Try 'blkmon --help'.\n", stderr);
		return OPTIONS_USAGE;
	}
}

static enum options_result options_take(struct options *o, int option,
					const char *value)
{
	if (take_places_option(o, option, value))
		return OPTIONS_RUN;
	switch (option) {
	case 'c':
	case 'f':
		add_input(o, option == 'f', value);
		return OPTIONS_RUN;
	case OPT_DRIVE:
		return options_add_drive(o, value);
	case OPT_PROBE:
		o->probe = true;
		return OPTIONS_RUN;
	case OPT_LINE:
		o->line = true;
		return OPTIONS_RUN;
	case 'y':
		o->screen.yes = true;
		return OPTIONS_RUN;
	case OPT_NO_CONFIG:
		o->no_config = true;
		return OPTIONS_RUN;
	case OPT_ECHO:
		o->echo = true;
		return OPTIONS_RUN;
	case OPT_PRETTY:
		o->pretty = true;
		return OPTIONS_RUN;
	case OPT_ON_ERROR:
		return take_on_error(o, value);
	case OPT_CLASSES:
		o->classes_72 = true;
		return options_take_word(option, value, &(int){ 0 });
	case OPT_DUMP:
		return take_dump(o, value);
	case OPT_PROGRESS:
		return option_fd(value, &o->progress_fd) ?
			OPTIONS_USAGE : OPTIONS_RUN;
	case OPT_ON_EVENT:
		return add_hook(o, value);
	case OPT_NO_HISTORY:
		o->after.no_history = true;
		return OPTIONS_RUN;
	case 'h':
		return options_print_brief();
	case OPT_HELP_ALL:
		return options_print_help();
	case 'V':
		puts("blkmon " BLKMON_VERSION);
		return OPTIONS_EXIT;
	default:
		return take_screen(o, option, value);
	}
}

static enum options_result take_daemon(struct options *o, const char *name,
				       const char *value)
{
	struct err err = ERR_INIT;

	if (!daemon_options_take(&o->daemon, name, value, &err))
		return OPTIONS_RUN;
	err_prefix(&err, "--%s: ", name);
	return wrong(&err);
}

static enum options_result options_check(const struct options *o)
{
	struct err err = ERR_INIT;

	if (o->line && o->input_count)
		return options_usage("%s and -c or -f exclude each other",
				     "--line");
	if (o->screen.script && o->input_count)
		return options_usage("%s and -c or -f exclude each other",
				     "--ui-script");
	if (o->screen.screenshot && !o->screen.script)
		return options_usage("%s is saved at the end of --ui-script, "
				     "and there is none", "--screenshot");
	if (daemon_options_check(&o->daemon, o->line || o->input_count, &err))
		return wrong(&err);
	return check_places(o);
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	enum options_result rc = OPTIONS_RUN;
	struct option *longs = option_longs(tables);
	char *letters = option_letters(tables);
	int option, i = 0;

	*o = (struct options) { .progress_fd = -1,
				.screen = { .mouse = true, .bell = true,
					    .columns = 80, .rows = 24 } };
	take_color(o, "auto");
	if (option_check(argc, argv)) {
		fputs("Try 'blkmon --help'.\n", stderr);
		rc = OPTIONS_USAGE;
	}
	while (rc == OPTIONS_RUN && (option = getopt_long(argc, argv,
				letters, longs, &i)) != -1)
		rc = option == DAEMON_OPTION
			     ? take_daemon(o, longs[i].name, optarg)
			     : options_take(o, option, optarg);
	free(longs);
	free(letters);
	o->first_image = o->drive_count;
	for (i = optind; rc == OPTIONS_RUN && i < argc; i++)
		options_add_image(o, argv[i]);
	for (size_t n = 0; n < o->drive_count; n++) {
		o->drives[n].node.probe_backing = o->probe;
		o->drives[n].incomplete = n >= o->first_image &&
			!o->daemon.serves && !o->daemon.command_count;
	}
	return rc == OPTIONS_RUN ? options_check(o) : rc;
}

void options_release(struct options *o)
{
	for (size_t i = 0; i < o->string_count; i++)
		free(o->strings[i]);
	daemon_options_release(&o->daemon);
	free(o->strings);
	for (size_t i = 0; i < o->drive_count; i++) {
		free((void *)o->drives[i].node.below);
		free((void *)o->drives[i].node.data_files);
	}
	free(o->drives);
	free(o->inputs);
	free(o->connect);
	free(o->first);
	free(o->hooks);
}
