/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/line/complete.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "src/console/hmp/hmp.h"

#define SPACE " \t"

struct completer {
	struct console *c;
	const char *part;
	struct completion *out;
};

void completion_release(struct completion *comp)
{
	for (size_t i = 0; i < comp->n; i++)
		free(comp->words[i]);
	free(comp->words);
	*comp = (struct completion) { 0 };
}

static void offer(struct completer *k, const char *word)
{
	struct completion *out = k->out;

	if (!*word || !str_has_prefix(word, k->part))
		return;
	for (size_t i = 0; i < out->n; i++)
		if (!strcmp(out->words[i], word))
			return;
	out->words = mem_grow(out->words, out->n + 1, sizeof(*out->words));
	out->words[out->n++] = mem_dup(word);
}

static void offer_table(struct completer *k, const struct hmp_command *table)
{
	for (; table->name; table++)
		offer(k, table->name);
}

/* One member of each entry of a query's list. */
static void offer_members(struct completer *k, const char *query,
			  const char *member)
{
	json_t *reply = channel_call(k->c->channel, query, NULL), *entry;
	size_t i;

	json_array_foreach(json_object_get(reply, "return"), i, entry)
		offer(k, field_str(entry, member));
	json_decref(reply);
}

/* The images below the active layer of a device, and the layer itself. */
static void offer_images(struct completer *k, const char *device)
{
	json_t *reply = channel_call(k->c->channel, "query-block", NULL);
	const json_t *image;
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(reply, "return"), i, entry) {
		if (strcmp(field_str(entry, "device"), device))
			continue;
		image = json_object_get(json_object_get(entry, "inserted"),
					"image");
		for (; image; image = json_object_get(image, "backing-image"))
			offer(k, field_str(image, "filename"));
	}
	json_decref(reply);
}

static void offer_flags(struct completer *k, const char *args)
{
	struct hmp_arg arg;

	while (hmp_next_arg(&args, &arg)) {
		char flag[] = { '-', arg.flag, '\0' };

		if (arg.type == '-')
			offer(k, flag);
	}
}

/* The argument of that number, flags not counted. */
static bool positional(const char *args, size_t number, struct hmp_arg *arg)
{
	while (hmp_next_arg(&args, arg))
		if (arg->type != '-' && (arg->many || !number--))
			return true;
	return false;
}

static void offer_argument(struct completer *k,
			   const struct hmp_command *cmd, size_t number,
			   const char *device)
{
	struct hmp_arg arg;

	if (*k->part == '-')
		offer_flags(k, cmd->args);
	if (!positional(cmd->args, number, &arg))
		return;
	switch (arg.type) {
	case 'B':
		offer_members(k, "query-block", "device");
		if (!cmd->qmp)
			offer_members(k, "query-named-block-nodes",
				      "node-name");
		break;
	case 'J':
		offer_members(k, "query-jobs", "id");
		break;
	case 'I':
		offer_images(k, device);
		break;
	case 'F':
		k->out->files = true;
		break;
	case 'C':
		offer_table(k, hmp_commands);
		break;
	}
}

/* Words of the line before the cursor, flags left out. */
struct words {
	char *first, *second;
	size_t n;
};

static void complete_split(struct words *w, char *text)
{
	char *save = NULL, *word = strtok_r(text, SPACE, &save);

	for (; word; word = strtok_r(NULL, SPACE, &save)) {
		if (*word == '-' && w->n)
			continue;
		w->n++;
		if (w->n == 1)
			w->first = word;
		else if (w->n == 2)
			w->second = word;
	}
}

static void complete_words(struct completer *k, const struct words *w)
{
	const struct hmp_command *table = hmp_commands, *cmd;
	const char *name = w->first;
	size_t before = 1;	/* words of the command's name */

	if (!w->n) {
		offer_table(k, hmp_commands);
		return;
	}
	if (!strcmp(name, "info") || (!strcmp(name, "help") && w->second &&
				      !strcmp(w->second, "info"))) {
		table = hmp_info_commands;
		before = 2;
		name = w->second;
		if (w->n < before || !strcmp(w->first, "help")) {
			offer_table(k, table);
			return;
		}
	}
	cmd = hmp_find(table, name, strlen(name));
	if (cmd)
		offer_argument(k, cmd, w->n - before,
			       w->second ? w->second : "");
}

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && !memcmp(s + len - n, end, n);
}

/* "id=d0,format=raw,file=/im": the last option of a word names a file, in
 * drive_add as in the ways of qmp-shell. */
static void offer_option(struct completer *k)
{
	const char *comma = strrchr(k->part, ',');
	const char *key = comma ? comma + 1 : k->part;
	size_t len = strcspn(key, "=");

	if (!key[len] ||
	    (!ends_with(key, len, "file") && !ends_with(key, len, "filename")))
		return;
	k->out->files = true;
	k->out->files_at = (size_t)(key - k->part) + len + 1;
}

void complete_line(struct console *c, const char *line, size_t start,
		   const char *part, struct completion *out)
{
	struct completer k = { .c = c, .part = part, .out = out };
	char *before = mem_printf("%.*s", (int)start, line);
	struct words words = { 0 };

	*out = (struct completion) { 0 };
	complete_split(&words, before);
	complete_words(&k, &words);
	if (words.n)
		offer_option(&k);
	free(before);
}
