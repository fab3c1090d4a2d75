/* rows.h - which rows the tree of images has.
 *
 * A row is an image, open or not, or a fold: a run of quiet images, each on the
 * one before, in one row. Where rows are short, such runs fold by themselves;
 * files that are not open and have nothing to do with what is do so always.
 */
#ifndef BLKMON_UI_ROWS_H
#define BLKMON_UI_ROWS_H

#include "ui/pane/sheet.h"

/* Makes the rows anew: from the shape, what is looked for, the order that is
 * wanted and what was folded by hand, so that they fit into @room if they can.
 * The selected image has a row of its own. */
void rows_make(struct sheet *s, size_t room);
void rows_release(struct sheet *s);
/* The row that has that image, or -1. */
int rows_of_image(const struct sheet *s, size_t image);
/* Opens the fold that is selected, or folds the run that the selected image is
 * in or beside, or else its place, which the head of it folds and unfolds.
 * False: there is none. */
bool rows_fold(struct sheet *s);
const char *rows_sort_name(enum chain_sort sort);

#endif
