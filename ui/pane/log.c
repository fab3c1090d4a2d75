/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/pane/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "ui/draw/text.h"

static const char *const kind_names[] = {
	[LOG_COMMAND] = "command", [LOG_OUTPUT] = "output",
	[LOG_ERROR] = "error", [LOG_NOTICE] = "notice",
	[LOG_EVENT] = "event", [LOG_FAILURE] = "failure",
	[LOG_SCREEN] = "screen",
};

static const struct {
	const char *name;
	unsigned kinds;
} filters[LOG_FILTERS] = {
	[LOG_ALL] = { "all", ~0u },
	[LOG_EVENTS] = { "events", 1u << LOG_EVENT | 1u << LOG_FAILURE |
				   1u << LOG_NOTICE },
	[LOG_CONSOLE] = { "console", 1u << LOG_COMMAND | 1u << LOG_OUTPUT |
				     1u << LOG_ERROR },
};

void log_init(struct log *log)
{
	*log = (struct log) { .max_lines = LOG_LINES,
			      .max_bytes = LOG_BYTES };
}

static struct log_line *slot(const struct log *log, size_t i)
{
	return &log->lines[(log->first + i) % log->cap];
}

static void forget_oldest(struct log *log)
{
	struct log_line *line = slot(log, 0);

	log->bytes -= strlen(line->text) + 1;
	free(line->text);
	log->first = (log->first + 1) % log->cap;
	log->n--;
	log->number++;
}

void log_release(struct log *log)
{
	while (log->n)
		forget_oldest(log);
	free(log->lines);
	if (log->file)
		fclose(log->file);
}

static void grow(struct log *log)
{
	size_t cap = log->cap ? log->cap * 2 : 256;
	struct log_line *lines;

	if (cap > log->max_lines)
		cap = log->max_lines;
	lines = mem_alloc(cap * sizeof(*lines));
	for (size_t i = 0; i < log->n; i++)
		lines[i] = *slot(log, i);
	free(log->lines);
	log->lines = lines;
	log->cap = cap;
	log->first = 0;
}

static void write_json(struct log *log, const struct log_line *line)
{
	json_t *entry = json_pack("{s:I, s:s, s:s}", "time_us",
				  (json_int_t)line->wall_us, "kind",
				  kind_names[line->kind], "text", line->text);

	if (entry && json_dumpf(entry, log->file, JSON_COMPACT) == 0)
		fputc('\n', log->file);
	json_decref(entry);
	fflush(log->file);
}

/* A tab goes to the next eighth column; those that begin a line, which only
 * hang it under the one before, are four blanks. */
static char *without_tabs(const char *text, size_t len)
{
	struct str out = STR_INIT;
	size_t lead = strspn(text, "\t");

	if (lead)
		str_add(&out, "    ");
	for (size_t i = lead; i < len; i++) {
		if (text[i] != '\t') {
			str_add_char(&out, text[i]);
			continue;
		}
		do
			str_add_char(&out, ' ');
		while (out.len % 8);
	}
	return str_detach(&out);
}

void log_add(struct log *log, uint64_t wall_us, enum log_kind kind,
	     const char *text)
{
	char *shown = without_tabs(text, strcspn(text, "\n"));
	size_t size = strlen(shown) + 1;
	struct log_line *line;

	while (log->n && (log->n == log->max_lines ||
			  log->bytes + size > log->max_bytes))
		forget_oldest(log);
	if (log->n == log->cap)
		grow(log);
	line = slot(log, log->n++);
	*line = (struct log_line) { .wall_us = wall_us, .kind = kind,
				    .text = shown };
	log->bytes += size;
	if (log->file)
		write_json(log, line);
}

const struct log_line *log_line(const struct log *log, uint64_t number)
{
	if (number < log->number || number >= log_end(log))
		return NULL;
	return slot(log, (size_t)(number - log->number));
}

bool log_passes(const struct log *log, const struct log_line *line)
{
	return filters[log->filter].kinds >> line->kind & 1;
}

const char *log_filter_name(enum log_filter filter)
{
	return filters[filter].name;
}

bool log_seek(const struct log *log, uint64_t *number, int step,
	      const char *text)
{
	const struct log_line *line;
	uint64_t at = *number;

	if (step > 0 && at < log->number)
		at = log->number;
	for (; (line = log_line(log, at)); at += (uint64_t)(int64_t)step) {
		if (!log_passes(log, line) ||
		    (text && !text_find(line->text, text)))
			continue;
		*number = at;
		return true;
	}
	return false;
}
