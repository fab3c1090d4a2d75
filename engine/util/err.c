/* err.c - see err.h.
 *
 * Every sentence is made in a second buffer, because callers put the old one
 * into the new one: err_set(err, ERR_GENERIC, "x: %s", err->text).
 */
#include "engine/util/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"

int err_set(struct err *err, enum err_class class, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strcpy(err->text, text);
	err->class = class;
	err->errnum = 0;
	err->way.file[0] = '\0';
	err->tip[0] = '\0';
	return -1;
}

int err_tip(struct err *err, const char *fmt, ...)
{
	struct str text = STR_INIT, safe = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	str_add_safe(&safe, str_get(&text));
	if (safe.len < sizeof(err->tip))
		strcpy(err->tip, str_get(&safe));
	str_release(&text);
	str_release(&safe);
	return -1;
}

int err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX], why[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	errnum = abs(errnum);
	err_set(err, ERR_GENERIC, "%s: %s", text,
		strerror_r(errnum, why, sizeof(why)));
	err->errnum = errnum;
	return -1;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, "%s", err->text);
	strcpy(err->text, text);
}

void err_add_text(struct str *out, const char *text)
{
	const char *hint = strstr(text, "\n" ERR_HINT);
	char *first;

	if (hint) {
		first = mem_printf("%.*s", (int)(hint - text), text);
		str_add_safe(out, first);
		str_add_char(out, '\n');
		free(first);
		text = hint + 1;
	}
	str_add_safe(out, text);
}

void err_say(const char *fmt, ...)
{
	struct str raw = STR_INIT, text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_addv(&raw, fmt, ap);
	va_end(ap);
	err_add_text(&text, str_get(&raw));
	fprintf(stderr, "blkmon: %s\n", str_get(&text));
	str_release(&raw);
	str_release(&text);
}
