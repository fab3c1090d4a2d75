/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/process/option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/err.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

#define HELP_COLUMN 26		/* where the explanation begins */
#define SYNOPSIS_INDENT 7
#define COLUMNS 79
#define BRIEF_HEAD (HELP_COLUMN - 2 - strlen("  -x, -- "))

static bool is_row(const struct option_row *row)
{
	return row->name || row->code;
}

static bool has_letter(const struct option_row *row)
{
	return row->code < 256;
}

struct option *option_longs(const struct option_row *const *tables)
{
	struct option *longs = NULL;
	size_t n = 0;

	for (; *tables; tables++)
		for (const struct option_row *row = *tables; is_row(row);
		     row++) {
			if (!row->name)
				continue;
			longs = mem_grow(longs, n + 1, sizeof(*longs));
			longs[n++] = (struct option) {
				.name = row->name, .val = row->code,
				.has_arg = row->value ? required_argument :
					no_argument,
			};
		}
	longs = mem_grow(longs, n + 1, sizeof(*longs));
	longs[n] = (struct option) { 0 };
	return longs;
}

char *option_letters(const struct option_row *const *tables)
{
	struct str letters = STR_INIT;

	for (; *tables; tables++)
		for (const struct option_row *row = *tables; is_row(row);
		     row++) {
			if (has_letter(row))
				str_addf(&letters, "%c%s", row->code,
					 row->value ? ":" : "");
		}
	return str_detach(&letters);
}

const struct option_row *option_find(const struct option_row *table, int code)
{
	for (; is_row(table); table++)
		if (table->code == code)
			return table;
	return NULL;
}

int option_word(const char *words, const char *value)
{
	size_t len = strlen(value);

	for (int i = 0; ; i++) {
		size_t n = strcspn(words, "|");

		if (n == len && !memcmp(words, value, n))
			return i;
		if (!words[n])
			return -1;
		words += n + 1;
	}
}

int option_fd(const char *value, int *out)
{
	char *end;
	long fd;
	int flags = -1;

	errno = 0;
	fd = strtol(value, &end, 10);
	if (!errno && !*end && end != value && fd >= 0 && fd <= 65535)
		flags = fcntl((int)fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
		err_say(flags < 0 ? "'%s' is no descriptor" :
			"'%s' is a descriptor that is only read from", value);
		return -1;
	}
	*out = (int)fd;
	return 0;
}

/* --- help --- */

static void option_add_head(const struct option_row *row, struct str *out)
{
	if (has_letter(row))
		str_addf(out, "  -%c%s", row->code, row->name ? ", " : "");
	else
		str_add(out, "      ");
	if (row->name)
		str_addf(out, "--%s", row->name);
	if (row->value)
		str_addf(out, " %s", row->value);
}

static void help_row(const struct option_row *row, const char *line,
		     FILE *out)
{
	struct str head = STR_INIT;
	int column;

	option_add_head(row, &head);
	column = (int)head.len;
	fputs(str_get(&head), out);
	str_release(&head);
	if (column > HELP_COLUMN - 2) {
		fputc('\n', out);
		column = 0;
	}
	while (line) {
		int len = (int)strcspn(line, "\n");

		fprintf(out, "%*s%.*s\n", HELP_COLUMN - column, "", len, line);
		line = line[len] ? line + len + 1 : NULL;
		column = 0;
	}
}

void option_help(const struct option_row *table, FILE *out)
{
	for (; is_row(table); table++) {
		if (table->heading)
			fprintf(out, "\n%s\n", table->heading);
		help_row(table, table->help, out);
	}
}

void option_brief(const struct option_row *table, FILE *out)
{
	for (; is_row(table); table++) {
		struct option_row row = *table;

		if (!row.brief)
			continue;
		/* In one line, so a long value is not spelt out. */
		if (row.value && strlen(row.name) + strlen(row.value) >
				 BRIEF_HEAD)
			row.value = "...";
		help_row(&row, row.brief, out);
	}
}

static void add_synopsis(const struct option_row *row, struct str *out)
{
	str_add(out, " [");
	if (has_letter(row))
		str_addf(out, "-%c", row->code);
	else
		str_addf(out, "--%s", row->name);
	if (row->value)
		str_addf(out, " %s", row->value);
	str_add_char(out, ']');
}

void option_synopsis(const struct option_row *const *tables, int column,
		     FILE *out)
{
	struct str piece = STR_INIT;

	for (; *tables; tables++)
		for (const struct option_row *row = *tables; is_row(row);
		     row++) {
			str_clear(&piece);
			add_synopsis(row, &piece);
			if (column + (int)piece.len > COLUMNS) {
				fprintf(out, "\n%*s", SYNOPSIS_INDENT, "");
				column = SYNOPSIS_INDENT;
			}
			fputs(str_get(&piece), out);
			column += (int)piece.len;
		}
	str_release(&piece);
}

/* --- as JSON --- */

json_t *option_words_json(const char *words)
{
	json_t *list = json_array();

	while (words && *words) {
		size_t n = strcspn(words, "|");

		json_array_append_new(list, json_stringn(words, n));
		words += n + (words[n] == '|');
	}
	return list;
}

static json_t *row_json(const struct option_row *row)
{
	static const char *const takes[] = {
		[OPTION_WORDS] = "words", [OPTION_FILE] = "file",
		[OPTION_LINE] = "line", [OPTION_KEYS] = "keys",
	};
	char letter[] = { has_letter(row) ? (char)row->code : '\0', '\0' };

	return json_pack("{s:s*, s:s*, s:s*, s:o, s:s, s:s}",
			 "name", row->name, "letter", *letter ? letter : NULL,
			 "value", row->value,
			 "words", option_words_json(row->words),
			 "takes", takes[row->takes], "help", row->help);
}

json_t *option_json(const struct option_row *const *tables)
{
	json_t *list = json_array();

	for (; *tables; tables++)
		for (const struct option_row *row = *tables; is_row(row);
		     row++)
			json_array_append_new(list, row_json(row));
	return list;
}

/* What follows "--" up to a value, or the first letter. */
static bool option_word_is_safe(const char *word)
{
	size_t len = word[1] == '-' ? strcspn(word, "=") : strnlen(word, 2);
	char *name = mem_printf("%.*s", (int)len, word);
	struct str safe = STR_INIT;
	bool same;

	str_add_safe(&safe, name);
	same = !strcmp(str_get(&safe), name);
	str_release(&safe);
	free(name);
	return same;
}

int option_check(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (argv[i][0] == '-' && !option_word_is_safe(argv[i])) {
			err_say("unrecognized option '%s'", argv[i]);
			return -1;
		}
	return 0;
}
