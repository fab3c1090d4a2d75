/* options.h - the command line of the console. */
#ifndef BLKMON_OPTIONS_H
#define BLKMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "src/after/after.h"
#include "src/attach/places.h"
#include "src/options/daemon_options.h"
#include "ui/screen/screen.h"

enum options_result {
	OPTIONS_RUN,
	OPTIONS_EXIT,		/* --help, --version: printed, all well */
	OPTIONS_USAGE,		/* wrong, and said on stderr */
};

/* What --dump-commands writes. */
enum options_dump { OPTIONS_DUMP_NONE, OPTIONS_DUMP_MAN, OPTIONS_DUMP_JSON };

struct options_input {
	bool file;		/* -f FILE, else -c COMMAND */
	const char *text;	/* into argv */
};

struct options {
	struct drive_options *drives;
	size_t drive_count;
	size_t first_image;	/* drives from here on are words without
				   --drive: images and folders */
	struct options_input *inputs;
	size_t input_count;
	char **strings;		/* what drives point to */
	size_t string_count;
	struct screen_options screen;
	struct daemon_options daemon;
	struct after_options after;	/* its hooks are: */
	const char **hooks;
	const char **connect;	/* addresses of places; into argv */
	size_t connect_count;
	struct places_rules places;
	const char **first;	/* lines to run before all others */
	size_t first_count;
	int progress_fd;	/* -1: none */
	bool probe, line, echo, go_on, classes_72, pretty;
	bool theme_said, no_config;
	enum options_dump dump;
};

enum options_result options_parse(struct options *o, int argc, char **argv);
void options_release(struct options *o);

/* All options, for those who tell of them; ends with NULL. */
extern const struct option_row *const options_tables[];

#endif
