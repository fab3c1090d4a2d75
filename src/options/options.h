/* options.h - the command line of the console. */
#ifndef BLKMON_OPTIONS_H
#define BLKMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "src/options/daemon_options.h"
#include "ui/screen/screen.h"

enum options_result {
	OPTIONS_RUN,
	OPTIONS_EXIT,		/* --help, --version: printed, all well */
	OPTIONS_USAGE,		/* wrong, and said on stderr */
};


struct options_input {
	bool file;		/* -f FILE, else -c COMMAND */
	const char *text;	/* into argv */
};

struct options {
	struct drive_options *drives;
	size_t drive_count;
	struct options_input *inputs;
	size_t input_count;
	char **strings;		/* what drives point to */
	size_t string_count;
	struct screen_options screen;
	struct daemon_options daemon;
	const char **first;	/* lines to run before all others */
	size_t first_count;
	bool probe, line, echo, go_on, classes_72, pretty, dump_manual;
};

enum options_result options_parse(struct options *o, int argc, char **argv);
void options_release(struct options *o);

#endif
