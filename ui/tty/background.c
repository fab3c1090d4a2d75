/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every terminal answers the second question (DA1), and in order: so one that
 * does not know the first (OSC 11) is not waited for.
 */
#include "ui/tty/background.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util/clock.h"

#define QUESTIONS "\033]11;?\033\\\033[c"
#define PATIENCE (100 * NS_PER_MS)
#define REPLY_MAX 4096u		/* more is no reply */

/* One of the three, 0 to 1: hexadecimal digits of any number up to four. */
static bool take_part(const char **s, double *part)
{
	unsigned long value = 0, most = 0;
	unsigned n = 0;
	int used;

	for (unsigned digit; n < 4 && sscanf(*s, "%1x%n", &digit, &used) == 1;
	     n++, *s += used) {
		value = value * 16 + digit;
		most = most * 16 + 15;
	}
	*part = most ? (double)value / (double)most : 0;
	*s += **s == '/';
	return n > 0;
}

bool background_is_light(const char *color)
{
	double r, g, b;

	if (!str_has_prefix(color, "rgb:"))
		return false;
	color += 4;
	return take_part(&color, &r) && take_part(&color, &g) &&
		take_part(&color, &b) && .30 * r + .59 * g + .11 * b > .5;
}

/* "15;0", "0;default;15": the last is the background. */
static bool variable_tells(enum theme_name *theme)
{
	const char *value = getenv("COLORFGBG");
	const char *last = value ? strrchr(value, ';') : NULL;
	char *end;
	long color;

	if (!last || !last[1])
		return false;
	color = strtol(last + 1, &end, 10);
	if (*end || color < 0 || color > 15)
		return false;
	*theme = color == 7 || color > 8 ? THEME_LIGHT : THEME_DARK;
	return true;
}

/* Takes a reply that begins with @begin out of @bytes; it ends with one of
 * @ends. What stands in it is @reply then. */
static bool take_reply(struct str *bytes, const char *begin, const char *ends,
		       struct str *reply)
{
	char *at = bytes->len ? strstr(bytes->s, begin) : NULL;
	size_t len, end;

	if (!at)
		return false;
	len = strlen(begin);
	end = len + strcspn(at + len, ends);
	if (!at[end])
		return false;
	str_clear(reply);
	str_add_mem(reply, at + len, end - len);
	/* ST is two bytes. */
	end += at[end] == '\033' && at[end + 1] == '\\' ? 2 : 1;
	memmove(at, at + end, strlen(at + end) + 1);
	bytes->len -= end;
	return true;
}

/* False: nothing more comes. */
static bool background_read(int fd, struct str *bytes, uint64_t until)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char buf[256];
	ssize_t n;

	if (clock_ns() >= until || bytes->len > REPLY_MAX ||
	    poll(&in, 1, clock_poll_ms(until)) <= 0)
		return false;
	n = read(fd, buf, sizeof(buf));
	for (ssize_t i = 0; i < n; i++)
		str_add_char(bytes, buf[i] ? buf[i] : ' ');
	return n > 0;
}

static enum theme_name ask_terminal(int fd, int out, struct str *typed)
{
	struct str bytes = STR_INIT, reply = STR_INIT;
	enum theme_name theme = THEME_DARK;
	uint64_t until = clock_ns() + PATIENCE;

	if (write(out, QUESTIONS, strlen(QUESTIONS)) > 0)
		while (!take_reply(&bytes, "\033[?", "c", &reply) &&
		       background_read(fd, &bytes, until))
			;
	if (take_reply(&bytes, "\033]11;", "\a\033", &reply) &&
	    background_is_light(str_get(&reply)))
		theme = THEME_LIGHT;
	str_add(typed, str_get(&bytes));
	str_release(&bytes);
	str_release(&reply);
	return theme;
}

enum theme_name background_theme(int fd, int out, bool ask, struct str *typed)
{
	enum theme_name theme = THEME_DARK;

	if (!variable_tells(&theme) && ask)
		theme = ask_terminal(fd, out, typed);
	return theme;
}
