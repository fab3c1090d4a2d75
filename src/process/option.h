/* option.h - the rows of which a command line is made.
 *
 * One row says what an option is called, what may stand behind it and what it
 * is for: getopt's tables, --help, the words that are accepted and what a
 * shell completes are made of it. Tables end with a row that is all zero; a
 * command line may have several, in a list that ends with NULL.
 */
#ifndef BLKMON_OPTION_H
#define BLKMON_OPTION_H

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

enum option_takes {		/* what completion offers as its value */
	OPTION_WORDS,		/* the row's words, nothing where it has none */
	OPTION_FILE,
	OPTION_LINE,		/* a line as typed at the prompt */
	OPTION_KEYS,		/* KEY=VALUE,... of the drive's keys */
};

struct option_row {
	const char *name;	/* without hyphens; NULL: a letter alone */
	int code;		/* that getopt returns; a letter's is the
				   letter, so are all below 256 */
	const char *value;	/* what help calls it; NULL: takes none */
	const char *words;	/* with '|' between; one that ends in '=', ':'
				   or ',' goes on. NULL: anything */
	enum option_takes takes;
	const char *heading;	/* stands before it in help, or NULL */
	const char *help;	/* lines with '\n' between */
	const char *brief;	/* one line, of what most people look for */
};

/* What getopt_long() wants; the caller frees both. */
struct option *option_longs(const struct option_row *const *tables);
char *option_letters(const struct option_row *const *tables);

/* The row that has @code; NULL if none of @table has. */
const struct option_row *option_find(const struct option_row *table,
				     int code);
/* Which of @words (with '|' between) @value is: its number, or -1. */
int option_word(const char *words, const char *value);

/* An open descriptor from @value into *out: 0, or -1 after it was said that it
 * is none. */
int option_fd(const char *value, int *out);

/* Before getopt(), which says the name of an option that it does not know as it
 * is: none that a terminal would not show. 0, or -1 after it was said. */
int option_check(int argc, char **argv);

/* All rows, as --help shows them. */
void option_help(const struct option_row *table, FILE *out);
/* Those that have it, with what is brief of them. */
void option_brief(const struct option_row *table, FILE *out);
/* " [-f FORMAT] [--json]", in lines of less than 80 columns of which the first
 * has @column already and the others are indented. */
void option_synopsis(const struct option_row *const *tables, int column,
		     FILE *out);
/* The rows as an array of objects, the caller's. */
json_t *option_json(const struct option_row *const *tables);
/* "a|b" as an array, the caller's; empty for NULL. */
json_t *option_words_json(const char *words);

#endif
