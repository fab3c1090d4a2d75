/* args.h - the arguments of a QMP command, checked against its table row.
 *
 * A specification is a list "*job-id:s,device:s,*mode:e=fast|slow": name,
 * type, and a star in front of what may be missing. Types: s string, i
 * integer (64 bits, signed), u the same where QEMU takes what is below 0 for
 * what is above 2^63, b boolean, o object, a array, v any value, e one
 * of the words after the '='. A table holds such strings so that checks, the
 * schema and the manual come from one place.
 */
#ifndef BLKMON_QMP_ARGS_H
#define BLKMON_QMP_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util/err.h"

/* One entry of a specification; the pointers reach into it. */
struct args_item {
	const char *name;
	size_t name_len;
	bool optional;
	char type;
	const char *values;	/* type e: "fast|slow", values_len bytes */
	size_t values_len;
};

/* The item at @spec, which moves behind it; false at the end. */
bool args_next(const char **spec, struct args_item *item);

/* 0, or -1 with QEMU's words: "Parameter 'x' is missing", "Invalid parameter
 * type for 'x', expected: integer", "Parameter 'x' does not accept value
 * 'y'", "Parameter 'x' is unexpected". @prefix stands before each name
 * ("actions[0].data."), "" at the top. */
int args_check(const char *spec, json_t *args, const char *prefix,
	       struct err *err);

/* Readers of checked arguments; @otherwise where the member is missing. */
const char *args_str(const json_t *args, const char *name); /* or NULL */
int64_t args_int(const json_t *args, const char *name, int64_t otherwise);
bool args_bool(const json_t *args, const char *name, bool otherwise);

/* The object of @list (may be NULL) whose member @name is the string @value;
 * borrowed, NULL if there is none. */
json_t *args_entry(const json_t *list, const char *name, const char *value);
/* Lists of strings. NULL has none in it. */
bool args_are_strings(const json_t *list);
bool args_lists(const json_t *list, const char *value);

#endif
