/* keyval.h - option strings as QEMU writes them: "driver=qcow2,file.driver=
 * file,read-only=on", or a JSON object, as the arguments of a QMP command.
 *
 * A comma inside a value is doubled. Dots make nested objects. A word alone
 * is "on", with "no" in front of it "off" (server,nowait). Values are strings
 * but where the key is one of those that are booleans or integers everywhere,
 * or keyval_types() is told.
 */
#ifndef BLKMON_QMP_KEYVAL_H
#define BLKMON_QMP_KEYVAL_H

#include <jansson.h>

#include "engine/util/err.h"

/* The caller's, or NULL and err. @implied (may be NULL) is the key of a first
 * word that has none. */
json_t *keyval_parse(const char *text, const char *implied,
		     struct err *err);
/* Makes booleans and integers of the strings that are such by the
 * specification @spec (args.h) of @args. 0; or -1 and err, "Parameter 'x'
 * expects 'on' or 'off'". What does not look like an integer stays. */
int keyval_types(json_t *args, const char *spec, struct err *err);

#endif
