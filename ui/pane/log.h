/* log.h - the scrollback: bounded, filtered, searched.
 *
 * Lines are numbered from 0 on for ever; the oldest ones are forgotten when
 * there are too many lines or bytes. One thread.
 */
#ifndef BLKMON_UI_LOG_H
#define BLKMON_UI_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LOG_LINES 20000
#define LOG_BYTES (8u << 20)

/* What a file of it begins with. */
#define LOG_MARK "{\"time_us\":"

enum log_kind {
	LOG_COMMAND,		/* what was typed */
	LOG_OUTPUT,		/* what it printed */
	LOG_ERROR,		/* the same, when it says that it failed */
	LOG_NOTICE,
	LOG_EVENT,
	LOG_FAILURE,		/* a job failed */
	LOG_SCREEN,		/* the screen's own words */
};

enum log_filter { LOG_ALL, LOG_EVENTS, LOG_CONSOLE, LOG_FILTERS };

struct log_line {
	uint64_t wall_us;
	enum log_kind kind;
	char *text;		/* no newline, fit for a terminal */
};

struct log {
	struct log_line *lines;	/* ring of @cap, the oldest at @first */
	size_t cap, first, n;
	size_t bytes;
	uint64_t number;	/* of the oldest line */
	size_t max_lines, max_bytes;
	enum log_filter filter;
	FILE *file;		/* JSON lines too; NULL: no */
};

void log_init(struct log *log);
void log_release(struct log *log);

/* Copies @text; a newline at its end is left out. */
void log_add(struct log *log, uint64_t wall_us, enum log_kind kind,
	     const char *text);

static inline uint64_t log_end(const struct log *log)
{
	return log->number + log->n;
}

/* NULL if it is forgotten or not there yet. */
const struct log_line *log_line(const struct log *log, uint64_t number);
bool log_passes(const struct log *log, const struct log_line *line);
const char *log_filter_name(enum log_filter filter);

/* The next line that passes the filter, from @number on in direction @step
 * (1 or -1), itself included, and contains @text if that is not NULL. False:
 * none; *number is left alone. */
bool log_seek(const struct log *log, uint64_t *number, int step,
	      const char *text);

#endif
