/* plan_text.h - a plan in words. */
#ifndef BLKMON_CONSOLE_PLAN_TEXT_H
#define BLKMON_CONSOLE_PLAN_TEXT_H

#include <jansson.h>
#include <stddef.h>

#include "engine/util/str.h"

#define PLAN_LABEL 9	/* columns */

/* How an image is called: adds that to @out. */
struct plan_names {
	/* NULL: by the last part of its path. */
	void (*add)(void *arg, const char *path, struct str *out);
	void *arg;
	size_t jobs;		/* that run, and end when one quits */
};

void plan_name_add(const struct plan_names *names, const char *path,
		   struct str *out);
/* A file of a list, by its path. */
const char *plan_file(const json_t *entry);

/* What x-blkmon-plan returned, as lines of text: what it is, and then lines
 * that begin with a label of PLAN_LABEL columns. The caller frees. */
char *plan_text_of(const json_t *plan, const struct plan_names *names);

#endif
