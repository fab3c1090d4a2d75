/* input.h - from the bytes of a terminal to keys.
 *
 * Bytes go in as they come, keys come out one by one, each with the bytes it
 * was made of, so that readline can be given them as they were typed. Escape
 * sequences are taken in whole, whether they are known or not; a character of
 * UTF-8 is never cut. Text between the marks of a bracketed paste comes as
 * one key.
 */
#ifndef BLKMON_UI_INPUT_H
#define BLKMON_UI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/util/str.h"

/* Code points are themselves. */
enum {
	KEY_TAB = 9, KEY_RETURN = 13, KEY_ESC = 27, KEY_BS = 127,
	KEY_NAMED = 0x110000,
	KEY_UP, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_PGUP,
	KEY_PGDN, KEY_DEL, KEY_BACKTAB, KEY_F1, KEY_F10,
	KEY_MOUSE, KEY_PASTE, KEY_UNKNOWN,
	KEY_CTRL_C = 3, KEY_CTRL_D = 4, KEY_CTRL_G = 7, KEY_CTRL_L = 12,
	KEY_CTRL_Z = 26,
};

enum mouse_what { MOUSE_PRESS, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN, MOUSE_OTHER };

struct key {
	int code;
	enum mouse_what mouse;		/* KEY_MOUSE */
	unsigned x, y;			/* of the mouse, from 0 */
	const char *bytes;		/* into the input, until the next call;
					   KEY_PASTE: what was pasted */
	size_t len;
};

struct input {
	struct str bytes;
	size_t used;
};

void input_release(struct input *in);
void input_add(struct input *in, const char *bytes, size_t len);
/* False if nothing is there, or the beginning of a sequence: then more bytes
 * are needed, or @flush says that none came in time and it is taken as it
 * stands. */
bool input_next(struct input *in, struct key *key, bool flush);
/* Something has begun and is not finished. */
bool input_pending(const struct input *in);

/* The bytes that a terminal sends for a key's name ("Tab", "Up", "F1", "C-c",
 * "Space", "a"); NULL if there is none of that name. */
const char *input_bytes_of(const char *name);

#endif
