/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "engine/util/str.h"
#include "src/qmp/version.h"

enum { OPT_DRIVE = 256, OPT_PROBE, OPT_LINE, OPT_ECHO, OPT_ON_ERROR,
       OPT_CLASSES, OPT_PRETTY, OPT_DUMP, OPT_DAEMON,
       OPT_COLOR, OPT_THEME, OPT_ASCII, OPT_NO_MOUSE, OPT_NO_BELL,
       OPT_NOTIFY, OPT_TOUR, OPT_LOG, OPT_FIRST, OPT_UI_SCRIPT, OPT_UI_SIZE,
       OPT_UI_TIME, OPT_SCREENSHOT };

static const struct option long_options[] = {
	{ "command", required_argument, NULL, 'c' },
	{ "file", required_argument, NULL, 'f' },
	{ "drive", required_argument, NULL, OPT_DRIVE },
	{ "probe", no_argument, NULL, OPT_PROBE },
	{ "line", no_argument, NULL, OPT_LINE },
	{ "echo", no_argument, NULL, OPT_ECHO },
	{ "on-error", required_argument, NULL, OPT_ON_ERROR },
	{ "error-classes", required_argument, NULL, OPT_CLASSES },
	{ "pretty", no_argument, NULL, OPT_PRETTY },
	{ "qmp", required_argument, NULL, OPT_DAEMON },
	{ "chardev", required_argument, NULL, OPT_DAEMON },
	{ "monitor", required_argument, NULL, OPT_DAEMON },
	{ "object", required_argument, NULL, OPT_DAEMON },
	{ "blockdev", required_argument, NULL, OPT_DAEMON },
	{ "nbd-server", required_argument, NULL, OPT_DAEMON },
	{ "nbd", required_argument, NULL, OPT_DAEMON },
	{ "export", required_argument, NULL, OPT_DAEMON },
	{ "pidfile", required_argument, NULL, OPT_DAEMON },
	{ "daemonize", no_argument, NULL, OPT_DAEMON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "dump-commands", required_argument, NULL, OPT_DUMP },
	{ "color", required_argument, NULL, OPT_COLOR },
	{ "theme", required_argument, NULL, OPT_THEME },
	{ "ascii", no_argument, NULL, OPT_ASCII },
	{ "no-mouse", no_argument, NULL, OPT_NO_MOUSE },
	{ "no-bell", no_argument, NULL, OPT_NO_BELL },
	{ "notify", no_argument, NULL, OPT_NOTIFY },
	{ "tour", no_argument, NULL, OPT_TOUR },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "first", required_argument, NULL, OPT_FIRST },
	{ "ui-script", required_argument, NULL, OPT_UI_SCRIPT },
	{ "ui-size", required_argument, NULL, OPT_UI_SIZE },
	{ "ui-time", required_argument, NULL, OPT_UI_TIME },
	{ "screenshot", required_argument, NULL, OPT_SCREENSHOT },
	{ 0 }
};

static const char help_text[] =
"usage: blkmon [OPTIONS] [[ID=]IMAGE...]\n"
"       blkmon commit [-f FMT] [-b BASE] [-p] [--progress=FD] IMAGE\n"
"       blkmon info [-f FMT] [--json] IMAGE\n"
"       blkmon cat [-f FMT] [--offset N] [--length N] IMAGE\n"
"These three also take --probe, --backing-format FMT and --data-file PATH.\n"
"\n"
"A console over live disk-image chains: snapshot, stream, commit.\n"
"\n"
"  --drive KEY=VALUE,...   open an image; keys: file, id, format (qcow2|raw),\n"
"                          readonly (on|off), cache (writeback|none|unsafe),\n"
"                          backing-format, data-file, node-name,\n"
"                          backing.[backing....]node-name,\n"
"                          metadata-max (bytes of tables in memory, 64M),\n"
"                          rerror (report|ignore|stop), werror (the same or\n"
"                          enospc): what becomes of a client's requests when\n"
"                          the disk fails;\n"
"                          a comma inside a value is doubled\n"
"  --probe                 guess the format of backing files whose link does\n"
"                          not record one\n"
"  -c, --command CMD       run CMD and leave; may be repeated\n"
"  -f, --file FILE         run the lines of FILE (- is stdin)\n"
"      --line              a prompt, without the screen\n"
"      --color auto|always|never, --theme dark|light|mono\n"
"                          of the screen; NO_COLOR is obeyed\n"
"      --ascii             no glyphs beyond ASCII\n"
"      --no-mouse, --no-bell\n"
"      --notify            tell the terminal (OSC 9) when a job ends\n"
"      --log FILE          append what the screen's log shows, as JSON lines\n"
"      --first CMD         run CMD once the screen is there; may be repeated\n"
"      --tour              a guided first minute\n"
"      --ui-script FILE    keys for a screen without a display; --ui-size\n"
"                          80x24, --ui-time 12:00:00 stands for all times\n"
"      --screenshot FILE   save the screen at the end of it (.ans: colours)\n"
"      --echo              show each line before its result\n"
"      --on-error stop|continue   behind a command that failed (stop)\n"
"      --error-classes 7.2        QMP error classes of QEMU 7.2\n"
"      --pretty            indent the replies to QMP lines\n"
"  -h, --help, -V, --version\n";

static const char help_end[] =
"\n"
"Without -c and -f lines are read from stdin; where that has none, --qmp is\n"
"served until it says quit. Exit status: 0 all well, 1 a command or a job\n"
"failed, 2 usage; 128+N ended by signal N.\n";

static enum options_result print_help(void)
{
	fputs(help_text, stdout);
	fputs(daemon_options_help, stdout);
	fputs(help_end, stdout);
	return OPTIONS_EXIT;
}

static enum options_result usage(const char *fmt, const char *word)
{
	fputs("blkmon: ", stderr);
	fprintf(stderr, fmt, word);
	fputs("\nTry 'blkmon --help'.\n", stderr);
	return OPTIONS_USAGE;
}

/* Takes @s and keeps it as long as the options live. */
static const char *keep(struct options *o, char *s)
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

/* --- --drive --- */

static int set_format(struct drive_options *d, const char *value)
{
	d->node.format = value;
	return strcmp(value, "qcow2") && strcmp(value, "raw") ? -1 : 0;
}

static int set_readonly(struct drive_options *d, const char *value)
{
	d->node.read_only = !strcmp(value, "on");
	return strcmp(value, "on") && strcmp(value, "off") ? -1 : 0;
}

static int set_cache(struct drive_options *d, const char *value)
{
	static const char *const words[] = {
		[FILE_CACHE_WRITEBACK] = "writeback",
		[FILE_CACHE_NONE] = "none",
		[FILE_CACHE_UNSAFE] = "unsafe",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i], value)) {
			d->node.cache = (enum file_cache)i;
			return 0;
		}
	return -1;
}

static int set_file(struct drive_options *d, const char *value)
{
	d->node.path = value;
	return 0;
}

static int set_id(struct drive_options *d, const char *value)
{
	d->id = value;
	return *value ? 0 : -1;
}

static int set_backing_format(struct drive_options *d, const char *value)
{
	d->node.backing_format = value;
	return strcmp(value, "qcow2") && strcmp(value, "raw") ? -1 : 0;
}

static int set_data_file(struct drive_options *d, const char *value)
{
	d->node.data_file = value;
	return 0;
}

static int set_metadata_max(struct drive_options *d, const char *value)
{
	const char *end;

	return size_parse(value, &d->node.metadata_max, &end) || *end ? -1 : 0;
}

static int set_node_name(struct drive_options *d, const char *value)
{
	d->node.node_name = value;
	return *value ? 0 : -1;
}

/* A disk can't be full to read from it. */
static int set_rerror(struct drive_options *d, const char *value)
{
	return on_error_parse(value, &d->on_read_error) ||
	       d->on_read_error == ON_ERROR_ENOSPC ? -1 : 0;
}

static int set_werror(struct drive_options *d, const char *value)
{
	return on_error_parse(value, &d->on_write_error);
}

/* What QEMU lines carry and blkmon has no use for, with the only value. */
static int set_if(struct drive_options *d, const char *value)
{
	(void)d;
	return strcmp(value, "none") ? -1 : 0;
}

static const struct {
	const char *key;
	int (*set)(struct drive_options *d, const char *value);
} drive_keys[] = {
	{ "file", set_file },
	{ "id", set_id },
	{ "format", set_format },
	{ "readonly", set_readonly },
	{ "read-only", set_readonly },
	{ "cache", set_cache },
	{ "backing-format", set_backing_format },
	{ "data-file", set_data_file },
	{ "metadata-max", set_metadata_max },
	{ "node-name", set_node_name },
	{ "rerror", set_rerror },
	{ "werror", set_werror },
	{ "if", set_if },
};

/* The piece up to the next single comma, with doubled ones halved. */
static char *next_pair(const char **s)
{
	struct str pair = STR_INIT;

	for (; **s; ++*s) {
		if (**s == ',' && (*s)[1] != ',')
			break;
		*s += **s == ',';
		str_add_char(&pair, **s);
	}
	*s += **s == ',';
	return str_detach(&pair);
}

/* "backing.backing.node-name": of the second image below. */
static bool set_below_name(struct drive_options *d, const char *key,
			   const char *value)
{
	static const char backing[] = "backing.";
	const char **names = (const char **)d->node.below_names;
	size_t depth = 0;

	while (str_has_prefix(key, backing)) {
		key += strlen(backing);
		depth++;
	}
	if (!depth || strcmp(key, "node-name") || !*value)
		return false;
	if (depth > d->node.below_count) {
		names = mem_grow(names, depth, sizeof(*names));
		while (d->node.below_count < depth)
			names[d->node.below_count++] = NULL;
		d->node.below_names = names;
	}
	names[depth - 1] = value;
	return true;
}

static enum options_result set_pair(struct drive_options *d, char *pair)
{
	char *eq = strchr(pair, '=');

	if (!eq)
		return usage("--drive: '%s' is not KEY=VALUE", pair);
	*eq = '\0';
	if (set_below_name(d, pair, eq + 1))
		return OPTIONS_RUN;
	for (size_t i = 0; i < sizeof(drive_keys) / sizeof(*drive_keys); i++) {
		if (strcmp(drive_keys[i].key, pair))
			continue;
		if (!drive_keys[i].set(d, eq + 1))
			return OPTIONS_RUN;
		*eq = '=';
		return usage("--drive: %s is not possible", pair);
	}
	return usage("--drive: there is no key '%s'", pair);
}

static enum options_result parse_drive(struct options *o, const char *text)
{
	struct drive_options *d = new_drive(o);
	enum options_result rc = OPTIONS_RUN;

	while (*text && rc == OPTIONS_RUN) {
		char *pair = next_pair(&text);

		keep(o, pair);
		rc = set_pair(d, pair);
	}
	if (rc == OPTIONS_RUN && !d->node.path && !d->id)
		return usage("--drive: %s is missing", "file=PATH");
	return rc;
}

/* --- the rest --- */

/* [ID=]IMAGE; what stands before '=' is an id only if it looks like one, so
 * that a path with '=' needs no quoting. */
static void add_image(struct options *o, const char *word)
{
	struct drive_options *d = new_drive(o);
	size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	d->node.path = word;
	if (!len || word[len] != '=')
		return;
	d->id = keep(o, mem_printf("%.*s", (int)len, word));
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

static enum options_result take_word(const char *option, const char *value,
				     const char *yes, const char *no,
				     bool *out)
{
	*out = !strcmp(value, yes);
	if (*out || (no && !strcmp(value, no)))
		return OPTIONS_RUN;
	fprintf(stderr, "blkmon: %s: '%s' is not possible\n"
		"Try 'blkmon --help'.\n", option, value);
	return OPTIONS_USAGE;
}

/* --- the screen --- */

static enum options_result take_theme(struct options *o, const char *value)
{
	static const char *const names[] = { "dark", "light", "mono" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(value, names[i])) {
			o->screen.theme = (enum theme_name)i;
			return OPTIONS_RUN;
		}
	return usage("--theme: '%s' is not possible", value);
}

static enum options_result take_color(struct options *o, const char *value)
{
	const char *no_color = getenv("NO_COLOR");

	o->screen.color = !strcmp(value, "always") ||
		(!strcmp(value, "auto") && !(no_color && *no_color));
	if (o->screen.color || !strcmp(value, "never") ||
	    !strcmp(value, "auto"))
		return OPTIONS_RUN;
	return usage("--color: '%s' is not possible", value);
}

static enum options_result take_size(struct options *o, const char *value)
{
	char end;

	if (sscanf(value, "%ux%u%c", &o->screen.columns, &o->screen.rows,
		   &end) == 2 && o->screen.columns <= 1000 &&
	    o->screen.rows <= 1000)
		return OPTIONS_RUN;
	return usage("--ui-size: '%s' is not COLUMNSxROWS", value);
}

static enum options_result add_first(struct options *o, const char *line)
{
	o->first = mem_grow(o->first, o->first_count + 1, sizeof(*o->first));
	o->first[o->first_count++] = line;
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
		return take_size(o, value);
	case OPT_FIRST:
		return add_first(o, value);
	default:
		fputs("Try 'blkmon --help'.\n", stderr);
		return OPTIONS_USAGE;
	}
}

static enum options_result take(struct options *o, int option,
				const char *value)
{
	switch (option) {
	case 'c':
	case 'f':
		add_input(o, option == 'f', value);
		return OPTIONS_RUN;
	case OPT_DRIVE:
		return parse_drive(o, value);
	case OPT_PROBE:
		o->probe = true;
		return OPTIONS_RUN;
	case OPT_LINE:
		o->line = true;
		return OPTIONS_RUN;
	case OPT_ECHO:
		o->echo = true;
		return OPTIONS_RUN;
	case OPT_PRETTY:
		o->pretty = true;
		return OPTIONS_RUN;
	case OPT_ON_ERROR:
		return take_word("--on-error", value, "continue", "stop",
				 &o->go_on);
	case OPT_CLASSES:
		return take_word("--error-classes", value, "7.2", NULL,
				 &o->classes_72);
	case OPT_DUMP:
		return take_word("--dump-commands", value, "man", NULL,
				 &o->dump_manual);
	case 'h':
		return print_help();
	case 'V':
		puts("blkmon " BLKMON_VERSION);
		return OPTIONS_EXIT;
	default:
		return take_screen(o, option, value);
	}
}

static enum options_result wrong(const struct err *err)
{
	struct str text = STR_INIT;

	str_add_safe(&text, err->text);
	fprintf(stderr, "blkmon: %s\nTry 'blkmon --help'.\n",
		str_get(&text));
	str_release(&text);
	return OPTIONS_USAGE;
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

static enum options_result check(const struct options *o)
{
	struct err err = ERR_INIT;

	if (o->line && o->input_count)
		return usage("%s and -c or -f exclude each other", "--line");
	if (daemon_options_check(&o->daemon, o->line || o->input_count, &err))
		return wrong(&err);
	return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	enum options_result rc = OPTIONS_RUN;
	int option, i = 0;

	*o = (struct options) { .screen = { .mouse = true, .bell = true,
					    .columns = 80, .rows = 24 } };
	take_color(o, "auto");
	while (rc == OPTIONS_RUN && (option = getopt_long(argc, argv,
				"c:f:hV", long_options, &i)) != -1)
		rc = option == OPT_DAEMON ?
			take_daemon(o, long_options[i].name, optarg) :
			take(o, option, optarg);
	for (i = optind; rc == OPTIONS_RUN && i < argc; i++)
		add_image(o, argv[i]);
	for (size_t n = 0; n < o->drive_count; n++)
		o->drives[n].node.probe_backing = o->probe;
	return rc == OPTIONS_RUN ? check(o) : rc;
}

void options_release(struct options *o)
{
	for (size_t i = 0; i < o->string_count; i++)
		free(o->strings[i]);
	daemon_options_release(&o->daemon);
	free(o->strings);
	for (size_t i = 0; i < o->drive_count; i++)
		free((void *)o->drives[i].node.below_names);
	free(o->drives);
	free(o->inputs);
	free(o->first);
}
