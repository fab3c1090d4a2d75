/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a request to the line of HMP that does the same.
 */
#include <string.h>

#include "engine/util/str.h"
#include "src/qmp/command.h"
#include "src/qmp/json/text.h"
#include "src/qmp/options.h"

static const struct plan_words {
	const char *qmp, *hmp;
	const char *args[5];	/* in HMP's order */
} plan_words[] = {
	{ "block-stream", "block_stream", { "device", "speed", "base" } },
	{ "block-commit", "block_commit",
	  { "device", "base", "top", "speed" } },
	{ "__com.redhat_block-commit", "__com.redhat_block-commit",
	  { "device", "base", "top", "speed" } },
	{ "x-blkmon-commit", "commit", { "device" } },
	{ "blockdev-snapshot-sync", "snapshot_blkdev",
	  { "device", "snapshot-file", "format" } },
	{ "blockdev-snapshot-internal-sync", "snapshot_blkdev_internal",
	  { "device", "name" } },
	{ "block-job-complete", "block_job_complete", { "device" } },
	{ "job-complete", "block_job_complete", { "id" } },
	{ "block-job-cancel", "block_job_cancel", { "device" } },
	{ "job-cancel", "block_job_cancel", { "id" } },
	{ "block_resize", "block_resize", { "device", "size" } },
	{ "x-blkmon-delete", "delete", { "files" } },
	{ "x-blkmon-undo", "undo", { "id" } },
	{ "x-blkmon-rebase", "rebase",
	  { "file", "base", "base-format", "speed" } },
};

#define PLAN_WORDS (sizeof(plan_words) / sizeof(*plan_words))

static const struct plan_words *plan_words_of(const char *name)
{
	for (size_t i = 0; i < PLAN_WORDS; i++)
		if (!strcmp(plan_words[i].qmp, name))
			return &plan_words[i];
	return NULL;
}

/* The flag that stands for an argument; "" none is needed, NULL: HMP has no
 * word for it. */
static const char *plan_flag_for(const char *key, const json_t *value)
{
	if (!strcmp(key, "mode"))
		return strcmp(json_string_value(value), "existing") ? "" :
								      " -n";
	if (!strcmp(key, "data-files") && json_is_boolean(value))
		return json_is_true(value) ? " -d" : "";
	if (!strcmp(key, "dry-run"))
		return json_is_true(value) ? " -n" : "";
	if (!strcmp(key, "force") || !strcmp(key, "x-blkmon-force"))
		return json_is_true(value) ? " -f" : "";
	return NULL;
}

static bool is_positional(const struct plan_words *w, const char *key)
{
	for (size_t i = 0; w->args[i]; i++)
		if (!strcmp(w->args[i], key))
			return true;
	return false;
}

/* Adds the flags. False if there is something that HMP can't say. */
static bool add_flags(const struct plan_words *w, const json_t *args,
		      struct str *line)
{
	const char *key;
	json_t *value;

	if (!strcmp(w->qmp, "job-cancel"))
		str_add(line, " -f");
	json_object_foreach((json_t *)args, key, value) {
		const char *flag = is_positional(w, key) ? "" :
				   plan_flag_for(key, value);

		if (!flag)
			return false;
		str_add(line, flag);
	}
	return true;
}

static void plan_add_words(struct str *line, const json_t *list)
{
	json_t *word;
	size_t i;

	json_array_foreach((json_t *)list, i, word)
		str_add_word(line, json_string_value(word));
}

/* One that is left out is skipped over, where one is behind it. */
static bool add_positional(const struct plan_words *w, const json_t *args,
			   struct str *line)
{
	size_t last = 0;

	for (size_t i = 0; w->args[i]; i++)
		if (json_object_get(args, w->args[i]))
			last = i;
	for (size_t i = 0; i <= last; i++) {
		const json_t *value = json_object_get(args, w->args[i]);

		if (json_is_integer(value))
			str_addf(line, " %lldB", (long long)
				 json_integer_value(value));
		else if (json_is_array(value))
			plan_add_words(line, value);
		else if (value)
			str_add_word(line, json_string_value(value));
		else if (!strcmp(w->args[i], "speed"))
			str_add(line, " 0");
		else if (!strcmp(w->hmp, "block_commit"))
			str_add(line, " \"\"");
		else
			return false;
	}
	return true;
}

json_t *plan_line(const char *name, const json_t *args)
{
	const struct plan_words *w = plan_words_of(name);
	struct str line = STR_INIT;
	json_t *value = NULL;

	if (!w)
		return json_null();
	str_add(&line, w->hmp);
	if (add_flags(w, args, &line) && add_positional(w, args, &line))
		value = qmp_text(str_get(&line));
	str_release(&line);
	return value ? value : json_null();
}
