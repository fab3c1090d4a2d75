/* offline.h - subcommands that do one thing to one image and end. */
#ifndef BLKMON_OFFLINE_H
#define BLKMON_OFFLINE_H

#include <jansson.h>
#include <stdio.h>

#include "src/process/signals.h"

/* argv[0] is the subcommand's name. The exit status; -1 if there is no such
 * subcommand. */
int offline_run(int argc, char **argv, struct signals *signals);

/* For a word that could be meant as one: if it is all letters and no file is
 * called so, says on stderr which there are. */
void offline_hint(const char *word);
/* "commit", @between, "info"..., once @middle, without a newline. */
void offline_names(FILE *out, const char *between, const char *middle);
/* Their lines of `blkmon --help-all`. */
void offline_synopsis(FILE *out);
/* Their names and options, for those who tell of them: an array of objects,
 * the caller's. */
json_t *offline_json(void);

#endif
