/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A snapshot is a line of QEMU's with all its options, five rows long; that
 * an image's format was found by its first bytes is two rows of alarm. What is
 * not known here stays as it is.
 */
#include "ui/screen/brief.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"

/* What stands between @from and the last @to behind it; NULL if either is not
 * there. The caller's. */
static char *text_between(const char *text, const char *from, const char *to)
{
	const char *begin = strstr(text, from), *end = NULL, *at;

	if (!begin)
		return NULL;
	begin += strlen(from);
	for (at = begin; (at = strstr(at, to)); at++)
		end = at;
	return end ? mem_printf("%.*s", (int)(end - begin), begin) : NULL;
}

static void add_short(const struct sheet *s, struct str *out, const char *path)
{
	text_fit_middle(out, text_base_name(path), s->canvas.w / 2 - 8,
			s->canvas.ascii);
}

/* "sn3 on sn2" */
static bool brief_snapshot(const struct sheet *s, const char *text,
			   struct str *out)
{
	char *file = text_between(text, "Formatting '", "', fmt=");
	char *below = text_between(text, " backing_file=", " backing_fmt=");
	bool told = file && below;

	if (told) {
		str_add(out, "new layer ");
		add_short(s, out, file);
		str_add(out, " on ");
		add_short(s, out, below);
	}
	free(file);
	free(below);
	return told;
}

/* Raw is a guess, for what a guest writes can look like any format. */
static bool brief_guess(const struct sheet *s, const char *text,
			struct str *out, enum log_kind *kind)
{
	char *file = text_between(text, "not specified for '",
				  "' and probing guessed ");
	char *format = text_between(text, "' and probing guessed ", ".");
	bool told = file && format, raw;

	if (told) {
		raw = !strcmp(format, "raw");
		add_short(s, out, file);
		str_addf(out, raw ? " is taken as %s: its format was not given"
			 : " is %s, by its first bytes", format);
		*kind = raw ? LOG_NOTICE : LOG_SCREEN;
	}
	free(file);
	free(format);
	return told;
}

bool brief_notice(const struct sheet *s, const char *text, struct str *out,
		  enum log_kind *kind)
{
	if (str_has_prefix(text, "Formatting '")) {
		*kind = LOG_EVENT;
		return brief_snapshot(s, text, out);
	}
	return str_has_prefix(text, "Image format was not specified") &&
		brief_guess(s, text, out, kind);
}
