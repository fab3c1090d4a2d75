/* json_name.c - see json_name.h. */
#include "engine/chain/json_name.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/str.h"

/* --- strings --- */

static uint32_t hex4(const char *s)
{
	char digits[5] = "";

	memcpy(digits, s, strnlen(s, 4));
	digits[strspn(digits, "0123456789abcdefABCDEF")] = '\0';
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* A code point as UTF-8 at @out; where it ends. */
static char *put_utf8(char *out, uint32_t cp)
{
	static const uint8_t first[] = { 0, 0xc0, 0xe0, 0xf0 };
	int more = (cp >= 0x80) + (cp >= 0x800) + (cp >= 0x10000);

	*out++ = (char)(first[more] | cp >> 6 * more);
	while (more-- > 0)
		*out++ = (char)(0x80 | (cp >> 6 * more & 0x3f));
	return out;
}

/* What follows a backslash and 'u': four digits, or a pair of four. As text it
 * is never longer than as digits. */
static const char *json_unicode(const char *s, char **out)
{
	uint32_t cp = hex4(s), low;

	s += strnlen(s, 4);
	if (cp >= 0xd800 && cp < 0xdc00 && s[0] == '\\' && s[1] == 'u') {
		low = hex4(s + 2);
		s += 2 + strnlen(s + 2, 4);
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low & 0x3ff);
	}
	*out = put_utf8(*out, cp);
	return s;
}

static char json_escaped(char c)
{
	static const char escapes[] = "b\bf\fn\nr\rt\t";
	const char *at = c ? strchr(escapes, c) : NULL;

	return at && (at - escapes) % 2 == 0 ? at[1] : c;
}

const char *json_name_string(const char *s, char *out)
{
	while (*s && *s != '"') {
		if (*s != '\\' || !s[1]) {
			*out++ = *s++;
		} else if (s[1] == 'u') {
			s = json_unicode(s + 2, &out);
		} else {
			*out++ = json_escaped(s[1]);
			s += 2;
		}
	}
	*out = '\0';
	return s;
}

/* --- what it says --- */

struct json_reading {
	const char *at;
	struct json_name *out;
	char protocol[PEEK_NAME_MAX + 1];
};

static bool json_name_takes(struct json_reading *r, char c)
{
	r->at += strspn(r->at, " \t\r\n");
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

/* A string that is closed, and has no end within. */
static bool json_read_string(struct json_reading *r, char *out)
{
	const char *end;

	if (!json_name_takes(r, '"'))
		return false;
	end = json_name_string(r->at, out);
	if (*end != '"' || strstr(r->at, "\\u0000"))
		return false;
	r->at = end + 1;
	return true;
}

/* Where the value of a key goes, or NULL. */
static char *json_place(struct json_reading *r, bool in_file, const char *key)
{
	if (!in_file && !strcmp(key, "driver"))
		return r->out->driver;
	if (!in_file) {
		if (!str_has_prefix(key, "file."))
			return NULL;
		key += strlen("file.");
	}
	if (!strcmp(key, "driver"))
		return r->protocol;
	return strcmp(key, "filename") ? NULL : r->out->path;
}

static bool json_read_object(struct json_reading *r, bool in_file);

/* A key that comes twice says two things. */
static bool json_read_member(struct json_reading *r, bool in_file)
{
	char key[PEEK_NAME_MAX + 1], *place;

	if (!json_read_string(r, key) || !json_name_takes(r, ':'))
		return false;
	if (!in_file && !strcmp(key, "file"))
		return json_read_object(r, true);
	place = json_place(r, in_file, key);
	return place && !*place && json_read_string(r, place);
}

static bool json_read_object(struct json_reading *r, bool in_file)
{
	if (!json_name_takes(r, '{'))
		return false;
	do {
		if (!json_read_member(r, in_file))
			return false;
	} while (json_name_takes(r, ','));
	return json_name_takes(r, '}');
}

bool json_name_read(const char *name, struct json_name *out)
{
	struct json_reading r = { .out = out };

	*out = (struct json_name){ .driver = "" };
	if (!str_has_prefix(name, "json:") || strlen(name) > PEEK_NAME_MAX)
		return false;
	r.at = name + strlen("json:");
	if (!json_read_object(&r, false))
		return false;
	r.at += strspn(r.at, " \t\r\n");
	return !*r.at && !strcmp(r.protocol, "file") && *out->path == '/';
}
