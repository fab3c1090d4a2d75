/* syntax.h - which of three languages a line is in (monitor.md, 2.9), and
 * qmp-shell.
 */
#ifndef BLKMON_CONSOLE_SYNTAX_H
#define BLKMON_CONSOLE_SYNTAX_H

#include <jansson.h>

#include "engine/util/str.h"

struct console;

enum syntax {
	SYNTAX_HMP,
	SYNTAX_SHELL,		/* qmp-shell: name key=value ... */
	SYNTAX_TRANSACTION,	/* qmp-shell: transaction( ... ) */
	SYNTAX_JSON,
};

/* @line starts with its first word. Asks the channel which names QMP has. */
enum syntax syntax_of(struct console *c, const char *line);

/* A request of a qmp-shell line. NULL with one or two lines in @error. */
json_t *syntax_shell(const char *line, struct str *error);

/* Takes a line of qmp-shell's transaction( ... ): the word that opens it,
 * actions one a line, or all in one line. *actions, NULL while none is open,
 * is the caller's. The request when it is closed, else NULL. With a line in
 * @error nothing of the transaction will be run. */
json_t *syntax_transaction(json_t **actions, const char *line,
			   struct str *error);

#endif
