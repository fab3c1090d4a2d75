/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/history_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/util/size.h"
#include "src/console/fields.h"

/* --- one --- */

static void history_when(const char *iso, char *buf, size_t size)
{
	struct tm tm = { 0 }, here;
	time_t seconds;

	*buf = '\0';
	if (!strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	seconds = timegm(&tm);
	if (localtime_r(&seconds, &here))
		strftime(buf, size, "%Y-%m-%d %H:%M:%S", &here);
}

static void history_file(const char *path, struct str *out)
{
	const char *slash = strrchr(path, '/');

	str_add_safe(out, slash ? slash + 1 : path);
}

static void history_names(const json_t *entry, struct history_row *row)
{
	const json_t *from = json_object_get(entry, "from");
	size_t n = json_array_size(from);
	const char *one = json_string_value(json_array_get(from, 0));

	str_add_safe(&row->kind, field_str(entry, "kind"));
	if (one)
		history_file(one, &row->next);
	if (n == 1)
		str_add(&row->from, str_get(&row->next));
	else if (n)
		str_addf(&row->from, "%zu layers", n);
	history_file(field_str(entry, "to"), &row->to);
}

void history_row_init(struct history_row *row, const json_t *entry)
{
	uint64_t rate = field_u64(entry, "rate");
	char size[8];

	*row = (struct history_row) { 0 };
	history_when(field_str(entry, "when"), row->when, sizeof(row->when));
	size_short(field_u64(entry, "moved"), row->moved, sizeof(row->moved));
	time_short(field_u64(entry, "time-ns"), row->time, sizeof(row->time));
	if (rate)
		snprintf(row->rate, sizeof(row->rate), "%s/s",
			 size_short(rate, size, sizeof(size)));
	str_add_safe(&row->job, field_str(entry, "job"));
	history_names(entry, row);
	str_add_safe(&row->result, field_str(entry, "result"));
	if (*field_str(entry, "error")) {
		str_add(&row->result, ": ");
		str_add_safe(&row->result, field_str(entry, "error"));
	}
}

void history_row_release(struct history_row *row)
{
	str_release(&row->job);
	str_release(&row->kind);
	str_release(&row->from);
	str_release(&row->next);
	str_release(&row->to);
	str_release(&row->result);
}

/* --- all --- */

/* "commit db-3 -> db-2" */
static void history_what(const struct history_row *row, struct str *out)
{
	str_clear(out);
	str_add(out, str_get(&row->kind));
	if (row->from.len)
		str_addf(out, " %s", str_get(&row->from));
	if (row->to.len)
		str_addf(out, " -> %s", str_get(&row->to));
}

struct history_widths {
	int job, what;
};

static void history_widen(struct history_widths *w, const json_t *entry)
{
	struct str what = STR_INIT;
	struct history_row row;

	history_row_init(&row, entry);
	history_what(&row, &what);
	if ((int)row.job.len > w->job)
		w->job = (int)row.job.len;
	if ((int)what.len > w->what)
		w->what = (int)what.len;
	history_row_release(&row);
	str_release(&what);
}

static void history_line(const struct history_widths *w, const json_t *entry,
			 struct str *out)
{
	struct str what = STR_INIT;
	struct history_row row;

	history_row_init(&row, entry);
	history_what(&row, &what);
	str_addf(out, "%-19s  %-*s  %-*s  %5s  %6s  %7s  %s\n", row.when,
		 w->job, str_get(&row.job), w->what, str_get(&what),
		 row.moved, row.time, row.rate, str_get(&row.result));
	history_row_release(&row);
	str_release(&what);
}

void history_text(const json_t *list, struct str *out)
{
	struct history_widths w = { .job = 3, .what = 4 };
	json_t *entry;
	size_t i;

	if (!json_array_size(list)) {
		str_add(out, "No job has ended yet\n");
		return;
	}
	json_array_foreach(list, i, entry)
		history_widen(&w, entry);
	str_addf(out, "%-19s  %-*s  %-*s  moved    time     rate  result\n",
		 "when", w.job, "job", w.what, "what");
	json_array_foreach(list, i, entry)
		history_line(&w, entry, out);
}
