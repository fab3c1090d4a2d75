/* files_text.h - the files around the chains in words, from the replies of
 * x-blkmon-query-folder and x-blkmon-delete. Names are made fit for a
 * terminal.
 */
#ifndef BLKMON_CONSOLE_FILES_TEXT_H
#define BLKMON_CONSOLE_FILES_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/str.h"

void folder_text(const json_t *reply, struct str *out);
/* @plan: nothing has gone yet. */
void deletion_text(const json_t *reply, bool plan, struct str *out);

#endif
