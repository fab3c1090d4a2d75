/* command.h - what the subcommands on images share: their options, and how they
 * speak. Private to the room.
 */
#ifndef BLKMON_OFFLINE_COMMAND_H
#define BLKMON_OFFLINE_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "src/after/after.h"
#include "src/console/progress.h"
#include "src/process/option.h"
#include "src/process/signals.h"
#include "src/qmp/machine.h"

/* What getopt returns for options that have no letter. */
enum { OPT_PROGRESS = 256, OPT_JSON, OPT_OFFSET, OPT_LENGTH, OPT_PROBE,
       OPT_BACKING_FORMAT, OPT_DATA_FILE, OPT_FORCE, OPT_OUTPUT, OPT_SIZE,
       OPT_KEEP, OPT_DROP, OPT_NO_HISTORY };

struct offline {
	struct machine *machine;
	struct signals *signals;
	const char *image[3];		/* as named; NULL: not */
	struct node_options node;	/* how to open the (first) image */
	/* options */
	const char *base;
	const char *format;		/* of another file than the first */
	const char *words;		/* options of a file to be made */
	bool json, bar, help, force, quiet, strict, unsafe, keep, drop;
	bool no_history;
	int progress_fd;		/* -1: none */
	uint64_t offset, length;	/* UINT64_MAX: to the end */
	uint64_t size;			/* UINT64_MAX: not named */
	const char *what;		/* the subcommand: the row of progress
					   shows it, and its disk has it for
					   id */
	struct progress progress;
	struct event_listener notices;
	struct after *after;		/* while it is at work */
};

/* Says what is wrong; 1, the exit status of most. */
int offline_fail(const struct err *err);
/* Where to look, after what is wrong with the command line; 2, its status. */
int offline_usage(void);

/* What a request (takes @args; NULL for none) returns, the caller's; or NULL
 * and err. */
json_t *offline_ask(struct machine *machine, const char *name, json_t *args,
		    struct err *err);

/* To stdout; in whole lines, so that names cannot play with the terminal. */
void offline_put_text(const char *text);
void offline_put_json(const json_t *value);

/* What goes on until a signal comes shows how far it is; @arg is the struct
 * offline. False: a signal came. */
bool offline_progress(uint64_t done, uint64_t total, void *arg);
/* Ends the row that it may have shown. */
void offline_progress_end(struct offline *o);

/* What ends from here on gets its line in the history. 0, or -1 and err. */
int offline_begin(struct offline *o, struct err *err);
/* All lines are there; says what the engine had to tell of its own accord. */
void offline_end(struct offline *o);

/* Options of more than one. */
#define OFFLINE_HISTORY_ROW                                                    \
	{ "no-history", OPT_NO_HISTORY,                                        \
	  .help = "leave no line in the history, see blkmon history" }
#define OFFLINE_PROGRESS_ROWS                                                  \
	{ NULL, 'p', .help = "show how far it is, at a terminal" },          \
	{ "progress", OPT_PROGRESS, "FD",                                      \
	  .help = "write bytes done and bytes in all to a descriptor" }
#define OFFLINE_OUTPUT_ROWS                                                    \
	{ "json", OPT_JSON, .help = "as JSON" },                               \
	{ "output", OPT_OUTPUT, "FORM", .words = "human|json",                 \
	  .help = "the same, as qemu-img has it" }

/* Each subcommand that has a file of its own: its options, and the work; it
 * returns the exit status. */
extern const struct option_row map_rows[];
int map_run(struct offline *o);
extern const struct option_row compare_rows[];
int compare_run(struct offline *o);
extern const struct option_row measure_rows[];
int measure_run(struct offline *o);
extern const struct option_row rebase_rows[];
int rebase_run(struct offline *o);
extern const struct option_row undo_rows[];
int undo_run(struct offline *o);
extern const struct option_row plan_rows[];
int plan_run(struct offline *o);

#endif
