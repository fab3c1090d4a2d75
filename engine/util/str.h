/* str.h - a growing string. Not thread-safe; the owner releases it.
 *
 * Up to STR_SURE bytes it does not fail (mem.h). What finds no memory beyond
 * that is left out, with all that would follow it, and `lost` is set: whoever
 * passes on what may be so long looks at that first.
 */
#ifndef BLKMON_UTIL_STR_H
#define BLKMON_UTIL_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	char *s;	/* NUL-terminated, never NULL after the first add */
	size_t len;	/* without the NUL */
	size_t cap;
	bool lost;	/* its end, until it is cleared or released */
};

#define STR_SURE ((size_t)64 << 10)

#define STR_INIT { 0 }

void str_release(struct str *str);	/* frees, ready for use again */
void str_clear(struct str *str);	/* len 0, memory kept */
char *str_detach(struct str *str);	/* caller frees; never NULL */
const char *str_get(const struct str *str); /* "" when empty */

void str_add(struct str *str, const char *text);
void str_add_mem(struct str *str, const void *mem, size_t len);
void str_add_char(struct str *str, char c);
void str_addf(struct str *str, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void str_addv(struct str *str, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Appends untrusted @text fit for a terminal or a log: control characters,
 * DEL, invalid UTF-8, and the bidi and zero-width format characters are
 * written as \xNN (or \u{N} for code points above U+007F); backslash stays
 * itself. */
void str_add_safe(struct str *str, const char *text);

/* A blank, and @word as the prompt reads it: quoted where it must be, so that
 * it is neither cut nor taken for a flag. */
void str_add_word(struct str *str, const char *word);
/* @word as a shell reads it, whatever is in it: in quotes. */
void str_add_shell(struct str *str, const char *word);

/* The code point at @s and its length in bytes, or 0 if that is not UTF-8
 * (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
size_t str_utf8(const char *s, uint32_t *cp);

bool str_has_prefix(const char *s, const char *prefix);
/* What QEMU calls a well-formed id: an ASCII letter, then letters, digits and
 * "-._". */
bool str_is_id(const char *s);

#endif
