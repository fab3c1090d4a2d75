/* place_words.h - where drives and jobs are, in words.
 *
 * @places is the value of x-blkmon-query-places, or NULL: all are here. Names
 * of other places have them in front ("web/disk0") where there is more than
 * one place.
 */
#ifndef BLKMON_CONSOLE_PLACE_WORDS_H
#define BLKMON_CONSOLE_PLACE_WORDS_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/str.h"

/* The entry of the other place that @name is of; NULL: it is here. A plain name
 * is of the place in use, or of the only one. */
const json_t *place_of(const json_t *places, const char *name);
/* Is @name written with @place in front? */
bool place_has(const json_t *place, const char *name);
/* Is it there, if slow? */
bool place_answers(const json_t *place);
/* Adds " since 12:01:05", from when on its state is what it is; @fixed_time
 * stands for it, or NULL. */
void place_add_since(const json_t *place, const char *fixed_time,
		     struct str *out);
/* Adds ", as of 12:01:03", when something was last heard of it, and what is
 * known of it was true; nothing where nothing was. The same. */
void place_add_as_of(const json_t *place, const char *fixed_time,
		     struct str *out);
/* Adds the host of @place, safe to show. */
void place_add_host(const json_t *place, struct str *out);
/* Adds @name of @place as a question says it: "web/disk0 (host2)", safe to
 * show. NULL: it is here, and called as it is. */
void place_add_name(const json_t *place, const char *name, struct str *out);

#endif
