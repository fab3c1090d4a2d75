/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/prompt/editor.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <readline/keymaps.h>

#include "engine/util/str.h"

/* Keys of keys of keys, as ~/.inputrc can make them. */
#define KEYMAP_DEPTH 16
/* A line is cut before a character, so it may be shorter by one. */
#define FULL (EDITOR_LINE_MAX - MB_LEN_MAX)
/* Bytes that are looked for in the history. Each key makes readline 8.2 go over
 * them as often as there are some: 64 KiB take it half a minute. */
#define SEARCH_MAX 256

static struct {
	struct str bytes;	/* for readline to read */
	size_t used, key_end;	/* of the character that is being read */
	struct str part;	/* the beginning of a character */
	int sought;		/* bytes that an incremental search may have */
	bool ended;
	bool (*wait)(void);
} editor;

/* --- characters --- */

/* Bytes of the character at @s, of which @n are there: 0 if it is none, or a
 * control (C1) that readline would hand to the terminal, -1 if its end is
 * missing. */
static int char_len(const char *s, size_t n)
{
	mbstate_t state = { 0 };
	wchar_t wc = 0;
	size_t len;

	if (!(*s & 0x80))
		return 1;
	len = mbrtowc(&wc, s, n, &state);
	if (len == (size_t)-2)
		return -1;
	/* What glibc decodes goes beyond Unicode. */
	return len == (size_t)-1 || wc > 0x10ffff || wc < 0xa0 ? 0 : (int)len;
}

/* Appends the characters of @in; what begins at its end is kept there. */
static void editor_add_text(struct str *out, struct str *in)
{
	const char *s = str_get(in), *end = s + in->len;
	struct str rest = STR_INIT;

	while (s < end) {
		int len = char_len(s, (size_t)(end - s));

		if (len < 0)
			break;
		str_add_mem(out, s, (size_t)len);
		s += len ? len : 1;
	}
	str_add_mem(&rest, s, (size_t)(end - s));
	str_release(in);
	*in = rest;
}

bool editor_is_text(const char *line)
{
	size_t n = strlen(line);

	while (n) {
		int len = char_len(line, n);

		if (len <= 0)
			return false;
		line += len;
		n -= (size_t)len;
	}
	return true;
}

/* --- bytes --- */

void editor_add(const char *bytes, size_t len)
{
	if (editor.used == editor.bytes.len) {
		str_clear(&editor.bytes);
		editor.used = editor.key_end = 0;
	}
	str_add_mem(&editor.part, bytes, len);
	editor_add_text(&editor.bytes, &editor.part);
}

void editor_end(void)
{
	editor.ended = true;
}

bool editor_has(void)
{
	return editor.used < editor.bytes.len || editor.ended;
}

bool editor_goes_on(void)
{
	unsigned char next = editor.used < editor.bytes.len ?
		(unsigned char)editor.bytes.s[editor.used] : 0;

	return next >= ' ' && next != RUBOUT;
}

/* Asked by readline, which would take all that is there at once. Esc may be
 * the beginning of a key. */
static int has_byte(void)
{
	return editor.used < editor.key_end;
}

static int get_byte(FILE *file)
{
	(void)file;
	while (!editor_has() && editor.wait && editor.wait())
		;
	if (editor.used == editor.bytes.len)
		return EOF;
	return (unsigned char)editor.bytes.s[editor.used++];
}

void editor_set_wait(bool (*wait)(void))
{
	editor.wait = wait;
}

/* --- what readline may do --- */

/* The vi mode, what leads to it, what moves by bytes, what repeats a key a
 * million times, what reads behind the end of a line of the history, and the
 * undoing of keys: readline 8.2 frees parts of its lists, between lines of the
 * history, that it goes on using. They are thrown away behind each key. */
static bool is_taken_away(const char *name)
{
	static const char *const names[] = {
		"emacs-editing-mode", "re-read-init-file", "forward-byte",
		"backward-byte", "execute-named-command",
		"digit-argument", "universal-argument", "yank-nth-arg",
		"yank-last-arg", "insert-last-argument", "undo",
		"revert-line",
	};

	if (str_has_prefix(name, "vi-"))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static int editor_nothing(int count, int key)
{
	(void)count;
	(void)key;
	return 0;
}

/* All keys of @map that do @function do nothing. */
static void unbind(Keymap map, rl_command_func_t *function, int depth)
{
	for (int key = 0; key < KEYMAP_SIZE; key++) {
		if (map[key].type == ISKMAP && depth < KEYMAP_DEPTH)
			unbind((Keymap)(void *)map[key].function, function,
			       depth + 1);
		else if (map[key].type == ISFUNC &&
			 map[key].function == function)
			map[key].function = editor_nothing;
	}
}

/* A sequence that means nothing does nothing. Where readline 8.2 finds no
 * function it begins with the rest of the sequence anew, and dies when that
 * begins a search. */
static void editor_fill(Keymap map, int depth)
{
	for (int key = 0; key < ANYOTHERKEY; key++) {
		if (map[key].type == ISKMAP && depth < KEYMAP_DEPTH)
			editor_fill((Keymap)(void *)map[key].function,
				    depth + 1);
		else if (map[key].type == ISFUNC && !map[key].function &&
			 depth)
			map[key].function = editor_nothing;
	}
}

static void take_away(void)
{
	const char **names = rl_funmap_names();

	for (size_t i = 0; names && names[i]; i++)
		if (is_taken_away(names[i]))
			unbind(emacs_standard_keymap,
			       rl_named_function(names[i]), 0);
	free(names);
	editor_fill(emacs_standard_keymap, 0);
}

/* What begins the name of a key, and Return as it is sent by C-j, ends an
 * incremental search and is then what it is: readline 8.2 dies when the search
 * reads such a name itself. */
static void end_searches(void)
{
	struct str ends = STR_INIT;

	for (int key = 0; key < 256; key++)
		if (key == '\n' || emacs_standard_keymap[key].type == ISKMAP)
			str_addf(&ends, "\\%03o", key);
	rl_variable_bind("isearch-terminators", str_get(&ends));
	str_release(&ends);
}

/* Whatever ~/.inputrc says. Nothing asks a question that is answered by a key
 * of its own: nobody would hear of anything else until then. */
static void tame(void)
{
	rl_variable_bind("editing-mode", "emacs");
	rl_variable_bind("completion-query-items", "0");
	rl_variable_bind("page-completions", "off");
	if (MB_CUR_MAX > 1) {
		rl_variable_bind("input-meta", "on");
		rl_variable_bind("output-meta", "on");
		rl_variable_bind("convert-meta", "off");
	}
	take_away();
	end_searches();
}

void editor_init(rl_completion_func_t *complete)
{
	rl_readline_name = "blkmon";
	rl_catch_signals = 0;
	rl_getc_function = get_byte;
	rl_input_available_hook = has_byte;
	rl_attempted_completion_function = complete;
	rl_completer_word_break_characters = " \t\n\"";
	rl_completer_quote_characters = "\"";
	rl_initialize();
	tame();
}

/* --- the line --- */

static void editor_delete(int from, int to)
{
	int n = to - from;

	rl_delete_text(from, to);
	if (rl_point > from)
		rl_point = rl_point > to ? rl_point - n : from;
	if (rl_mark > rl_end)
		rl_mark = rl_end;
}

static void editor_cut(void)
{
	int at = (int)EDITOR_LINE_MAX;

	while (at > (int)FULL &&
	       char_len(rl_line_buffer + at, (size_t)(rl_end - at)) <= 0)
		at--;
	editor_delete(at, rl_end);
}

/* Names of files, and whatever else readline puts in. */
static void clean(void)
{
	int at = 0;

	while (at < rl_end) {
		int len = char_len(rl_line_buffer + at,
				   (size_t)(rl_end - at));

		if (len > 0)
			at += len;
		else
			editor_delete(at, at + 1);
	}
}

/* Did the @n bytes of the key @s only put themselves in, and between two
 * characters? All of a long paste does, and needs no look at all of the line
 * each time. */
static bool is_insertion(const char *s, int n, int end)
{
	const char *at = rl_line_buffer + rl_point;

	return n > 0 && char_len(s, (size_t)n) == n &&
		(unsigned char)*s >= ' ' && *s != RUBOUT &&
		rl_end == end + n && rl_point >= n &&
		!memcmp(at - n, s, (size_t)n) &&
		(rl_point == rl_end ||
		 char_len(at, (size_t)(rl_end - rl_point)) > 0);
}

/* The character that is read next: its bytes in @key, and how many; 0 at the
 * end. */
static int next_key(char key[static MB_LEN_MAX])
{
	const char *s = str_get(&editor.bytes) + editor.used;
	size_t n = editor.bytes.len - editor.used;
	int len;

	if (!n)
		return 0;
	len = char_len(s, n);
	len = len > 0 ? len : 1;
	editor.key_end = *s == ESC ? editor.bytes.len :
		editor.used + (size_t)len;
	memcpy(key, s, (size_t)len);
	return len;
}

/* Bytes that the key may add to what an incremental search looks for: itself,
 * or of the line that was found a word or all. */
static int search_grows(const char *key, int len)
{
	rl_command_func_t *does = rl_function_of_keyseq_len(key, (size_t)len,
							    NULL, NULL);

	if (*key == ('W' & 0x1f) || *key == ('Y' & 0x1f) || does == rl_yank ||
	    does == rl_unix_word_rubout)
		return rl_end - rl_point;
	return (unsigned char)*key < ' ' || *key == RUBOUT ? 0 : len;
}

/* A search that has all it can have goes on without the key. */
static bool search_is_full(const char *key, int len)
{
	int more;

	if (!len || !RL_ISSTATE(RL_STATE_ISEARCH)) {
		editor.sought = 0;
		return false;
	}
	more = search_grows(key, len);
	if (editor.sought + more > SEARCH_MAX)
		return more;
	editor.sought += more;
	return false;
}

void editor_read(void)
{
	bool ends = editor.used == editor.bytes.len;
	char key[MB_LEN_MAX];
	int len = next_key(key), end = rl_end;

	if (search_is_full(key, len)) {
		editor.used += (size_t)len;
		return;
	}
	rl_callback_read_char();
	rl_free_undo_list();
	if (ends)
		editor.ended = false;
	if (!is_insertion(key, len, end) && !editor_is_text(rl_line_buffer))
		clean();
	if (rl_end > (int)EDITOR_LINE_MAX)
		editor_cut();
}

void editor_set(const char *line)
{
	rl_replace_line(line, 1);
	rl_point = rl_end;
}

bool editor_insert(const char *text)
{
	if (strlen(text) + (size_t)rl_end > FULL || !editor_is_text(text))
		return false;
	rl_insert_text(text);
	return true;
}

const char *editor_command(const char *line)
{
	const char *word = line + strspn(line, " \t:");

	return isalpha((unsigned char)*word) || *word == '_' ? word : line;
}

bool editor_takes(const char *line)
{
	return strlen(line) <= FULL && editor_is_text(line);
}
