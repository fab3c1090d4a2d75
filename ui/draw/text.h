/* text.h - how wide text is on a terminal, and cutting it to fit.
 *
 * Strings are in the locale's encoding, already free of controls (str_add_safe
 * or the console has seen to that). A column is one cell of the terminal; wide
 * characters take two, combining ones none.
 */
#ifndef BLKMON_UI_TEXT_H
#define BLKMON_UI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "engine/util/str.h"

/* The character at *s, which moves behind it. What can't be decoded or shown
 * becomes '?'. Returns its columns: 0, 1 or 2. *s must not be at the end. */
unsigned text_next(const char **s, wchar_t *wc);
unsigned text_columns(const char *s);
/* Columns of the first @bytes bytes. */
unsigned text_columns_upto(const char *s, size_t bytes);
/* Bytes of the longest beginning that takes at most @columns. */
size_t text_prefix(const char *s, unsigned columns);

/* Bytes of the first row of @s where it is wrapped at @columns: it breaks at a
 * newline, or behind a blank or a slash where one is near. And how many rows
 * it takes, at least 1. */
size_t text_row(const char *s, unsigned columns);
unsigned text_rows(const char *s, unsigned columns);

/* Adds @s cut to @columns: where it is longer, "~" or "…" stands for what is
 * left out: the end, or the middle where the end of a name tells it from
 * others. */
void text_fit(struct str *out, const char *s, unsigned columns, bool ascii);
void text_fit_middle(struct str *out, const char *s, unsigned columns,
		     bool ascii);
/* Adds an untrusted name, with controls shown escaped. */
char *text_safe(const char *name);	/* caller frees */

/* The same into @to, @size bytes; a character that does not fit is left out
 * whole. */
void text_copy_safe(char *to, size_t size, const char *name);

/* The last part of a path. Borrowed. */
const char *text_base_name(const char *path);

/* Case is ignored; NULL if @needle is not there. */
const char *text_find(const char *hay, const char *needle);

/* "5s", "12m", "47h", "55d": at most 4 columns for a few years. */
char *text_age(uint64_t seconds, char *buf, size_t len);

#endif
