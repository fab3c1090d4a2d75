/* daemon_options.h - the options of a daemon: ways in for programs, and those
 * of qemu-storage-daemon that existing scripts and unit files use.
 */
#ifndef BLKMON_DAEMON_OPTIONS_H
#define BLKMON_DAEMON_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/util/err.h"
#include "src/options/monitors.h"
#include "src/process/option.h"

/* A QMP command that an option stands for. */
struct daemon_command {
	const char *option;	/* "blockdev", for errors */
	const char *name;
	json_t *args;
};

struct daemon_options {		/* all zero: none */
	struct daemon_command *commands;	/* in their order */
	size_t command_count;
	struct monitors monitors;
	const char *pidfile;	/* into argv; or NULL */
	bool daemonize;
	bool serves;		/* NBD's clients, without a monitor */
	bool headless;		/* stdin is not read without a terminal */
};

/* What getopt returns for all of them; who it is tells its name. */
#define DAEMON_OPTION 1000
extern const struct option_row daemon_option_rows[];

/* Takes option --@name. 0, or -1 and what is wrong with @value. */
int daemon_options_take(struct daemon_options *o, const char *name,
			const char *value, struct err *err);
/* Does it all fit together? @console: lines are read as well. */
int daemon_options_check(const struct daemon_options *o, bool console,
			 struct err *err);
void daemon_options_release(struct daemon_options *o);

#endif
