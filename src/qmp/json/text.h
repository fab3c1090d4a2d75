/* text.h - strings of the host in JSON, which is UTF-8 only. */
#ifndef BLKMON_QMP_TEXT_H
#define BLKMON_QMP_TEXT_H

#include <jansson.h>
#include <stdio.h>

/* A JSON string; bytes that are no UTF-8 (file names may hold any) are shown
 * as \xNN. The caller's. */
json_t *qmp_text(const char *text);

/* @value in signs of ASCII, of which none is a control but line feeds between
 * its parts: json_dump_callback() and the like pass DEL. @flags: jansson's. 0,
 * or -1 without memory or as @add says. */
int qmp_dump(const json_t *value, size_t flags, json_dump_callback_t add,
	     void *arg);
/* To a file, and a line feed: 0, or -1. */
int qmp_dump_line(const json_t *value, size_t flags, FILE *file);
/* The same; the caller's. NULL: no memory. */
char *qmp_dump_text(const json_t *value, size_t flags);

#endif
