/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The arguments of an HMP line (monitor.md, 1.1 and 1.2; transcripts 03 and
 * 04). Unlike QEMU, flags are accepted in any order and place; a word in
 * quotes is never a flag.
 */
#include <ctype.h>
#include <string.h>

#include "engine/util/size.h"
#include "src/console/hmp/hmp.h"
#include "src/qmp/json/text.h"

struct lexer {
	const struct hmp_command *cmd;
	const char *typed;
	bool info;
	const char *p;		/* what is left of the line */
	json_t *args;
	bool positional;	/* one was seen */
	struct str *error, *hint;
};

bool hmp_next_arg(const char **args, struct hmp_arg *arg)
{
	const char *s = *args;
	size_t len = strcspn(s, ",");

	if (!*s)
		return false;
	*args = s + len + (s[len] == ',');
	arg->name = s;
	arg->name_len = strcspn(s, ":");
	arg->type = s[arg->name_len + 1];
	arg->flag = arg->type == '-' ? s[arg->name_len + 2] : 0;
	arg->optional = s[len - 1] == '?';
	arg->many = s[len - 1] == '+';
	return true;
}

static void skip_space(struct lexer *l)
{
	while (isspace((unsigned char)*l->p))
		l->p++;
}

static void lexer_set(struct lexer *l, const struct hmp_arg *arg, json_t *value)
{
	json_object_setn_new(l->args, arg->name, arg->name_len, value);
}

/* "CMD: TEXT", where CMD is all names of a command that has several. */
static int lexer_complain(struct lexer *l, const char *text)
{
	if (l->cmd->aliases)
		hmp_names(l->cmd, l->error);
	else
		str_add(l->error, l->typed);
	str_addf(l->error, ": %s\n", text);
	return -1;
}

static bool flag_known(const struct lexer *l, char c, struct hmp_arg *arg)
{
	const char *args = l->cmd->args;

	while (hmp_next_arg(&args, arg))
		if (arg->type == '-' && arg->flag == c)
			return true;
	return false;
}

static bool has_flags(const struct lexer *l)
{
	return strstr(l->cmd->args, ":-") != NULL;
}

/* Takes the flags that stand here. Behind the first positional argument a
 * word that is no flag of the command is an argument. */
static int take_flags(struct lexer *l)
{
	struct hmp_arg arg;
	char text[] = "unsupported option -x";

	for (;;) {
		skip_space(l);
		if (!has_flags(l) || l->p[0] != '-' || !l->p[1] ||
		    (l->p[2] && !isspace((unsigned char)l->p[2])))
			return 0;
		if (flag_known(l, l->p[1], &arg)) {
			lexer_set(l, &arg, json_true());
			l->p += 2;
			continue;
		}
		if (l->positional)
			return 0;
		text[sizeof(text) - 2] = l->p[1];
		return lexer_complain(l, text);
	}
}

static int take_escape(struct lexer *l, struct str *word)
{
	static const char escapes[] = "n\nr\r\\\\''\"\"";
	char c = *l->p;

	for (size_t i = 0; c && escapes[i]; i += 2)
		if (escapes[i] == c) {
			str_add_char(word, escapes[i + 1]);
			l->p++;
			return 0;
		}
	if (c)
		str_addf(l->error, "unsupported escape code: '\\%c'\n", c);
	else
		str_add(l->error, "unterminated string\n");
	return -1;
}

static int take_quoted(struct lexer *l, struct str *word)
{
	for (l->p++; *l->p && *l->p != '"'; ) {
		if (*l->p != '\\') {
			str_add_char(word, *l->p++);
			continue;
		}
		l->p++;
		if (take_escape(l, word))
			return -1;
	}
	if (!*l->p) {
		str_add(l->error, "unterminated string\n");
		return -1;
	}
	l->p++;
	return 0;
}

static int lexer_take_word(struct lexer *l, struct str *word)
{
	size_t len;

	if (*l->p == '"')
		return take_quoted(l, word);
	len = strcspn(l->p, " \t\n\v\f\r");
	str_add_mem(word, l->p, len);
	l->p += len;
	return len ? 0 : -1;
}

static const char *expected(char type)
{
	switch (type) {
	case 'B':
	case 'J':
		return "block device name expected";
	case 'F':
		return "filename expected";
	default:
		return "string expected";
	}
}

static int take_string(struct lexer *l, const struct hmp_arg *arg)
{
	struct str word = STR_INIT;
	json_t *value;
	int rc = lexer_take_word(l, &word);

	value = rc ? NULL : json_string(str_get(&word));
	str_release(&word);
	if (!value)
		return lexer_complain(l, rc ? expected(arg->type)
					    : "this is not UTF-8");
	if (!arg->many) {
		lexer_set(l, arg, value);
		return 0;
	}
	if (!json_object_getn(l->args, arg->name, arg->name_len))
		lexer_set(l, arg, json_array());
	json_array_append_new(json_object_getn(l->args, arg->name,
					       arg->name_len), value);
	return 0;
}

/* QEMU's words name no word; @word is where the one that is wrong begins. */
static void lexer_hint(struct lexer *l, const char *word, const char *what)
{
	int len = (int)strcspn(word, " \t\n\v\f\r");

	str_addf(l->hint, "'%.*s' is %s", len, word, what);
}

static int lexer_take_size(struct lexer *l, const struct hmp_arg *arg)
{
	const char *word = l->p;
	uint64_t bytes;

	if (size_parse_hmp(l->p, &bytes, &l->p)) {
		str_add(l->error, "invalid size\n");
		lexer_hint(l, word, "no size; one is like 512, 64k or 1.5G");
		return -1;
	}
	if (*l->p && !isspace((unsigned char)*l->p)) {
		lexer_hint(l, word, "no size; one is like 512, 64k or 1.5G");
		return lexer_complain(
			l, "extraneous characters at the end of line");
	}
	lexer_set(l, arg, json_integer((json_int_t)bytes));
	return 0;
}

static int take_arg(struct lexer *l, const struct hmp_arg *arg)
{
	if (arg->type == '-')
		return 0;
	if (take_flags(l))
		return -1;
	if (!*l->p && arg->optional)
		return 0;
	l->positional = true;
	if (arg->type == 'o')
		return lexer_take_size(l, arg);
	if (take_string(l, arg))
		return -1;
	while (arg->many && !take_flags(l) && *l->p)
		if (take_string(l, arg))
			return -1;
	return 0;
}

static int take_all(struct lexer *l)
{
	const char *args = l->cmd->args;
	struct hmp_arg arg;

	while (hmp_next_arg(&args, &arg))
		if (take_arg(l, &arg))
			return -1;
	if (take_flags(l))
		return -1;
	if (!*l->p)
		return 0;
	lexer_hint(l, l->p, "one word too many");
	return lexer_complain(l, "extraneous characters at the end of line");
}

json_t *hmp_parse(const struct hmp_command *cmd, const char *typed,
		  bool info, const char *text, struct str *error,
		  struct str *hint)
{
	struct lexer l = {
		.cmd = cmd, .typed = typed, .info = info, .p = text,
		.args = json_object(), .error = error, .hint = hint,
	};

	skip_space(&l);
	if (strchr(cmd->args, 'C')) {
		/* The rest of the line, whatever it is: `help`. */
		json_object_set_new(l.args, "name", qmp_text(l.p));
		return l.args;
	}
	if (!take_all(&l))
		return l.args;
	json_decref(l.args);
	str_addf(error, "Try \"help %s%s\" for more information\n",
		 info ? "info " : "", cmd->aliases ? cmd->name : typed);
	return NULL;
}
