/* json_stream.h - JSON values out of a stream of bytes, as QEMU reads them.
 *
 * Values may follow each other with or without white space, be split anywhere
 * and span lines. Beside JSON, strings may stand between single quotes (with
 * \' for one of them), and integers of more than 64 bits are read as reals.
 * A value has at most 1 MiB and 64 levels; who expects longer ones, or knows
 * how many there can be inside of one, sets limits of his own.
 *
 * Behind a fault the stream goes on with the next value: what was open is left
 * out up to its end or the end of the line, whichever comes first. The byte
 * 0xFF always starts anew.
 */
#ifndef BLKMON_QMP_JSON_STREAM_H
#define BLKMON_QMP_JSON_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util/err.h"
#include "engine/util/str.h"

#define JSON_STREAM_MAX (1u << 20)
#define JSON_STREAM_DEPTH 64
#define JSON_STREAM_DEPTH_MOST 1024

struct json_limits {
	size_t bytes;		/* of a value */
	size_t values;		/* commas and colons in it: what jansson makes
				   of a byte costs many */
	unsigned depth;		/* levels, at most JSON_STREAM_DEPTH_MOST */
};

struct json_stream {		/* all zero: a fresh one */
	struct str text;	/* of the open value, in strict JSON */
	uint64_t arrays[JSON_STREAM_DEPTH_MOST / 64];	/* bit n: level n + 1
							   is an array */
	unsigned depth;
	char quote;		/* that opened the string; 0: in none */
	bool escaped;		/* behind a backslash */
	bool skip;		/* behind a fault */
	size_t word;		/* where a number or keyword starts; + 1 */
	size_t values;		/* commas and colons so far; with limits */
	const struct json_limits *limits;	/* borrowed; NULL: as above */
};

void json_stream_release(struct json_stream *s);

/* Takes bytes from @data, which moves, until a value or a fault is there:
 * true, with *value (the caller's), or with NULL and @err ("JSON parse error,
 * ..."). False when all @len are taken. */
bool json_stream_next(struct json_stream *s, const char **data, size_t *len,
		      json_t **value, struct err *err);

/* The beginning of a value was read and not its end. */
bool json_stream_is_open(const struct json_stream *s);

#endif
