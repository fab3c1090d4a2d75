/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/draw/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Reorders or hides what stands around it; a last line of defence, as names
 * come here escaped. */
static bool text_is_unsafe(wchar_t wc)
{
	return (wc >= 0x200b && wc <= 0x200f) ||
		(wc >= 0x2028 && wc <= 0x202e) ||
		(wc >= 0x2060 && wc <= 0x206f) || wc == 0x61c ||
		wc == 0xfeff || wc == 0xad || wc == 0x180e ||
		(wc >= 0xe0000 && wc <= 0xe007f);
}

unsigned text_next(const char **s, wchar_t *wc)
{
	mbstate_t state = { 0 };
	size_t len = mbrtowc(wc, *s, strlen(*s), &state);
	int width;

	if (len == 0 || len == (size_t)-1 || len == (size_t)-2) {
		*wc = L'?';
		*s += 1;
		return 1;
	}
	*s += len;
	width = wcwidth(*wc);
	if (width < 0 || text_is_unsafe(*wc)) {
		*wc = L'?';
		return 1;
	}
	return (unsigned)width;
}

unsigned text_columns_upto(const char *s, size_t bytes)
{
	const char *end = s + bytes;
	unsigned columns = 0;
	wchar_t wc;

	while (*s && s < end)
		columns += text_next(&s, &wc);
	return columns;
}

unsigned text_columns(const char *s)
{
	return text_columns_upto(s, strlen(s));
}

size_t text_prefix(const char *s, unsigned columns)
{
	const char *start = s, *fits = s;
	wchar_t wc;

	while (*s) {
		unsigned width = text_next(&s, &wc);

		if (width > columns)
			break;
		columns -= width;
		fits = s;
	}
	return (size_t)(fits - start);
}

size_t text_row(const char *s, unsigned columns)
{
	size_t len = text_prefix(s, columns), at = len;
	size_t end = strcspn(s, "\n");

	if (len >= end || !len)
		return end;
	while (at > len * 2 / 3 && s[at - 1] != ' ' && s[at - 1] != '/')
		at--;
	return at > len * 2 / 3 ? at : len;
}

unsigned text_rows(const char *s, unsigned columns)
{
	unsigned n = 0;

	do {
		s += text_row(s, columns);
		s += *s == '\n';
		n++;
	} while (*s);
	return n;
}

/* The rest of @s that takes at most @columns. */
static const char *suffix(const char *s, unsigned columns)
{
	unsigned all = text_columns(s);
	wchar_t wc;

	while (all > columns)
		all -= text_next(&s, &wc);
	return s;
}

void text_fit(struct str *out, const char *s, unsigned columns, bool ascii)
{
	if (text_columns(s) <= columns) {
		str_add(out, s);
	} else if (columns) {
		str_add_mem(out, s, text_prefix(s, columns - 1));
		str_add(out, ascii ? "~" : "…");
	}
}

void text_fit_middle(struct str *out, const char *s, unsigned columns,
		     bool ascii)
{
	unsigned head;

	if (text_columns(s) <= columns) {
		str_add(out, s);
	} else if (columns) {
		head = (columns - 1) / 2;
		str_add_mem(out, s, text_prefix(s, head));
		str_add(out, ascii ? "~" : "…");
		str_add(out, suffix(s, columns - 1 - head));
	}
}

char *text_safe(const char *name)
{
	struct str safe = STR_INIT;

	str_add_safe(&safe, name);
	return str_detach(&safe);
}

void text_copy_safe(char *to, size_t size, const char *name)
{
	char *safe = text_safe(name);
	size_t len = strlen(safe);

	if (len >= size)
		for (len = size - 1; len && (safe[len] & 0xc0) == 0x80; len--)
			;
	memcpy(to, safe, len);
	to[len] = '\0';
	free(safe);
}

const char *text_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	/* nbd://host/name: that is no path. */
	if (*path != '/' && strstr(path, "://"))
		return path;
	return slash && slash[1] ? slash + 1 : path;
}

const char *text_find(const char *hay, const char *needle)
{
	return strcasestr(hay, needle);
}

char *text_age(uint64_t seconds, char *buf, size_t len)
{
	const unsigned long long m = seconds / 60, h = m / 60, d = h / 24;

	if (!m)
		snprintf(buf, len, "%us", (unsigned)seconds);
	else if (m < 100)
		snprintf(buf, len, "%llum", m);
	else if (h < 48)
		snprintf(buf, len, "%lluh", h);
	else
		snprintf(buf, len, "%llud", d);
	return buf;
}
