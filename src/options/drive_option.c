/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/drive_option.h"

#include <string.h>

#include "engine/chain/chain.h"
#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "engine/util/str.h"
#include "src/process/option.h"

/* In the order of enum file_cache. */
#define CACHE_WORDS "writeback|none|unsafe"

static int set_format(struct drive_options *d, const char *value)
{
	d->node.format = value;
	return 0;
}

static int set_readonly(struct drive_options *d, const char *value)
{
	d->node.read_only = !strcmp(value, "on");
	return 0;
}

static int set_cache(struct drive_options *d, const char *value)
{
	d->node.cache = (enum file_cache)option_word(CACHE_WORDS, value);
	return 0;
}

static int set_file(struct drive_options *d, const char *value)
{
	d->node.path = value;
	return 0;
}

static int set_id(struct drive_options *d, const char *value)
{
	d->id = value;
	return *value ? 0 : -1;
}

static int set_backing_format(struct drive_options *d, const char *value)
{
	d->node.backing_format = value;
	return 0;
}

static int set_data_file(struct drive_options *d, const char *value)
{
	const char **files = (const char **)d->node.data_files;

	files = mem_grow(files, d->node.data_file_count + 1, sizeof(*files));
	files[d->node.data_file_count++] = value;
	d->node.data_files = files;
	return *value ? 0 : -1;
}

static int set_metadata_max(struct drive_options *d, const char *value)
{
	const char *end;

	return size_parse(value, &d->node.metadata_max, &end) || *end ? -1 : 0;
}

static int set_node_name(struct drive_options *d, const char *value)
{
	d->node.node_name = value;
	return *value ? 0 : -1;
}

static int set_rerror(struct drive_options *d, const char *value)
{
	return on_error_parse(value, &d->on_read_error);
}

static int set_werror(struct drive_options *d, const char *value)
{
	return on_error_parse(value, &d->on_write_error);
}

static int set_force(struct drive_options *d, const char *value)
{
	d->force = !strcmp(value, "on");
	return 0;
}

/* What QEMU lines carry and blkmon has no use for, with the only value. */
static int set_if(struct drive_options *d, const char *value)
{
	(void)d;
	(void)value;
	return 0;
}

static const struct drive_key {
	const char *key;
	int (*set)(struct drive_options *d, const char *value);
	const char *words;	/* all that is possible; NULL: ask set() */
	bool file;		/* a file is named */
} drive_keys[] = {
	{ "file", .set = set_file, .file = true },
	{ "id", .set = set_id },
	{ "format", .set = set_format, .words = "qcow2|raw" },
	{ "readonly", .set = set_readonly, .words = "on|off" },
	{ "read-only", .set = set_readonly, .words = "on|off" },
	{ "cache", .set = set_cache, .words = CACHE_WORDS },
	{ "backing-format", .set = set_backing_format, .words = "qcow2|raw" },
	{ "data-file", .set = set_data_file, .file = true },
	{ "metadata-max", .set = set_metadata_max },
	{ "node-name", .set = set_node_name },
	/* A disk can't be full to read from it. */
	{ "rerror", .set = set_rerror, .words = "report|ignore|stop" },
	{ "werror", .set = set_werror, .words = "report|ignore|stop|enospc" },
	{ "force", .set = set_force, .words = "on|off" },
	{ "if", .set = set_if, .words = "none" },
};

json_t *drive_option_keys(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(drive_keys) / sizeof(*drive_keys); i++) {
		const struct drive_key *key = &drive_keys[i];

		json_array_append_new(list, json_pack("{s:s, s:o, s:s}",
			"name", key->key,
			"words", option_words_json(key->words),
			"takes", key->file ? "file" : "words"));
	}
	return list;
}

static bool set_key(struct drive_options *d, const struct drive_key *key,
		    const char *value)
{
	return (!key->words || option_word(key->words, value) >= 0) &&
		!key->set(d, value);
}

/* Of the image so deep below the drive's. */
static struct below_options *below_at(struct drive_options *d, size_t depth)
{
	struct below_options *below = (void *)(uintptr_t)d->node.below;

	if (depth > d->node.below_count) {
		below = mem_grow(below, depth, sizeof(*below));
		while (d->node.below_count < depth)
			below[d->node.below_count++] =
				(struct below_options){ .node_name = NULL };
		d->node.below = below;
	}
	return &below[depth - 1];
}

/* "backing.backing.node-name": of the second image below. */
static bool set_below(struct drive_options *d, const char *key,
		      const char *value)
{
	static const char backing[] = "backing.";
	size_t depth = 0;

	while (str_has_prefix(key, backing)) {
		key += strlen(backing);
		depth++;
	}
	if (!depth || depth > CHAIN_DEPTH_MAX || !*value)
		return false;
	if (!strcmp(key, "node-name"))
		below_at(d, depth)->node_name = value;
	else if (!strcmp(key, "data-file"))
		below_at(d, depth)->data_file = value;
	else
		return false;
	return true;
}

/* The piece up to the next single comma, ended there and with doubled ones
 * halved; *s stands behind it. */
static char *next_pair(char **s)
{
	char *pair = *s, *out = *s;

	for (; **s; ++*s) {
		if (**s == ',' && (*s)[1] != ',')
			break;
		*s += **s == ',';
		*out++ = **s;
	}
	*s += **s == ',';
	*out = '\0';
	return pair;
}

static int set_pair(struct drive_options *d, char *pair, struct err *err)
{
	char *eq = strchr(pair, '=');

	if (!eq)
		return err_set(err, ERR_GENERIC, "'%s' is not KEY=VALUE",
			       pair);
	*eq = '\0';
	if (set_below(d, pair, eq + 1))
		return 0;
	for (size_t i = 0; i < sizeof(drive_keys) / sizeof(*drive_keys); i++) {
		if (strcmp(drive_keys[i].key, pair))
			continue;
		if (set_key(d, &drive_keys[i], eq + 1))
			return 0;
		return err_set(err, ERR_GENERIC, "%s=%s is not possible",
			       pair, eq + 1);
	}
	return err_set(err, ERR_GENERIC, "there is no key '%s'", pair);
}

int drive_option_take(struct drive_options *d, char *text, struct err *err)
{
	while (*text)
		if (set_pair(d, next_pair(&text), err))
			return -1;
	if (!d->node.path && !d->id)
		return err_set(err, ERR_GENERIC, "file=PATH is missing");
	return 0;
}
