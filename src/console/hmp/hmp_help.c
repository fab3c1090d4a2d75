/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `help`, and the chapter of the manual that says the same.
 */
#include <string.h>

#include "src/console/console.h"
#include "src/console/hint.h"
#include "src/console/hmp/hmp.h"

#define SPACE " \t"

static void help_line(struct console *c, const struct hmp_command *cmd,
		      const char *prefix)
{
	struct str names = STR_INIT;

	hmp_names(cmd, &names);
	console_printf(c, "%s%s %s -- %s\n", prefix, str_get(&names),
		       cmd->params, cmd->help);
	str_release(&names);
}

static void help_table(struct console *c, const struct hmp_command *table,
		       const char *prefix)
{
	for (; table->name; table++)
		help_line(c, table, prefix);
}

/* Names of one letter are near to all. */
int hmp_unknown(struct console *c, const struct hmp_command *table,
		const char *prefix, const char *word, size_t len)
{
	struct near near;

	console_printf(c, "unknown command: '%s%.*s'\n", prefix, (int)len,
		       word);
	near_init(&near, word, len);
	for (; table->name; table++)
		near_try(&near, table->name);
	if (!*prefix)
		hint_try_qmp(c, &near);
	hint_near(c, prefix, &near);
	return -1;
}

static int help_of(struct console *c, const struct hmp_command *table,
		   const char *word, const char *prefix)
{
	size_t len = strcspn(word, SPACE);
	const struct hmp_command *cmd = hmp_find(table, word, len);

	if (!cmd)
		return hmp_unknown(c, table, prefix, word, len);
	help_line(c, cmd, prefix);
	return 0;
}

int hmp_help(struct console *c, json_t *args)
{
	const char *word = json_string_value(json_object_get(args, "name"));
	size_t len = strcspn(word, SPACE);

	if (!len) {
		help_table(c, hmp_commands, "");
		help_table(c, hmp_info_commands, "info ");
		return 0;
	}
	if (len != 4 || memcmp(word, "info", 4))
		return help_of(c, hmp_commands, word, "");
	word += len + strspn(word + len, SPACE);
	if (*word)
		return help_of(c, hmp_info_commands, word, "info ");
	help_table(c, hmp_info_commands, "info ");
	return 0;
}

int hmp_info_help(struct console *c, json_t *args)
{
	(void)args;
	help_table(c, hmp_info_commands, "info ");
	return 0;
}

/* --- the manual --- */

/* Text for roff: hyphens and quotes as they are typed, in one line. */
static void manual_text(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			str_add(out, "\\-");
		else if (*text == '\\')
			str_add(out, "\\e");
		else if (*text == '"')
			str_add(out, "\\(dq");
		else if (*text == '\t')
			continue;
		else
			str_add_char(out, *text == '\n' ? ' ' : *text);
	}
}

static void manual_entry(struct str *out, const struct hmp_command *cmd,
			 const char *prefix)
{
	struct str names = STR_INIT;

	hmp_names(cmd, &names);
	str_add(out, ".TP\n.B ");
	manual_text(out, prefix);
	manual_text(out, str_get(&names));
	str_add(out, *cmd->params ? " " : "");
	manual_text(out, cmd->params);
	str_add_char(out, '\n');
	manual_text(out, cmd->help);
	str_add_char(out, '\n');
	str_release(&names);
}

char *hmp_manual(void)
{
	struct str out = STR_INIT;

	for (const struct hmp_command *cmd = hmp_commands; cmd->name; cmd++)
		manual_entry(&out, cmd, "");
	for (const struct hmp_command *cmd = hmp_info_commands; cmd->name;
	     cmd++)
		manual_entry(&out, cmd, "info ");
	return str_detach(&out);
}
