/* keys.h - the one table of keys.
 *
 * Dispatch, the line of hints, the help overlay and the manual are made from
 * it. Keys of the prompt are readline's. Who wants other letters binds them
 * before the screen begins. One thread.
 */
#ifndef BLKMON_UI_KEYS_H
#define BLKMON_UI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum pane { PANE_CHAINS, PANE_JOBS, PANE_LOG, PANE_PROMPT, PANE_COUNT };

#define IN_CHAINS (1u << PANE_CHAINS)
#define IN_JOBS (1u << PANE_JOBS)
#define IN_LOG (1u << PANE_LOG)
#define IN_PROMPT (1u << PANE_PROMPT)
#define IN_PANES (IN_CHAINS | IN_JOBS | IN_LOG)

enum action {
	ACTION_NONE,
	ACTION_NEXT_PANE, ACTION_PREVIOUS_PANE, ACTION_PROMPT,
	ACTION_UP, ACTION_DOWN, ACTION_FIRST, ACTION_LAST,
	ACTION_PAGE_UP, ACTION_PAGE_DOWN, ACTION_LEFT, ACTION_RIGHT,
	ACTION_DETAILS, ACTION_SNAPSHOT, ACTION_STREAM, ACTION_COMMIT,
	ACTION_CANCEL, ACTION_PAUSE, ACTION_COMPLETE,
	ACTION_FASTER, ACTION_SLOWER, ACTION_UNLIMITED, ACTION_DISMISS,
	ACTION_DELETE,
	ACTION_MENU, ACTION_ALL,
	ACTION_SNAPSHOT_ALL, ACTION_PAUSE_ALL, ACTION_RESUME_ALL,
	ACTION_FOLD, ACTION_SORT, ACTION_MAP,
	ACTION_COPY, ACTION_SEARCH, ACTION_AGAIN, ACTION_BACK, ACTION_FILTER,
	ACTION_FOLLOW, ACTION_ZOOM, ACTION_REDRAW, ACTION_SUSPEND,
	ACTION_INTERRUPT, ACTION_HELP, ACTION_HISTORY, ACTION_QUIT,
};

#define KEYS_EACH 3u

struct key_row {
	enum action action;
	int keys[KEYS_EACH];	/* codes of input.h; 0: no more */
	unsigned where;		/* IN_... */
	const char *name;	/* as people write the keys */
	const char *hint;	/* a word for the last line; NULL: not there */
	unsigned hint_where;	/* in which panes it is hinted at */
	const char *help;	/* NULL: not in the help */
};

extern const struct key_row *const key_rows;
extern const unsigned key_row_count;

enum action key_action(int code, enum pane pane);
/* The first key of an action, and its name; 0 and "no key" if it has none. */
int keys_code(enum action action);
const char *keys_name(enum action action);

/* How configurations call the actions whose letters may be others; NULL behind
 * the last. */
const char *keys_word(unsigned i);
/* @n letters (ASCII, ' ' to '~'), at most KEYS_LETTERS, are the action's, in
 * place of those that it had, and of whoever had them. False: no such
 * action. */
#define KEYS_LETTERS 2u
bool keys_bind(const char *word, const int *codes, size_t n);
/* An action may have lost all that it had. */
bool keys_word_has_key(const char *word);
/* man(7) source of the chapter on keys. */
void keys_manual(FILE *out);

#endif
