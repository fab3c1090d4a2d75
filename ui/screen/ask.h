/* ask.h - a question in place of the prompt; no is the default. */
#ifndef BLKMON_UI_ASK_H
#define BLKMON_UI_ASK_H

#include "ui/pane/sheet.h"

struct ask {
	char *question, *line;	/* NULL: none */
	char *what;		/* it would do */
	bool puzzled;		/* a key came that is no answer */
	unsigned read;		/* with that key, see ask_key() */
};

/* True if @line is asked about before it runs. */
bool ask_first(struct ask *a, struct sheet *s, const char *line);
/* The line that was asked about, the caller's: it is wanted if *@yes. NULL:
 * the key is no answer. y, n, Esc and Enter are; but a letter that comes with
 * others before it, in the same @read of the terminal, is of a text. */
char *ask_key(struct ask *a, const struct key *key, unsigned read, bool *yes);
/* Over what is there, from the last row upward. */
void ask_draw(const struct ask *a, struct canvas *c);
void ask_release(struct ask *a);

#endif
