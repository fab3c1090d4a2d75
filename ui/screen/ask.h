/* ask.h - a question in place of the prompt; no is the default. */
#ifndef BLKMON_UI_ASK_H
#define BLKMON_UI_ASK_H

#include "ui/pane/sheet.h"

struct ask {
	char *question, *line;	/* NULL: none */
};

/* True if @line is asked about before it runs. */
bool ask_first(struct ask *a, struct sheet *s, const char *line);
/* The line that was asked about, the caller's: it is wanted if *@yes. NULL:
 * the key is no answer. */
char *ask_key(struct ask *a, struct sheet *s, const struct key *key,
	      bool *yes);
void ask_draw(const struct ask *a, struct sheet *s);
void ask_release(struct ask *a);

#endif
