/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/line/console_run.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/console.h"
#include "src/console/hmp/hmp.h"
#include "src/console/line/syntax.h"
#include "src/console/plan_ask.h"

static void console_remember(struct console *c, const char *line)
{
	if (c->history_len == CONSOLE_HISTORY) {
		free(c->history[0]);
		memmove(c->history, c->history + 1,
			--c->history_len * sizeof(*c->history));
	}
	c->history[c->history_len++] = mem_dup(line);
}

/* @prefix: "info ", or "". */
static int run_row(struct console *c, const struct hmp_command *cmd,
		   const char *prefix, json_t *args)
{
	if (c->plan >= PLAN_ASK && !cmd->plans && !cmd->qmp)
		return 0;
	if (c->plan && c->plan < PLAN_ASK && !cmd->plans) {
		console_printf(c, "Error: There is no plan for '%s%s': it "
			       "starts, completes and undoes nothing\n",
			       prefix, cmd->name);
		return -1;
	}
	if (!cmd->qmp)
		return cmd->run(c, args);
	return console_do(c, cmd->qmp, json_incref(args));
}

/* @word is the command's, @rest what follows it. */
static int run_hmp(struct console *c, const struct hmp_command *table,
		   const char *word, size_t len, const char *rest)
{
	bool info = table == hmp_info_commands;
	const char *prefix = info ? "info " : "";
	const struct hmp_command *cmd = hmp_find(table, word, len);
	struct str error = STR_INIT, hint = STR_INIT;
	char *typed;
	json_t *args;
	int rc = -1;

	if (!cmd)
		return hmp_unknown(c, table, prefix, word, len);
	typed = mem_printf("%.*s", (int)len, word);
	args = hmp_parse(cmd, typed, info, rest, &error, &hint);
	console_printf(c, "%s", str_get(&error));
	if (hint.len)
		console_print(c, CONSOLE_HINT, str_get(&hint));
	if (args)
		rc = run_row(c, cmd, prefix, args);
	json_decref(args);
	str_release(&hint);
	str_release(&error);
	free(typed);
	return rc;
}

/* A command word ends at white space or a slash. */
static size_t word_len(const char *s)
{
	size_t len = strcspn(s, " \t\n\v\f\r/");

	return len ? len : *s == '/';
}

static int run_plan(struct console *c, const char *rest);

static int run_hmp_line(struct console *c, const char *line)
{
	size_t len = word_len(line), info_len;
	const char *rest = line + len;

	if (len == 4 && !memcmp(line, "plan", 4))
		return run_plan(c, rest);
	if (len == 4 && !memcmp(line, "info", 4)) {
		while (isspace((unsigned char)*rest))
			rest++;
		info_len = word_len(rest);
		if (info_len)
			return run_hmp(c, hmp_info_commands, rest, info_len,
				       rest + info_len);
	}
	return run_hmp(c, hmp_commands, line, len, rest);
}

static int json_fault(struct console *c, const struct err *err)
{
	return console_reply(c, json_pack("{s:{s:s, s:s}}", "error", "class",
					  "GenericError", "desc", err->text));
}

/* Runs the objects of a line, or more of one that others began. */
static int run_json(struct console *c, const char *line)
{
	char *text = mem_printf("%s\n", line);
	const char *rest = text;
	size_t len = strlen(text);
	json_t *request;
	int rc = 0;

	while (!c->quit) {
		struct err err = ERR_INIT;

		if (!json_stream_next(&c->json, &rest, &len, &request, &err))
			break;
		if (request ? console_request(c, request) :
			      json_fault(c, &err))
			rc = -1;
	}
	free(text);
	return rc;
}

/* Takes @request, which may be NULL, and what is wrong with it. */
static int run_request(struct console *c, json_t *request, struct str *error)
{
	int rc = error->len ? -1 : 0;

	console_printf(c, "%s", str_get(error));
	if (request)
		rc = console_request(c, request);
	str_release(error);
	return rc;
}

static int run_shell(struct console *c, const char *line)
{
	struct str error = STR_INIT;
	json_t *request = syntax_shell(line, &error);

	return run_request(c, request, &error);
}

static int run_transaction(struct console *c, const char *line)
{
	struct str error = STR_INIT;
	json_t *request = syntax_transaction(&c->actions, line, &error);

	return run_request(c, request, &error);
}

/* A line, whose first word it begins with. */
static int run_line(struct console *c, const char *line)
{
	switch (syntax_of(c, line)) {
	case SYNTAX_JSON:
		return run_json(c, line);
	case SYNTAX_SHELL:
		return run_shell(c, line);
	case SYNTAX_TRANSACTION:
		return run_transaction(c, line);
	default:
		return run_hmp_line(c, line);
	}
}

/* What goes on over several lines would run when its last one comes. */
static int plan_forget_rest(struct console *c)
{
	if (!console_is_pending(c))
		return 0;
	json_decref(c->actions);
	c->actions = NULL;
	json_stream_release(&c->json);
	c->json = (struct json_stream){ 0 };
	console_printf(c, "Error: a plan is made of one whole line\n");
	return -1;
}

/* "plan [--json] LINE": the line is parsed as if it were to run. */
static int run_plan(struct console *c, const char *rest)
{
	bool json;
	int rc = -1;

	rest += strspn(rest, " \t");
	json = !strncmp(rest, "--json", 6) && isspace((unsigned char)rest[6]);
	if (json)
		rest += 6 + strspn(rest + 6, " \t");
	if (c->plan >= PLAN_ASK)
		return 0;
	if (!*rest || c->plan) {
		console_printf(c, "plan: a line expected\n");
		return -1;
	}
	c->plan = json ? PLAN_JSON : PLAN_TEXT;
	c->plan_refused = false;
	rc = run_line(c, rest);
	c->plan = PLAN_NONE;
	return plan_forget_rest(c) || c->plan_refused ? -1 : rc;
}

/* --- questions --- */

/* HMP in QMP is what it stands for. */
static void ask_inside(struct console *c)
{
	json_t *kept = c->asked, *entry;
	size_t i;

	c->asked = json_array();
	json_array_foreach(kept, i, entry) {
		const json_t *request = json_object_get(entry, "request");
		const char *line = plan_ask_hmp(request);

		if (!line)
			json_array_append(c->asked, entry);
		else
			run_hmp_line(c, line + strspn(line, " \t"));
	}
	json_decref(kept);
}

json_t *console_ask(struct console *c, const char *line, bool all)
{
	json_t *asked;

	c->plan = all ? PLAN_ALL : PLAN_ASK;
	c->asked = json_array();
	if (json_stream_is_open(&c->json)) {
		run_json(c, line);
	} else {
		while (isspace((unsigned char)*line))
			line++;
		if (*line && *line != '#')
			run_line(c, line);
	}
	ask_inside(c);
	c->plan = PLAN_NONE;
	asked = c->asked;
	c->asked = NULL;
	return asked;
}

static void collect_said(void *arg, enum console_kind kind, const char *line)
{
	(void)kind;
	str_add(arg, line);
}

json_t *console_ask_lines(struct channel *channel, const char *lines,
			  bool all, struct str *said, bool *more)
{
	json_t *asked = json_array(), *some;
	char *text = mem_dup(lines), *line, *rest = text;
	struct console console;

	console_init(&console, channel);
	console.write = collect_said;
	console.arg = said;
	while ((line = strsep(&rest, "\n"))) {
		some = console_ask(&console, line, all);
		json_array_extend(asked, some);
		json_decref(some);
	}
	*more = console_is_pending(&console);
	console_release(&console);
	free(text);
	return asked;
}

/* Whatever language it is in: in none of them it is run if its command is not
 * known in one. The body of JSON is for console_ask() to parse. */
bool console_may_ask(const char *line)
{
	const struct hmp_command *row;
	char *word;
	bool may;

	while (isspace((unsigned char)*line))
		line++;
	if (*line == '{' || *line == '[')
		return true;
	word = mem_printf("%.*s", (int)strcspn(line, " \t\n\v\f\r("), line);
	may = plan_may_ask(word);
	row = hmp_find(hmp_commands, line, word_len(line));
	if (row)
		may |= row->plans || (row->qmp && plan_may_ask(row->qmp));
	free(word);
	return may;
}

int console_run_hmp(struct console *c, const char *line)
{
	while (isspace((unsigned char)*line))
		line++;
	if (!*line)
		return 0;
	console_remember(c, line);
	return run_hmp_line(c, line);
}

int console_run(struct console *c, const char *line)
{
	console_events(c, 0);
	if (json_stream_is_open(&c->json))
		return run_json(c, line);
	while (isspace((unsigned char)*line))
		line++;
	if (!*line || *line == '#')
		return 0;
	console_remember(c, line);
	return run_line(c, line);
}
