/* str.c - see str.h. */
#include "engine/util/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/bug.h"
#include "engine/util/mem.h"

#define STR_MIN 64

static bool str_grow(struct str *str, size_t need)
{
	size_t cap = str->cap;
	char *more;

	if (need <= STR_SURE) {
		cap = cap < STR_MIN ? STR_MIN : cap;
		while (cap < need)
			cap *= 2;
		more = mem_grow(str->s, cap, 1);
	} else {
		more = mem_try_more(str->s, &cap, need, 1);
	}
	if (!more)
		return false;
	str->s = more;
	str->cap = cap;
	return true;
}

/* Room for @len more bytes and the NUL; false: there is none any more. */
static bool str_reserve(struct str *str, size_t len)
{
	size_t need = str->len + len + 1;

	BUG_ON(need <= len);
	if (!str->lost && need > str->cap)
		str->lost = !str_grow(str, need);
	return !str->lost;
}

void str_release(struct str *str)
{
	free(str->s);
	*str = (struct str)STR_INIT;
}

void str_clear(struct str *str)
{
	str->len = 0;
	str->lost = false;
	if (str->s)
		str->s[0] = '\0';
}

char *str_detach(struct str *str)
{
	char *s = str->s ? str->s : mem_dup("");

	*str = (struct str)STR_INIT;
	return s;
}

const char *str_get(const struct str *str)
{
	return str->s ? str->s : "";
}

void str_add(struct str *str, const char *text)
{
	str_add_mem(str, text, strlen(text));
}

void str_add_mem(struct str *str, const void *mem, size_t len)
{
	if (!str_reserve(str, len))
		return;
	if (len)
		memcpy(str->s + str->len, mem, len);
	str->len += len;
	str->s[str->len] = '\0';
}

void str_add_char(struct str *str, char c)
{
	str_add_mem(str, &c, 1);
}

void str_addf(struct str *str, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_addv(str, fmt, ap);
	va_end(ap);
}

void str_addv(struct str *str, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	BUG_ON(len < 0);
	if (str_reserve(str, (size_t)len)) {
		vsnprintf(str->s + str->len, (size_t)len + 1, fmt, again);
		str->len += (size_t)len;
	}
	va_end(again);
}

size_t str_utf8(const char *text, uint32_t *cp)
{
	const unsigned char *s = (const unsigned char *)text;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *s < 0x80 ? 1 : *s < 0xc0 ? 0 : *s < 0xe0 ? 2 :
		     *s < 0xf0 ? 3 : *s < 0xf8 ? 4 : 0;
	uint32_t v = len < 2 ? *s : *s & (0x7fu >> len);

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return len;
}

/* What moves, hides or reorders text, or looks like a blank and is none:
 * controls, and of Unicode's categories Cf and Z all but the ideographic
 * space, which is wide enough to be seen. */
static bool str_is_unsafe(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
	} bad[] = {
		{ 0x0000, 0x001f }, { 0x007f, 0x00a0 }, { 0x00ad, 0x00ad },
		{ 0x061c, 0x061c }, { 0x1680, 0x1680 }, { 0x180e, 0x180e },
		{ 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (cp >= bad[i].first && cp <= bad[i].last)
			return true;
	return false;
}

void str_add_safe(struct str *str, const char *text)
{
	const char *s = text;
	uint32_t cp;

	while (*s) {
		size_t len = str_utf8(s, &cp);

		if (!len || (cp <= 0x7f && str_is_unsafe(cp)))
			str_addf(str, "\\x%02x", (unsigned char)*s);
		else if (str_is_unsafe(cp))
			str_addf(str, "\\u{%x}", cp);
		else
			str_add_mem(str, s, len);
		s += len ? len : 1;
	}
}

void str_add_word(struct str *str, const char *word)
{
	bool quote = !*word || *word == '-' ||
		     strpbrk(word, " \t\v\f\"\\\n\r");

	str_add(str, quote ? " \"" : " ");
	for (; *word; word++) {
		if (*word == '\n' || *word == '\r') {
			str_add(str, *word == '\n' ? "\\n" : "\\r");
			continue;
		}
		if (quote && (*word == '"' || *word == '\\'))
			str_add_char(str, '\\');
		str_add_char(str, *word);
	}
	if (quote)
		str_add_char(str, '"');
}

void str_add_shell(struct str *str, const char *word)
{
	str_add_char(str, '\'');
	for (; *word; word++)
		if (*word == '\'')
			str_add(str, "'\\''");
		else
			str_add_char(str, *word);
	str_add_char(str, '\'');
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool str_is_id(const char *s)
{
	if (!is_letter(*s))
		return false;
	while (is_letter(*s) || (*s && strchr("0123456789-._", *s)))
		s++;
	return !*s;
}
