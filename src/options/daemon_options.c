/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/daemon_options.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/bug.h"
#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/keyval.h"
#include "src/qmp/json/nbd_address.h"

#define FROM_MONITOR "and as qemu-storage-daemon knows them (stdin is not " \
	"read then):"

struct row {
	const char *name;
	int (*take)(struct daemon_options *o, const struct row *row,
		    const char *value, struct err *err);
	const char *command;	/* of QMP, that it stands for */
	const char *implied;	/* the key of a first word alone */
	bool console;		/* does not make a daemon */
};

/* The option's "addr" is flat, that of nbd-server-start is not: {"type",
 * "data": {the rest}}. */
static void nest_address(json_t *args)
{
	json_t *flat = json_object_get(args, "addr"), *nested;

	if (!json_is_object(flat) || json_object_get(flat, "data"))
		return;
	nested = json_pack("{s:O*}", "type", json_object_get(flat, "type"));
	json_object_del(flat, "type");
	json_object_set(nested, "data", flat);
	json_object_set_new(args, "addr", nested);
}

/* The command's own table says what its words are. */
static json_t *parse_command(const char *command, const char *value,
			     const char *implied, struct err *err)
{
	json_t *args = keyval_parse(value, implied, err);

	if (!args || *value == '{' ||
	    !keyval_types(args, qmp_find(command)->args, err))
		return args;
	json_decref(args);
	return NULL;
}

/* Takes @args. */
static int daemon_add_command(struct daemon_options *o, const char *option,
			      const char *command, json_t *args)
{
	o->commands = mem_grow(o->commands, o->command_count + 1,
			       sizeof(*o->commands));
	o->commands[o->command_count++] = (struct daemon_command) {
		.option = option, .name = command, .args = args,
	};
	return 0;
}

static int take_command(struct daemon_options *o, const struct row *row,
			const char *value, struct err *err)
{
	json_t *args = parse_command(row->command, value, row->implied, err);

	if (!args)
		return -1;
	nest_address(args);
	o->headless = true;
	return daemon_add_command(o, row->name, row->command, args);
}

static int take_nbd(struct daemon_options *o, const struct row *row,
		    const char *value, struct err *err)
{
	json_t *addr = nbd_address(value, err);

	if (!addr)
		return -1;
	o->serves = true;
	return daemon_add_command(o, row->name, row->command,
				  json_pack("{s:o}", "addr", addr));
}

/* "ID,..." names a drive; "[type=]nbd,..." is what the daemon's users write.
 * An export of the second kind always has an id. */
static int take_export(struct daemon_options *o, const struct row *row,
		       const char *value, struct err *err)
{
	json_t *args = parse_command("nbd-server-add", value, "device", err);
	bool is_drive = args_str(args, "device") && !args_str(args, "id");

	if (args && is_drive)
		return daemon_add_command(o, row->name, "nbd-server-add", args);
	json_decref(args);
	return args ? take_command(o, row, value, err) : -1;
}

static int take_object(struct daemon_options *o, const struct row *row,
		       const char *value, struct err *err)
{
	json_t *args = parse_command(row->command, value, row->implied, err);
	const char *type = args_str(args, "qom-type");

	if (args && type && !strcmp(type, "iothread"))
		return daemon_add_command(o, row->name, row->command, args);
	if (args)
		err_set(err, ERR_GENERIC, "objects of type '%s' are not "
			"known here", type ? type : "");
	json_decref(args);
	return -1;
}

static int take_qmp(struct daemon_options *o, const struct row *row,
		    const char *value, struct err *err)
{
	(void)row;
	return monitors_qmp(&o->monitors, value, err);
}

static int take_chardev(struct daemon_options *o, const struct row *row,
			const char *value, struct err *err)
{
	(void)row;
	return monitors_chardev(&o->monitors, value, err);
}

static int take_monitor(struct daemon_options *o, const struct row *row,
			const char *value, struct err *err)
{
	(void)row;
	return monitors_monitor(&o->monitors, value, err);
}

static int take_pidfile(struct daemon_options *o, const struct row *row,
			const char *value, struct err *err)
{
	(void)row;
	(void)err;
	o->pidfile = value;
	return 0;
}

static int take_daemonize(struct daemon_options *o, const struct row *row,
			  const char *value, struct err *err)
{
	(void)row;
	(void)value;
	(void)err;
	o->daemonize = true;
	return 0;
}

const struct option_row daemon_option_rows[] = {
	{ "qmp", DAEMON_OPTION, "WAY[,server=on|off][,pretty=on]",
	  .words = "unix:|tcp:|stdio", .heading = "Ways in for programs:",
	  .help = "QMP on a socket, unix:PATH; on this machine's own\n"
		"TCP, tcp:HOST:PORT; or on standard input and\n"
		"output, stdio",
	  .brief = "QMP for programs: unix:PATH, tcp:HOST:PORT, stdio" },
	{ "nbd", DAEMON_OPTION, "unix:PATH | HOST:PORT", .words = "unix:",
	  .help = "NBD there; no HOST: loopback",
	  .brief = "NBD for guests: unix:PATH or HOST:PORT" },
	{ "export", DAEMON_OPTION, "ID[,writable=on][,name=N]",
	  .help = "a drive for NBD's clients; or, as below,\n"
		"[type=]nbd,id=ID,node-name=NODE[,name=NAME]\n"
		"[,writable=on]",
	  .brief = "a drive for them; ID,writable=on" },
	{ "chardev", DAEMON_OPTION, "socket,id=ID,path=PATH|fd=N|host=,port=",
	  .words = "socket,id=|stdio,id=", .heading = FROM_MONITOR,
	  .help = "[,server=on][,wait=off]; or stdio,id=ID" },
	{ "monitor", DAEMON_OPTION, "[chardev=]ID", .words = "chardev=",
	  .help = "[,mode=control|readline][,pretty=on|off]" },
	{ "blockdev", DAEMON_OPTION, "KEY=VALUE,... | JSON",
	  .words = "driver=", .help = "blockdev-add" },
	{ "nbd-server", DAEMON_OPTION, "KEY=VALUE,... | JSON",
	  .words = "addr.type=unix,addr.path=|addr.type=inet,addr.host=",
	  .help = "addr.type=unix,addr.path=PATH or addr.type=inet,..." },
	{ "object", DAEMON_OPTION, "iothread,id=ID",
	  .words = "iothread,id=",
	  .help = "its name; threads are blkmon's own affair" },
	{ "pidfile", DAEMON_OPTION, "PATH", .takes = OPTION_FILE,
	  .help = "write the number of the process there" },
	{ "daemonize", DAEMON_OPTION,
	  .help = "leave the terminal when all is open",
	  .brief = "leave the terminal when all is open" },
	{ 0 }
};

/* What is done with each of them. */
static const struct row rows[] = {
	{ "qmp", take_qmp, .console = true },
	{ "chardev", take_chardev, .command = NULL },
	{ "monitor", take_monitor, .command = NULL },
	{ "blockdev", take_command, .command = "blockdev-add",
	  .implied = "driver" },
	{ "nbd-server", take_command, .command = "nbd-server-start" },
	{ "nbd", take_nbd, .command = "nbd-server-start", .console = true },
	{ "export", take_export, .command = "block-export-add",
	  .implied = "type", .console = true },
	{ "object", take_object, .command = "object-add",
	  .implied = "qom-type" },
	{ "pidfile", take_pidfile, .command = NULL },
	{ "daemonize", take_daemonize, .command = NULL },
};

int daemon_options_take(struct daemon_options *o, const char *name,
			const char *value, struct err *err)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].name, name)) {
			o->headless |= !rows[i].console;
			return rows[i].take(o, &rows[i], value, err);
		}
	BUG("option --%s has no row", name);
}

int daemon_options_check(const struct daemon_options *o, bool console,
			 struct err *err)
{
	bool stdio;

	if (monitors_check(&o->monitors, err))
		return -1;
	stdio = monitors_use_stdio(&o->monitors);
	if (stdio && console)
		return err_set(err, ERR_GENERIC, "a monitor on stdio excludes "
			       "--line, -c and -f");
	if (o->daemonize && (stdio || console))
		return err_set(err, ERR_GENERIC, "--daemonize excludes "
			       "--line, -c, -f and stdio");
	return 0;
}

void daemon_options_release(struct daemon_options *o)
{
	for (size_t i = 0; i < o->command_count; i++)
		json_decref(o->commands[i].args);
	free(o->commands);
	monitors_release(&o->monitors);
}
