/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/tty/tty.h"

#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "engine/util/restore.h"
#include "ui/tty/background.h"

#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"
#define MOUSE_ON "\033[?1000h\033[?1006h"
#define MOUSE_OFF "\033[?1006l\033[?1000l"

static struct {
	SCREEN *screen;
	enum theme_name theme;
	bool color, mouse, modern;	/* modern: knows xterm's sequences */
	struct canvas shown;		/* what is on the terminal */
} tty;

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (str_has_prefix(word, *list))
			return true;
	return false;
}

static const char *term(void)
{
	const char *name = getenv("TERM");

	return name ? name : "";
}

static bool is_modern(void)
{
	static const char *const names[] = {
		"xterm", "screen", "tmux", "rxvt", "alacritty", "foot",
		"kitty", "st-", "konsole", "gnome", "vte", "wezterm",
		"contour", "ghostty", "iterm", "putty", "mintty", NULL,
	};

	return is_one_of(term(), names);
}

bool tty_is_ascii(void)
{
	static const char *const names[] = {
		"linux", "vt1", "vt2", "ansi", "cons", NULL,
	};

	return strcmp(nl_langinfo(CODESET), "UTF-8") ||
		is_one_of(term(), names);
}

bool tty_possible(void)
{
	bool can;
	int err;

	if (setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return false;
	can = cursor_address && clear_screen;
	del_curterm(cur_term);
	return can;
}

/* --- whatever ends us --- */

/* A capability without its paddings ("$<5>"). */
static void add_capability(struct str *out, const char *cap)
{
	for (; cap && cap != (char *)-1 && *cap; cap++) {
		if (cap[0] == '$' && cap[1] == '<') {
			cap = strchr(cap, '>');
			if (!cap)
				return;
			continue;
		}
		str_add_char(out, *cap);
	}
}

static void guard(void)
{
	struct str out = STR_INIT;

	if (tty.modern)
		str_add(&out, MOUSE_OFF PASTE_OFF);
	add_capability(&out, exit_attribute_mode);
	add_capability(&out, cursor_normal);
	add_capability(&out, exit_ca_mode);
	if (!exit_ca_mode)
		str_add(&out, "\r\n");
	restore_guard(str_get(&out), out.len);
	str_release(&out);
}

/* --- taking over --- */

static void set_up_pairs(void)
{
	start_color();
	use_default_colors();
	for (int i = 0; i < STYLE_COUNT * 2; i++) {
		struct look look = theme_look(tty.theme,
			(enum style)(i / 2), i % 2, COLORS);

		init_pair((short)(i + 1), look.fg, look.bg);
	}
}

static void send(const char *bytes)
{
	size_t len = strlen(bytes);

	if (write(STDOUT_FILENO, bytes, len) != (ssize_t)len)
		return;
}

static void modes_on(void)
{
	if (!tty.modern)
		return;
	send(PASTE_ON);
	if (tty.mouse)
		send(MOUSE_ON);
}

static void modes_off(void)
{
	if (tty.modern)
		send(MOUSE_OFF PASTE_OFF);
}

static void forget_shown(void)
{
	canvas_clear(&tty.shown);
	clear();
}

int tty_open(enum theme_name theme, bool color, bool mouse, struct str *typed)
{
	unsigned w, h;

	restore_keep();
	/* A library that ends the program because TERM is unknown, or that
	 * waits for the rest of an escape sequence, is not wanted. */
	tty.screen = newterm(NULL, stdout, stdin);
	if (!tty.screen)
		return -1;
	/* newterm() has a handler for it that would do all of it again. */
	signal(SIGTSTP, SIG_DFL);
	tty.modern = is_modern();
	tty.mouse = mouse;
	tty.color = color && has_colors();
	tty.theme = tty.color ? theme : THEME_MONO;
	raw();
	noecho();
	nonl();
	if (tty.color && theme == THEME_AUTO)
		tty.theme = background_theme(STDIN_FILENO, STDOUT_FILENO,
					     tty.modern, typed);
	if (tty.color)
		set_up_pairs();
	tty_size(&w, &h);
	canvas_init(&tty.shown, w, h);
	guard();
	refresh();
	modes_on();
	return 0;
}

void tty_close(void)
{
	modes_off();
	if (tty.modern)
		send("\033]2;\007");
	endwin();
	restore_unguard();
	delscreen(tty.screen);
	canvas_release(&tty.shown);
}

int tty_fd(void)
{
	return STDIN_FILENO;
}

void tty_size(unsigned *w, unsigned *h)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col ||
	    !size.ws_row) {
		*w = (unsigned)COLS;
		*h = (unsigned)LINES;
		return;
	}
	*w = size.ws_col;
	*h = size.ws_row;
}

void tty_resize(unsigned w, unsigned h)
{
	resizeterm((int)h, (int)w);
	canvas_resize(&tty.shown, w, h);
	clear();
}

/* --- painting --- */

static attr_t attributes(enum style style, bool selected)
{
	unsigned attr = theme_look(tty.theme, style, selected,
				   tty.color ? COLORS : 256).attr;
	attr_t out = A_NORMAL;

	if (attr & LOOK_BOLD)
		out |= A_BOLD;
	if (attr & LOOK_DIM)
		out |= A_DIM;
	if (attr & LOOK_REVERSE)
		out |= A_REVERSE;
	if (attr & LOOK_UNDERLINE)
		out |= A_UNDERLINE;
	return out;
}

static void paint_cell(const struct cell *cell, unsigned x, unsigned y)
{
	wchar_t text[CELL_CHARS + 1] = { 0 };
	short pair = tty.color ? (short)(cell->style * 2 + cell->selected +
					 1) : 0;
	cchar_t ch;

	if (!cell->width)
		return;
	memcpy(text, cell->ch, sizeof(cell->ch));
	setcchar(&ch, text, attributes(cell->style, cell->selected), pair,
		 NULL);
	mvadd_wch((int)y, (int)x, &ch);
}

void tty_paint(const struct canvas *c, bool anew)
{
	if (anew)
		forget_shown();
	for (unsigned y = 0; y < c->h; y++)
		for (unsigned x = 0; x < c->w; x++) {
			size_t i = (size_t)y * c->w + x;

			if (cell_equal(&tty.shown.cells[i], &c->cells[i]))
				continue;
			paint_cell(&c->cells[i], x, y);
		}
	memcpy(tty.shown.cells, c->cells, (size_t)c->w * c->h *
	       sizeof(*c->cells));
	curs_set(c->cursor_x >= 0);
	if (c->cursor_x >= 0)
		move(c->cursor_y, c->cursor_x);
	if (anew)
		clearok(stdscr, TRUE);
	wnoutrefresh(stdscr);
	doupdate();
}

/* --- others on the same terminal --- */

void tty_suspend(void)
{
	sigset_t stop;

	modes_off();
	endwin();
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
	/* All of the job, as the terminal would do it: whoever started us
	 * and waits must stop as well, or the shell never hears of it. */
	kill(0, SIGTSTP);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	tty_resume();
}

void tty_resume(void)
{
	unsigned w, h;

	reset_prog_mode();
	refresh();
	modes_on();
	tty_size(&w, &h);
	tty_resize(w, h);
}

void tty_bell(void)
{
	send("\007");
}

void tty_notify(const char *text)
{
	struct str out = STR_INIT;

	str_addf(&out, "\033]9;%s\007", text);
	if (tty.modern)
		send(str_get(&out));
	str_release(&out);
}

void tty_title(const char *text)
{
	struct str out = STR_INIT;

	str_addf(&out, "\033]2;%s\007", text);
	if (tty.modern)
		send(str_get(&out));
	str_release(&out);
}

/* As base64: whatever the bytes are, the terminal sees none of them. */
static void add_base64(struct str *out, const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		unsigned long bits = 0;

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (i + k < len ?
				(unsigned char)text[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			str_add_char(out, k && i + k > len ? '=' :
				     digits[bits >> (18 - 6 * k) & 63]);
	}
}

bool tty_copy(const char *text)
{
	struct str out = STR_INIT;

	if (!tty.modern)
		return false;
	str_add(&out, "\033]52;c;");
	add_base64(&out, text);
	str_add(&out, "\007");
	send(str_get(&out));
	str_release(&out);
	return true;
}
