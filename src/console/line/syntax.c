/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/line/syntax.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/util/mem.h"
#include "src/console/console.h"
#include "src/console/hmp/hmp.h"

#define SPACE " \t\n\v\f\r"
#define TRANSACTION "transaction("
#define TRANSACTION_LINES 1000

/* --- which one --- */

static bool same_name(const char *name, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] != word[i] &&
		    !(name[i] == '-' && word[i] == '_'))
			return false;
	return !name[len];
}

static bool is_qmp_name(struct console *c, const char *word, size_t len)
{
	json_t *entry, *reply;
	size_t i;

	if (!c->qmp_names) {
		reply = channel_call(c->channel, "query-commands", NULL);
		c->qmp_names = json_incref(json_object_get(reply, "return"));
		json_decref(reply);
	}
	json_array_foreach(c->qmp_names, i, entry) {
		const char *name = json_string_value(json_object_get(entry,
								     "name"));

		if (name && strlen(name) >= len && same_name(name, word, len))
			return true;
	}
	return false;
}

/* "key=" as qmp-shell has it. */
static bool is_pair(const char *s)
{
	if (!isalpha((unsigned char)*s))
		return false;
	while (isalnum((unsigned char)*s) || (*s && strchr("_.-", *s)))
		s++;
	return *s == '=';
}

enum syntax syntax_of(struct console *c, const char *line)
{
	size_t len = strcspn(line, SPACE);
	const char *arg = line + len + strspn(line + len, SPACE);

	if (c->actions || (len == strlen(TRANSACTION) &&
			   !memcmp(line, TRANSACTION, len)))
		return SYNTAX_TRANSACTION;
	if (*line == '{' || *line == '[')
		return SYNTAX_JSON;
	if (is_pair(arg) && is_qmp_name(c, line, len))
		return SYNTAX_SHELL;
	if (hmp_find(hmp_commands, line, strcspn(line, SPACE "/")))
		return SYNTAX_HMP;
	return is_qmp_name(c, line, len) ? SYNTAX_SHELL : SYNTAX_HMP;
}

/* --- qmp-shell --- */

/* "..." with backslash escapes, which qmp-shell itself lacks. */
static json_t *quoted(const char *s)
{
	struct str text = STR_INIT;
	json_t *value;

	for (s++; *s && *s != '"'; s++)
		str_add_char(&text, *s == '\\' && s[1] ? *++s : *s);
	value = json_string(str_get(&text));
	str_release(&text);
	return value;
}

static json_t *number(const char *s)
{
	bool hex = !strncasecmp(s, "0x", 2);
	long long v;
	char *end;

	errno = 0;
	v = strtoll(s, &end, hex ? 16 : 10);
	if (errno || *end || end == s)
		return NULL;
	return json_integer(v);
}

/* As in requests: strings may stand between single quotes. */
static json_t *object(const char *s)
{
	struct json_stream stream = { 0 };
	struct err err = ERR_INIT;
	size_t len = strlen(s);
	json_t *value = NULL;

	if (!json_stream_next(&stream, &s, &len, &value, &err) || len) {
		json_decref(value);
		value = NULL;
	}
	json_stream_release(&stream);
	return value;
}

static json_t *syntax_value_of(const char *s)
{
	json_t *value = number(s);

	if (value)
		return value;
	if (!strcasecmp(s, "true") || !strcasecmp(s, "false"))
		return json_boolean(tolower((unsigned char)*s) == 't');
	if (!strcmp(s, "null"))
		return json_null();
	if (*s == '"')
		return quoted(s);
	if (*s == '{' || *s == '[')
		value = object(s);
	return value ? value : json_string(s);
}

/* Walks to the object that "a.b.c" stands in, making what is missing. NULL
 * where something else stands in the way, and for more levels than JSON may
 * have; *leaf is the key that would not do. */
static json_t *parent_of(json_t *args, char *key, char **leaf)
{
	unsigned level = 1;
	char *dot;

	for (; (dot = strchr(key, '.')); key = dot + 1) {
		json_t *next;

		*dot = '\0';
		*leaf = key;
		if (++level > JSON_STREAM_DEPTH)
			return NULL;
		next = json_object_get(args, key);
		if (!next) {
			json_object_set_new(args, key, json_object());
			next = json_object_get(args, key);
		}
		if (!json_is_object(next))
			return NULL;
		args = next;
	}
	*leaf = key;
	return args;
}

static int add_pair(json_t *args, char *pair, struct str *error)
{
	char *eq = strchr(pair, '='), *leaf;
	json_t *parent;

	if (!eq || eq == pair) {
		str_addf(error, "Error while parsing command line: Expected a "
			 "key=value pair, got '%s'\ncommand format: "
			 "<command-name> [arg-name1=arg1] ... "
			 "[arg-nameN=argN]\n", pair);
		return -1;
	}
	*eq = '\0';
	parent = parent_of(args, pair, &leaf);
	if (!parent) {
		str_addf(error, "Cannot use \"%s\" as both leaf and non-leaf "
			 "key\n", leaf);
		return -1;
	}
	if (json_object_get(parent, leaf)) {
		str_addf(error, "Cannot set \"%s\" multiple times\n", leaf);
		return -1;
	}
	if (json_object_set_new(parent, leaf, syntax_value_of(eq + 1))) {
		str_addf(error, "\"%s\" or its value is not UTF-8\n", leaf);
		return -1;
	}
	return 0;
}

/* White space ends a word unless it stands between double quotes. */
static size_t shell_word(const char *s)
{
	bool inside = false;
	size_t len;

	for (len = 0; s[len]; len++) {
		if (s[len] == '\\' && inside && s[len + 1])
			len++;
		else if (s[len] == '"')
			inside = !inside;
		else if (!inside && isspace((unsigned char)s[len]))
			break;
	}
	return len;
}

static int add_pairs(json_t *args, const char *s, struct str *error)
{
	for (s += strspn(s, SPACE); *s; s += strspn(s, SPACE)) {
		size_t len = shell_word(s);
		char *pair = mem_printf("%.*s", (int)len, s);
		int rc = add_pair(args, pair, error);

		free(pair);
		if (rc)
			return -1;
		s += len;
	}
	return 0;
}

json_t *syntax_shell(const char *line, struct str *error)
{
	size_t len = strcspn(line, SPACE);
	json_t *args = json_object();

	if (add_pairs(args, line + len, error)) {
		json_decref(args);
		return NULL;
	}
	return json_pack("{s:s%, s:o}", "execute", line, len, "arguments",
			 args);
}

/* --- transaction( ... ) --- */

/* The length of @s without the ")" that ends it, which is a word of its own,
 * and without white space behind. */
static size_t cut_end(const char *s, bool *closed)
{
	size_t len = strlen(s);

	while (len && isspace((unsigned char)s[len - 1]))
		len--;
	*closed = len && s[len - 1] == ')' &&
		  (len == 1 || isspace((unsigned char)s[len - 2]));
	return *closed ? len - 1 : len;
}

static int add_action(json_t *actions, const char *line, struct str *error)
{
	size_t len = strcspn(line, SPACE);
	json_t *data = json_object();

	if (add_pairs(data, line + len, error)) {
		json_decref(data);
		return -1;
	}
	if (json_array_size(actions) == TRANSACTION_LINES) {
		str_add(error, "Error: a transaction has at most 1000 "
			"actions\n");
		json_decref(data);
		return -1;
	}
	return json_array_append_new(actions, json_pack("{s:s%, s:o}", "type",
							line, len, "data",
							data));
}

/* Takes @actions; null are those of which one could not be read. */
static json_t *transaction_of(json_t *actions, struct str *error)
{
	if (json_is_array(actions))
		return json_pack("{s:s, s:{s:o}}", "execute", "transaction",
				 "arguments", "actions", actions);
	if (!error->len)
		str_add(error, "Error: a line of the transaction was wrong: "
			"nothing of it is done\n");
	json_decref(actions);
	return NULL;
}

json_t *syntax_transaction(json_t **actions, const char *line,
			   struct str *error)
{
	json_t *all = *actions;
	bool closed;
	char *text;

	if (!all) {
		all = json_array();
		line += strlen(TRANSACTION);
	}
	line += strspn(line, SPACE);
	text = mem_printf("%.*s", (int)cut_end(line, &closed), line);
	if (*text && json_is_array(all) && add_action(all, text, error)) {
		json_decref(all);
		all = json_null();
	}
	free(text);
	*actions = closed ? NULL : all;
	return closed ? transaction_of(all, error) : NULL;
}
