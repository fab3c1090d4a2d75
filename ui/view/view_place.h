/* view_place.h - where images, drives and jobs are, in words.
 *
 * @places is the value of x-blkmon-query-places, or NULL: all are here.
 */
#ifndef BLKMON_UI_VIEW_PLACE_H
#define BLKMON_UI_VIEW_PLACE_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/str.h"

/* How many other places there are. */
unsigned view_place_count(const json_t *places);
/* Adds "gone since 12:01:05, as of 12:01:03", "answers slowly, ..." or the
 * like; nothing of one that is there. */
void view_place_add_state(const json_t *place, const char *fixed_time,
			  struct str *out);
/* Adds whether its guest runs, in the words of its end: "running", "paused";
 * nothing where there is no guest, or nobody answers. */
void view_place_add_run(const json_t *place, struct str *out);
/* The same of the only place, if it is one of others. */
void view_place_add_only_run(const json_t *places, struct str *out);
/* Adds "web gone since 12:01:05" for each that is not there or slow, each
 * behind three blanks. @fixed_time stands for all times, or NULL. */
void view_place_add_troubles(const json_t *places, const char *fixed_time,
			     struct str *out);
/* What is known of @name is what was known before it was gone. */
bool view_place_is_lost(const json_t *places, const char *name);

#endif
