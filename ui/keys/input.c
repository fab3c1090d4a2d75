/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/keys/input.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASTE_BEGIN "\033[200~"
#define PASTE_END "\033[201~"
/* A paste is not held back for ever. */
#define PASTE_MAX (4u << 20)

/* What terminals send; the first row of a key is what scripts send. */
static const struct {
	const char *bytes;
	int code;
	const char *name;
} sequences[] = {
	{ "\033[A", KEY_UP, "Up" }, { "\033OA", KEY_UP, NULL },
	{ "\033[B", KEY_DOWN, "Down" }, { "\033OB", KEY_DOWN, NULL },
	{ "\033[C", KEY_RIGHT, "Right" }, { "\033OC", KEY_RIGHT, NULL },
	{ "\033[D", KEY_LEFT, "Left" }, { "\033OD", KEY_LEFT, NULL },
	{ "\033[H", KEY_HOME, "Home" }, { "\033OH", KEY_HOME, NULL },
	{ "\033[1~", KEY_HOME, NULL }, { "\033[7~", KEY_HOME, NULL },
	{ "\033[F", KEY_END, "End" }, { "\033OF", KEY_END, NULL },
	{ "\033[4~", KEY_END, NULL }, { "\033[8~", KEY_END, NULL },
	{ "\033[5~", KEY_PGUP, "PgUp" }, { "\033[6~", KEY_PGDN, "PgDn" },
	{ "\033[3~", KEY_DEL, "Del" },
	{ "\033[Z", KEY_BACKTAB, "S-Tab" },
	{ "\033OP", KEY_F1, "F1" }, { "\033[11~", KEY_F1, NULL },
	{ "\033[[A", KEY_F1, NULL },
	{ "\033[21~", KEY_F10, "F10" },
	{ "\t", KEY_TAB, "Tab" }, { "\r", KEY_RETURN, "Enter" },
	{ "\n", KEY_RETURN, NULL },
	{ "\033", KEY_ESC, "Esc" }, { " ", ' ', "Space" },
	{ "\177", KEY_BS, "BS" }, { "\b", KEY_BS, NULL },
	{ "\003", KEY_CTRL_C, "C-c" }, { "\004", KEY_CTRL_D, "C-d" },
	{ "\007", KEY_CTRL_G, "C-g" }, { "\014", KEY_CTRL_L, "C-l" },
	{ "\022", 18, "C-r" }, { "\001", 1, "C-a" }, { "\005", 5, "C-e" },
	{ "\013", 11, "C-k" }, { "\025", 21, "C-u" }, { "\027", 23, "C-w" },
	{ "\032", KEY_CTRL_Z, "C-z" },
};

#define SEQUENCES (sizeof(sequences) / sizeof(*sequences))

void input_release(struct input *in)
{
	str_release(&in->bytes);
}

void input_add(struct input *in, const char *bytes, size_t len)
{
	if (in->used == in->bytes.len) {
		str_clear(&in->bytes);
		in->used = 0;
	}
	str_add_mem(&in->bytes, bytes, len);
}

bool input_pending(const struct input *in)
{
	return in->used < in->bytes.len;
}

/* An answer of the terminal that comes late: up to BEL or ST. */
static size_t osc_len(const char *s, size_t n)
{
	for (size_t i = 2; i < n; i++) {
		if (s[i] == '\a')
			return i + 1;
		if (s[i] == '\033')
			return i + 1 < n ? i + 2 : 0;
	}
	return 0;
}

/* Length of the escape sequence at @s, 0 if it is not finished. */
static size_t escape_len(const char *s, size_t n)
{
	size_t i = 2;

	if (n < 2)
		return 0;
	if (s[1] == 'O')
		return n > 2 ? 3 : 0;
	if (s[1] == ']' && n > 2 && isdigit((unsigned char)s[2]))
		return osc_len(s, n);
	if (s[1] != '[')
		return s[1] == '\033' ? 1 : 2;
	if (n > 2 && s[2] == '[')	/* F1 of the Linux console */
		return n > 3 ? 4 : 0;
	if (n > 2 && s[2] == 'M')	/* a mouse of the old kind */
		return n > 5 ? 6 : 0;
	while (i < n && (s[i] < 0x40 || s[i] > 0x7e))
		i++;
	return i < n ? i + 1 : 0;
}

static size_t utf8_len(const char *s, size_t n)
{
	unsigned char c = (unsigned char)*s;
	size_t len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 :
		     c < 0xf5 ? 4 : 1;

	for (size_t i = 1; i < len && i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 1;
	return len <= n ? len : 0;
}

/* Bytes that are no character, a long way to write a short one among them,
 * are no key either. */
static int code_point(const char *s, size_t len)
{
	char text[8] = { 0 };
	uint32_t cp;

	memcpy(text, s, len < sizeof(text) ? len : sizeof(text) - 1);
	return str_utf8(text, &cp) == len ? (int)cp : KEY_UNKNOWN;
}

/* CSI < button ; x ; y M, as modern terminals report the mouse. */
static void parse_mouse(struct key *key)
{
	unsigned button, x, y;
	char end;

	if (sscanf(key->bytes, "\033[<%u;%u;%u%c", &button, &x, &y,
		   &end) != 4 || !x || !y)
		return;
	key->code = KEY_MOUSE;
	key->x = x - 1;
	key->y = y - 1;
	key->mouse = MOUSE_OTHER;
	if (end == 'M' && button == 0)
		key->mouse = MOUSE_PRESS;
	else if (end == 'M' && button == 64)
		key->mouse = MOUSE_WHEEL_UP;
	else if (end == 'M' && button == 65)
		key->mouse = MOUSE_WHEEL_DOWN;
}

static void name_key(struct key *key)
{
	for (size_t i = 0; i < SEQUENCES; i++)
		if (strlen(sequences[i].bytes) == key->len &&
		    !memcmp(sequences[i].bytes, key->bytes, key->len)) {
			key->code = sequences[i].code;
			return;
		}
	if (key->len > 1 && *key->bytes == '\033') {
		key->code = KEY_UNKNOWN;
		if (key->bytes[1] == '[' && key->bytes[2] == 'M')
			key->code = KEY_MOUSE;
		if (key->code == KEY_MOUSE)
			key->mouse = MOUSE_OTHER;
		parse_mouse(key);
		return;
	}
	key->code = code_point(key->bytes, key->len);
}

/* The whole of what is pasted; 0 if the end has not come. */
static size_t take_paste(struct key *key, const char *s, size_t n, bool flush)
{
	const size_t mark = sizeof(PASTE_BEGIN) - 1;
	const char *end = memmem(s, n, PASTE_END, sizeof(PASTE_END) - 1);

	if (!end && !flush && n < PASTE_MAX)
		return 0;
	key->code = KEY_PASTE;
	key->bytes = s + mark;
	key->len = end ? (size_t)(end - s) - mark : n - mark;
	return end ? (size_t)(end - s) + sizeof(PASTE_END) - 1 : n;
}

bool input_next(struct input *in, struct key *key, bool flush)
{
	const char *s = str_get(&in->bytes) + in->used;
	size_t n = in->bytes.len - in->used, len;

	*key = (struct key) { .bytes = s };
	if (!n)
		return false;
	if (n >= sizeof(PASTE_BEGIN) - 1 &&
	    !memcmp(s, PASTE_BEGIN, sizeof(PASTE_BEGIN) - 1)) {
		len = take_paste(key, s, n, flush);
		in->used += len;
		return len > 0;
	}
	len = *s == '\033' ? escape_len(s, n) : utf8_len(s, n);
	if (!len && !flush)
		return false;
	if (!len)
		len = *s == '\033' ? 1 : n;
	key->len = len;
	name_key(key);
	in->used += len;
	return true;
}

const char *input_bytes_of(const char *name)
{
	for (size_t i = 0; i < SEQUENCES; i++)
		if (sequences[i].name && !strcmp(sequences[i].name, name))
			return sequences[i].bytes;
	return *name && utf8_len(name, strlen(name)) == strlen(name) ? name :
		NULL;
}
