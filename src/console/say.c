/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/say.h"

#include <string.h>

#include "engine/util/size.h"
#include "src/console/fields.h"

/* What it was for a client of another program is not known. */
static void say_numbers(const json_t *end, struct str *text)
{
	uint64_t rate = field_u64(end, "rate"), freed = field_u64(end, "freed");
	char a[16], b[16];

	if (!end)
		return;
	str_addf(text, ": %s in %s", size_short(field_u64(end, "moved"), a,
						sizeof(a)),
		 time_short(field_u64(end, "time-ns"), b, sizeof(b)));
	if (rate)
		str_addf(text, ", %s/s", size_short(rate, a, sizeof(a)));
	if (freed)
		str_addf(text, ", %s given back",
			 size_short(freed, a, sizeof(a)));
}

static void say_file(const json_t *file, struct str *text)
{
	char size[16];

	str_add_char(text, '\'');
	str_add_safe(text, field_str(file, "file"));
	str_addf(text, "' (%s)", size_short(field_u64(file, "bytes"), size,
					    sizeof(size)));
}

/* One with its path, many by the first and the last. */
static void say_unused(const json_t *end, struct str *text)
{
	const json_t *files = json_object_get(end, "unused");
	size_t n = json_array_size(files);
	uint64_t bytes = 0;
	char size[16];

	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		bytes += field_u64(json_array_get(files, i), "bytes");
	str_add(text, "; no drive uses ");
	if (n > 1)
		str_addf(text, "%zu files (%s) any more: ", n,
			 size_short(bytes, size, sizeof(size)));
	say_file(json_array_get(files, 0), text);
	if (n == 1) {
		str_add(text, " any more");
	} else {
		str_add(text, n == 2 ? ", " : " to ");
		say_file(json_array_get(files, n - 1), text);
	}
	str_add(text, "; delete removes what no other image needs");
}

static void completed(const json_t *data, struct str *text)
{
	const json_t *end = json_object_get(data, "x-blkmon-end");

	if (*field_str(data, "error"))
		return;
	str_addf(text, "job '%s' (%s) is done", field_str(data, "device"),
		 field_str(data, "type"));
	say_numbers(end, text);
	say_unused(end, text);
}

static void cancelled(const json_t *data, struct str *text)
{
	str_addf(text, "job '%s' (%s) was cancelled",
		 field_str(data, "device"), field_str(data, "type"));
	say_numbers(json_object_get(data, "x-blkmon-end"), text);
}

static void ready(const json_t *data, struct str *text)
{
	str_addf(text, "job '%s' (%s) is ready: block_job_complete or "
		 "block_job_cancel ends it", field_str(data, "device"),
		 field_str(data, "type"));
}

static void pending(const json_t *data, struct str *text)
{
	str_addf(text, "job '%s' (%s) waits for block-job-finalize",
		 field_str(data, "id"), field_str(data, "type"));
}

/* Of a flood; see channel_next_event(). */
static void add_more(const json_t *data, struct str *text)
{
	uint64_t more = field_u64(data, "x-blkmon-more");

	if (more)
		str_addf(text, " (and %llu more like this)",
			 (unsigned long long)more);
}

static void say_job_error(const json_t *data, struct str *text)
{
	str_addf(text, "job '%s': %s error (action: %s)",
		 field_str(data, "device"), field_str(data, "operation"),
		 field_str(data, "action"));
	add_more(data, text);
}

static void say_io_error(const json_t *data, struct str *text)
{
	bool stops = !strcmp(field_str(data, "action"), "stop");

	str_addf(text, "device '%s': %s error: %s%s",
		 field_str(data, "device"), field_str(data, "operation"),
		 field_str(data, "reason"),
		 stops ? "; the guest stands still until cont" : "");
	add_more(data, text);
}

static void say_threshold(const json_t *data, struct str *text)
{
	str_addf(text, "node '%s' grew beyond its write threshold",
		 field_str(data, "node-name"));
}

static void say_corrupted(const json_t *data, struct str *text)
{
	str_addf(text, "image of '%s' is corrupt: %s",
		 field_str(data, "device"), field_str(data, "msg"));
}

static void say_notice(const json_t *data, struct str *text)
{
	str_add(text, field_str(data, "text"));
	add_more(data, text);
}

static void lost(const json_t *data, struct str *text)
{
	str_addf(text, "%llu events came too fast and were lost",
		 (unsigned long long)field_u64(data, "count"));
}

static const struct {
	const char *event;
	enum console_kind kind;
	void (*say)(const json_t *data, struct str *text);
} words[] = {
	{ "BLOCK_JOB_COMPLETED", CONSOLE_EVENT, completed },
	{ "BLOCK_JOB_CANCELLED", CONSOLE_EVENT, cancelled },
	{ "BLOCK_JOB_READY", CONSOLE_EVENT, ready },
	{ "BLOCK_JOB_PENDING", CONSOLE_EVENT, pending },
	{ "BLOCK_JOB_ERROR", CONSOLE_EVENT, say_job_error },
	{ "BLOCK_IO_ERROR", CONSOLE_EVENT, say_io_error },
	{ "BLOCK_WRITE_THRESHOLD", CONSOLE_EVENT, say_threshold },
	{ "BLOCK_IMAGE_CORRUPTED", CONSOLE_EVENT, say_corrupted },
	{ "X_BLKMON_NOTICE", CONSOLE_NOTICE, say_notice },
	{ "X_BLKMON_LOST", CONSOLE_EVENT, lost },
};

enum console_kind say_event_text(const json_t *event, struct str *text)
{
	const char *name = field_str(event, "event");

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i].event, name)) {
			words[i].say(json_object_get(event, "data"), text);
			return words[i].kind;
		}
	return CONSOLE_EVENT;
}

bool say_is_private(const json_t *event)
{
	return !strcmp(field_str(event, "event"), "X_BLKMON_NOTICE") ||
		field_bool(event, "x-blkmon-private");
}
