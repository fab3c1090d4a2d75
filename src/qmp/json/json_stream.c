/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Only where a value ends is found out here; whether it is one, says jansson.
 */
#include "src/qmp/json/json_stream.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/qmp/json/json_memory.h"

enum step {
	STEP_MORE,
	STEP_VALUE,		/* complete with this byte */
	STEP_VALUE_BEFORE,	/* was complete before this byte */
	STEP_FAULT,
};

static void start_anew(struct json_stream *s)
{
	struct str text = s->text;

	str_clear(&text);
	*s = (struct json_stream) { .text = text, .limits = s->limits };
}

void json_stream_release(struct json_stream *s)
{
	str_release(&s->text);
}

bool json_stream_is_open(const struct json_stream *s)
{
	return s->text.len > 0;
}

static enum step json_stream_fault(struct err *err, const char *what)
{
	err_set(err, ERR_GENERIC, "JSON parse error, %s", what);
	return STEP_FAULT;
}

/* A fault inside of something whose end is still to come. */
static enum step fault_inside(struct json_stream *s, struct err *err,
			      const char *what)
{
	str_clear(&s->text);
	s->word = 0;
	s->skip = true;
	return json_stream_fault(err, what);
}

/* --- leaving out --- */

static void skip_in_string(struct json_stream *s, char c)
{
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = true;
	else if (c == s->quote)
		s->quote = 0;
}

/* True if @c belongs to what is left out. */
static bool skip(struct json_stream *s, char c)
{
	bool open = c == '{' || c == '[', close = c == '}' || c == ']';

	if (c == '\n') {
		start_anew(s);
	} else if (s->quote) {
		skip_in_string(s, c);
	} else if (open && !s->depth) {
		start_anew(s);
		return false;
	} else if (open) {
		s->depth++;
	} else if (close && s->depth && !--s->depth) {
		start_anew(s);
	} else if (s->depth && (c == '"' || c == '\'')) {
		s->quote = c;
	}
	return true;
}

/* --- taking in --- */

static enum step take_in_string(struct json_stream *s, char c,
				struct err *err)
{
	if ((unsigned char)c < ' ') {
		fault_inside(s, err, "control character in a string");
		skip(s, c);
		return STEP_FAULT;
	}
	if (s->escaped) {
		s->escaped = false;
		if (c == '\'')
			s->text.len--;	/* \' is not JSON */
	} else if (c == '\\') {
		s->escaped = true;
	} else if (c == s->quote) {
		s->quote = 0;
		str_add_char(&s->text, '"');
		return s->depth ? STEP_MORE : STEP_VALUE;
	} else if (c == '"') {
		str_add_char(&s->text, '\\');
	}
	str_add_char(&s->text, c);
	return STEP_MORE;
}

static unsigned json_stream_deepest(const struct json_stream *s)
{
	return s->limits ? s->limits->depth : JSON_STREAM_DEPTH;
}

static bool json_stream_in_array(const struct json_stream *s)
{
	unsigned level = s->depth - 1;

	return s->arrays[level / 64] >> level % 64 & 1;
}

static enum step open_level(struct json_stream *s, char c, struct err *err)
{
	uint64_t *bits;

	if (s->depth == json_stream_deepest(s)) {
		fault_inside(s, err, s->limits ? "too many levels" :
			     "more than 64 levels");
		s->depth++;
		return STEP_FAULT;
	}
	bits = &s->arrays[s->depth / 64];
	*bits &= ~(UINT64_C(1) << s->depth % 64);
	*bits |= (uint64_t)(c == '[') << s->depth % 64;
	s->depth++;
	str_add_char(&s->text, c);
	return STEP_MORE;
}

static enum step close_level(struct json_stream *s, char c, struct err *err)
{
	if (!s->depth || json_stream_in_array(s) != (c == ']')) {
		start_anew(s);
		return json_stream_fault(err, "expecting value");
	}
	str_add_char(&s->text, c);
	return --s->depth ? STEP_MORE : STEP_VALUE;
}

/* What does not fit 64 bits is a number all the same, of the wrong type for
 * any argument; jansson would refuse the whole request. */
static void end_word(struct json_stream *s)
{
	const char *word = s->text.s + s->word - 1;

	s->word = 0;
	if (word[strspn(word, "-0123456789")])
		return;
	errno = 0;
	strtoll(word, NULL, 10);
	if (errno == ERANGE)
		str_add(&s->text, ".0");
}

static enum step take_mark(struct json_stream *s, char c, struct err *err)
{
	switch (c) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		if (s->depth)
			str_add_char(&s->text, c);
		return STEP_MORE;
	case '"':
	case '\'':
		s->quote = c;
		str_add_char(&s->text, '"');
		return STEP_MORE;
	case '{':
	case '[':
		return open_level(s, c, err);
	case '}':
	case ']':
		return close_level(s, c, err);
	case ',':
	case ':':
		if (!s->depth)
			return json_stream_fault(err, "expecting value");
		if (s->limits && ++s->values > s->limits->values)
			return fault_inside(s, err, "too many values");
		str_add_char(&s->text, c);
		return STEP_MORE;
	default:
		return fault_inside(s, err, "stray character");
	}
}

static size_t json_stream_most(const struct json_stream *s)
{
	return s->limits ? s->limits->bytes : JSON_STREAM_MAX;
}

static enum step json_take(struct json_stream *s, char c, struct err *err)
{
	if (c == '\xff') {
		start_anew(s);
		return json_stream_fault(err, "started anew by 0xFF");
	}
	if (s->skip && skip(s, c))
		return STEP_MORE;
	if (s->text.len >= json_stream_most(s) || s->text.lost) {
		fault_inside(s, err, s->text.lost ? "out of memory" :
			     s->limits ? "too many bytes" : "more than 1 MiB");
		skip(s, c);
		return STEP_FAULT;
	}
	if (s->quote)
		return take_in_string(s, c, err);
	if (isalnum((unsigned char)c) || (c && strchr("+-._", c))) {
		if (!s->word)
			s->word = s->text.len + 1;
		str_add_char(&s->text, c);
		return STEP_MORE;
	}
	if (s->word) {
		end_word(s);
		if (!s->depth)
			return STEP_VALUE_BEFORE;
	}
	return take_mark(s, c, err);
}

static json_t *json_parse(struct json_stream *s, struct err *err)
{
	unsigned long before = json_memory_lacks();
	json_error_t where;
	json_t *value = json_loadb(s->text.s, s->text.len, JSON_DECODE_ANY |
				   JSON_REJECT_DUPLICATES, &where);
	bool lost = s->text.lost || json_memory_lacks() != before;

	start_anew(s);
	if (!value)
		json_stream_fault(err, lost ? "out of memory" : where.text);
	return value;
}

bool json_stream_next(struct json_stream *s, const char **data, size_t *len,
		      json_t **value, struct err *err)
{
	enum step step = STEP_MORE;

	*value = NULL;
	while (*len && step == STEP_MORE) {
		step = json_take(s, **data, err);
		if (step == STEP_VALUE_BEFORE)
			break;
		++*data;
		--*len;
	}
	if (step == STEP_VALUE || step == STEP_VALUE_BEFORE)
		*value = json_parse(s, err);
	return step != STEP_MORE;
}
