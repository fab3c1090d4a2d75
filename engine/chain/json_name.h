/* json_name.h - names of images in JSON, as QEMU writes them into headers where
 * no plain one would do.
 */
#ifndef BLKMON_JSON_NAME_H
#define BLKMON_JSON_NAME_H

#include <stdbool.h>

#include "engine/chain/peek.h"

struct json_name {
	char driver[PEEK_NAME_MAX + 1];	/* of the format; "": not said */
	char path[PEEK_NAME_MAX + 1];	/* absolute */
};

/* Reads json:{...} that says which local file it is and of which format, nested
 * ("file": {...}) or flat ("file.filename"), and nothing else. False: it is
 * none, is damaged, or has an option more, which may change what is read. */
bool json_name_read(const char *name, struct json_name *out);

/* The text of a JSON string that begins at @s goes to @out, which has room for
 * all that follows. Where it ends: at the quote, or at the end of all. */
const char *json_name_string(const char *s, char *out);

#endif
