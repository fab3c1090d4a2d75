/* place_row.h - heads of the tree where there are several places: a row for
 * each, with its images below it, or folded.
 *
 * Places are meant by their number in sheet.places; -1: none.
 */
#ifndef BLKMON_UI_PLACE_ROW_H
#define BLKMON_UI_PLACE_ROW_H

#include "ui/pane/sheet.h"

#define PLACE_INDENT 2u		/* columns: of what stands below one */

/* How many have heads; 0 where there is one place only. */
size_t place_row_count(const struct sheet *s);
const char *place_row_name(const struct sheet *s, int place);
int place_row_find(const struct sheet *s, const char *name);
/* The place that a node or a job is of, or -1; @near is looked at first. */
int place_row_of(const struct sheet *s, const char *name, int near);
/* The place that an image of the shape is of; files that are not open have
 * none. */
int place_row_of_image(const struct sheet *s, size_t image);
/* By hand, or by itself: where there are many, those without a job and without
 * a fault are. */
bool place_row_is_folded(const struct sheet *s, int place);
void place_row_fold(struct sheet *s, int place, bool folded);
/* The places that have something in @n rows from the first visible one on: an
 * array of names, the caller's. */
json_t *place_row_seen(const struct sheet *s, size_t n);
void place_row_draw(struct sheet *s, int place, unsigned y);
/* What there is to know of it, for people. */
void place_row_words(const struct sheet *s, int place, struct str *out);

#endif
