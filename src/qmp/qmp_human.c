/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * human-monitor-command: a line of the other language, its output as text.
 * What it complains of is output, too; the command itself does not fail.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/str.h"
#include "src/qmp/command.h"
#include "src/qmp/json/text.h"

char *(*qmp_human_line)(struct machine *machine, const char *line);

static json_t *with_carriage_returns(const char *text)
{
	struct str out = STR_INIT;
	json_t *value;

	for (; *text; text++) {
		if (*text == '\n')
			str_add_char(&out, '\r');
		str_add_char(&out, *text);
	}
	value = out.lost ? NULL : qmp_text(str_get(&out));
	str_release(&out);
	return value;
}

static json_t *human(struct qmp_context *ctx, json_t *args, struct err *err)
{
	const char *line = args_str(args, "command-line");
	json_t *value;
	char *text;

	if (args_int(args, "cpu-index", 0)) {	/* there is no CPU at all */
		err_set(err, ERR_INVALID_PARAMETER,
			"Parameter 'cpu-index' expects a CPU number");
		return NULL;
	}
	if (!qmp_human_line) {
		err_set(err, ERR_NOT_SUPPORTED, "Not supported");
		return NULL;
	}
	/* What is made of it may be as long, and must not fail. */
	if (strlen(line) >= STR_SURE) {
		err_set(err, ERR_INVALID_PARAMETER, "Parameter 'command-line' "
			"is too long");
		return NULL;
	}
	text = qmp_human_line(ctx->machine, line);
	value = text ? with_carriage_returns(text) : NULL;
	if (!value)
		err_sys(err, ENOMEM, "No reply");
	free(text);
	return value;
}

const struct qmp_command qmp_human_commands[] = {
	{ "human-monitor-command", "command-line:s,*cpu-index:i", human,
	  false },
	{ .name = NULL }
};
