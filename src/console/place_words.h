/* place_words.h - where drives and jobs are, in words.
 *
 * @places is the value of x-blkmon-query-places, or NULL: all are here. Names
 * of other places have them in front ("web/disk0") where there is more than
 * one place.
 */
#ifndef BLKMON_CONSOLE_PLACE_WORDS_H
#define BLKMON_CONSOLE_PLACE_WORDS_H

#include <jansson.h>

#include "engine/util/str.h"

/* The entry of the other place that @name is of; NULL: it is here. A plain name
 * is of the place in use, or of the only one. */
const json_t *place_of(const json_t *places, const char *name);
/* Adds the host of @place, safe to show. */
void place_add_host(const json_t *place, struct str *out);
/* Adds @name of @place as a question says it: "web/disk0 (host2)", safe to
 * show. NULL: it is here, and called as it is. */
void place_add_name(const json_t *place, const char *name, struct str *out);

#endif
