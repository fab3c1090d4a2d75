/* text.h - strings of the host in JSON, which is UTF-8 only. */
#ifndef BLKMON_QMP_TEXT_H
#define BLKMON_QMP_TEXT_H

#include <jansson.h>

/* A JSON string; bytes that are no UTF-8 (file names may hold any) are shown
 * as \xNN. The caller's. */
json_t *qmp_text(const char *text);

#endif
