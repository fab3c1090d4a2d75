/* ask.h - a question in place of the prompt; no is the default. */
#ifndef BLKMON_UI_ASK_H
#define BLKMON_UI_ASK_H

#include "ui/pane/sheet.h"

struct ask {
	char *question;		/* NULL: none */
	char *what;		/* it would do */
	json_t *asked;		/* what it was made of */
	const char *aside;	/* said in place of that, until an answer */
	unsigned read;		/* with a key that is no answer: ask_key() */
	bool puzzled;		/* such a key came */
};

enum ask_answer { ASK_NONE, ASK_YES, ASK_NO };

/* False: of what console_ask() found nothing is to be asked. Else the question
 * stands, and the one before is gone. */
bool ask_about(struct ask *a, const struct sheet *s, json_t *asked);
/* y, n, Esc and Enter are answers; but a letter that comes with others before
 * it, in the same @read of the terminal, is of a text. */
enum ask_answer ask_key(struct ask *a, const struct key *key, unsigned read);
/* Over what is there, from the last row upward. */
void ask_draw(const struct ask *a, struct canvas *c);
void ask_release(struct ask *a);

#endif
