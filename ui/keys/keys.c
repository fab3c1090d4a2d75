/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/keys/keys.h"

#include <string.h>

#include "ui/keys/input.h"

static struct key_row keys_table[] = {
	{ ACTION_HELP, { '?', KEY_F1 }, IN_PANES, "? F1", "Help", IN_PANES,
	  "show or leave this help" },
	{ ACTION_SNAPSHOT, { 's' }, IN_PANES, "s", "Snapshot", IN_CHAINS,
	  "snapshot: a new active layer on the drive of the selected image" },
	{ ACTION_STREAM, { 't' }, IN_PANES, "t", "Stream", IN_CHAINS,
	  "stream: pull everything above the selected image up into the "
	  "active layer; from the active layer itself, the whole chain" },
	{ ACTION_COMMIT, { 'c' }, IN_PANES, "c", "Commit", IN_CHAINS,
	  "commit: push the selected image down into the one below; at the "
	  "root, everything above down into it" },
	{ ACTION_CANCEL, { 'x' }, IN_PANES, "x", "Cancel", IN_JOBS,
	  "cancel the job of the selection" },
	{ ACTION_PAUSE, { 'p' }, IN_PANES, "p", "Pause", IN_JOBS,
	  "pause the job, or let it go on" },
	{ ACTION_COMPLETE, { 'C' }, IN_PANES, "C", "Complete", IN_JOBS,
	  "complete a job that is READY: the drive goes over to the base" },
	{ ACTION_FASTER, { '+', '=' }, IN_PANES, "+", NULL, 0,
	  "double the speed limit of the job" },
	{ ACTION_SLOWER, { '-' }, IN_PANES, "- +", "Speed", IN_JOBS,
	  "halve it; of a job without a limit, half of its rate" },
	{ ACTION_UNLIMITED, { '0' }, IN_PANES, "0", NULL, 0,
	  "no speed limit" },
	{ ACTION_DISMISS, { 'd' }, IN_PANES, "d", "Dismiss", IN_JOBS,
	  "take finished jobs off the list" },
	{ ACTION_DELETE, { 'D' }, IN_CHAINS, "D", NULL, 0,
	  "delete a file that nothing uses; on the row of several, those that "
	  "jobs have left" },
	{ ACTION_MENU, { '.' }, IN_PANES, ".", "Menu", IN_CHAINS | IN_JOBS,
	  "all that can be done here, and why something can't" },
	{ ACTION_ALL, { 'a' }, IN_PANES, "a", "All", IN_CHAINS | IN_JOBS,
	  "act on all: pause all jobs, let them go on, a snapshot of all "
	  "drives at one moment" },
	{ ACTION_DETAILS, { KEY_RETURN }, IN_CHAINS | IN_JOBS, "Enter",
	  "Details", IN_CHAINS,
	  "all that is known of the selected image, as info block -v" },
	{ ACTION_COPY, { 'y' }, IN_PANES, "y", NULL, 0,
	  "copy the path of the image, the line that starts such a job, or "
	  "the last line of the log to the clipboard of the terminal" },
	{ ACTION_NEXT_PANE, { KEY_TAB }, IN_PANES, "Tab", "Next pane",
	  IN_PANES, "go to the next pane; so does a click of the mouse" },
	{ ACTION_PREVIOUS_PANE, { KEY_BACKTAB }, IN_PANES | IN_PROMPT,
	  "S-Tab", "Panes", IN_PROMPT, "go to the pane before" },
	{ ACTION_PROMPT, { ':' }, IN_PANES, ":", "Prompt", IN_PANES,
	  "go to the prompt; Esc leaves it" },
	{ ACTION_UP, { KEY_UP, 'k' }, IN_PANES, "Up k", NULL, 0, "up" },
	{ ACTION_DOWN, { KEY_DOWN, 'j' }, IN_PANES, "Down j", NULL, 0,
	  "down" },
	{ ACTION_LEFT, { KEY_LEFT, 'h' }, IN_PANES, "Left h", NULL, 0,
	  "to the image below this one, or the pane before" },
	{ ACTION_RIGHT, { KEY_RIGHT, 'l' }, IN_PANES, "Right l", NULL, 0,
	  "to the active layer above this one, or the next pane" },
	{ ACTION_FIRST, { 'g', KEY_HOME }, IN_PANES, "g Home", NULL, 0,
	  "to the first line" },
	{ ACTION_LAST, { 'G', KEY_END }, IN_PANES, "G End", NULL, 0,
	  "to the last line; in the log, follow it again" },
	{ ACTION_PAGE_UP, { KEY_PGUP }, IN_PANES | IN_PROMPT, "PgUp", NULL, 0,
	  "a page up; in the log, stop following" },
	{ ACTION_PAGE_DOWN, { KEY_PGDN }, IN_PANES | IN_PROMPT, "PgDn", NULL,
	  0, "a page down" },
	{ ACTION_SEARCH, { '/' }, IN_PANES, "/", "Find", IN_CHAINS | IN_LOG,
	  "narrow the tree to what matches, and what that lies on; Esc shows "
	  "all again. In the log, search while you type" },
	{ ACTION_AGAIN, { 'n' }, IN_PANES, "n", NULL, 0, "the next match" },
	{ ACTION_BACK, { 'N' }, IN_PANES, "N", NULL, 0,
	  "the match before" },
	{ ACTION_FOLD, { ' ' }, IN_CHAINS, "Space", "Fold", IN_CHAINS,
	  "open the fold, or fold the run of quiet layers here, or else the "
	  "machine; where rows are short, runs fold by themselves" },
	{ ACTION_SORT, { 'o' }, IN_CHAINS, "o", "Sort", IN_CHAINS,
	  "sort the images by what they take, by what of that is dead, by age, "
	  "or as a tree" },
	{ ACTION_MAP, { 'm' }, IN_CHAINS, "m", "Map", IN_CHAINS,
	  "maps of the whole disk, or only of what somebody in the chain "
	  "holds" },
	{ ACTION_FILTER, { 'f' }, IN_PANES, "f", "Filter", IN_LOG,
	  "log: all lines, events only, console only" },
	{ ACTION_FOLLOW, { 'F' }, IN_PANES, "F", "Follow", IN_LOG,
	  "log: follow what comes, or stand still" },
	{ ACTION_HISTORY, { 'H' }, IN_PANES, "H", NULL, 0,
	  "what jobs have done, of all times" },
	{ ACTION_ZOOM, { 'z' }, IN_PANES, "z", "Zoom", IN_PANES,
	  "this pane alone on the screen, or all of them" },
	{ ACTION_REDRAW, { KEY_CTRL_L }, IN_PANES | IN_PROMPT, "C-l", NULL, 0,
	  "draw the screen anew and look at the images again" },
	{ ACTION_INTERRUPT, { KEY_CTRL_C }, IN_PANES | IN_PROMPT, "C-c", NULL,
	  0, "end a wait or a commit, or drop the line being typed" },
	{ ACTION_SUSPEND, { KEY_CTRL_Z }, IN_PANES | IN_PROMPT, "C-z", NULL,
	  0, "back to the shell; fg returns, jobs go on only then" },
	{ ACTION_QUIT, { 'q', KEY_F10 }, IN_PANES, "q F10", "Quit", IN_PANES,
	  "leave; asks when jobs would be cancelled" },
	{ ACTION_QUIT, { KEY_F10 }, IN_PROMPT, "F10", "Quit", IN_PROMPT,
	  NULL },
	{ ACTION_HELP, { KEY_F1 }, IN_PROMPT, "F1", "Help", IN_PROMPT, NULL },
};

const struct key_row *const key_rows = keys_table;
const unsigned key_row_count = sizeof(keys_table) / sizeof(*keys_table);

enum action key_action(int code, enum pane pane)
{
	for (unsigned i = 0; i < key_row_count; i++) {
		if (!(key_rows[i].where >> pane & 1))
			continue;
		for (unsigned k = 0; k < 3 && key_rows[i].keys[k]; k++)
			if (key_rows[i].keys[k] == code)
				return key_rows[i].action;
	}
	return ACTION_NONE;
}

/* --- keys of one's own --- */

static const struct {
	enum action action;
	const char *word;
} keys_words[] = {
	{ ACTION_HELP, "help" }, { ACTION_SNAPSHOT, "snapshot" },
	{ ACTION_STREAM, "stream" }, { ACTION_COMMIT, "commit" },
	{ ACTION_CANCEL, "cancel" }, { ACTION_PAUSE, "pause" },
	{ ACTION_COMPLETE, "complete" }, { ACTION_FASTER, "faster" },
	{ ACTION_SLOWER, "slower" }, { ACTION_UNLIMITED, "unlimited" },
	{ ACTION_DISMISS, "dismiss" }, { ACTION_DELETE, "delete" },
	{ ACTION_MENU, "menu" }, { ACTION_ALL, "all" },
	{ ACTION_DETAILS, "details" }, { ACTION_COPY, "copy" },
	{ ACTION_NEXT_PANE, "next-pane" }, { ACTION_PROMPT, "prompt" },
	{ ACTION_UP, "up" }, { ACTION_DOWN, "down" }, { ACTION_LEFT, "left" },
	{ ACTION_RIGHT, "right" }, { ACTION_FIRST, "first" },
	{ ACTION_LAST, "last" }, { ACTION_SEARCH, "find" },
	{ ACTION_AGAIN, "next-match" }, { ACTION_BACK, "previous-match" },
	{ ACTION_FOLD, "fold" }, { ACTION_SORT, "sort" },
	{ ACTION_MAP, "map" }, { ACTION_FILTER, "filter" },
	{ ACTION_FOLLOW, "follow" }, { ACTION_HISTORY, "history" },
	{ ACTION_ZOOM, "zoom" }, { ACTION_QUIT, "quit" },
};

#define KEYS_WORDS (sizeof(keys_words) / sizeof(*keys_words))

const char *keys_word(unsigned i)
{
	return i < KEYS_WORDS ? keys_words[i].word : NULL;
}

static const char *key_name(int code)
{
	static const struct {
		int code;
		const char *name;
	} names[] = {
		{ ' ', "Space" }, { KEY_RETURN, "Enter" }, { KEY_TAB, "Tab" },
		{ KEY_UP, "Up" }, { KEY_DOWN, "Down" }, { KEY_LEFT, "Left" },
		{ KEY_RIGHT, "Right" }, { KEY_HOME, "Home" },
		{ KEY_END, "End" }, { KEY_F1, "F1" }, { KEY_F10, "F10" },
	};
	static char letters[KEY_BS][2];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].code == code)
			return names[i].name;
	letters[code % KEY_BS][0] = (char)code;
	return letters[code % KEY_BS];
}

static bool key_is_letter(int code)
{
	return code >= ' ' && code < KEY_BS;
}

static void key_row_set(struct key_row *row, const int keys[KEYS_EACH],
			size_t n)
{
	static char names[sizeof(keys_table) / sizeof(*keys_table)][24];
	char *name = names[row - keys_table];
	size_t used = 0;

	memset(row->keys, 0, sizeof(row->keys));
	name[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		row->keys[i] = keys[i];
		used += (size_t)snprintf(name + used, sizeof(names[0]) - used,
					 "%s%s", i ? " " : "",
					 key_name(keys[i]));
	}
	row->name = name;
}

/* What is to be another's key. */
static void key_row_lose(struct key_row *row, int code)
{
	int keys[KEYS_EACH];
	size_t n = 0;
	bool lost = false;

	for (size_t i = 0; i < KEYS_EACH && row->keys[i]; i++)
		if (row->keys[i] == code)
			lost = true;
		else
			keys[n++] = row->keys[i];
	if (lost)
		key_row_set(row, keys, n);
}

/* Its letters are @codes; other keys, which mean the same everywhere, stay. */
static void key_row_bind(struct key_row *row, const int *codes, size_t n)
{
	int keys[KEYS_EACH];

	memcpy(keys, codes, n * sizeof(*codes));
	for (size_t i = 0; i < KEYS_EACH && row->keys[i] && n < KEYS_EACH; i++)
		if (!key_is_letter(row->keys[i]))
			keys[n++] = row->keys[i];
	key_row_set(row, keys, n);
}

bool keys_bind(const char *word, const int *codes, size_t n)
{
	enum action action = ACTION_NONE;

	for (size_t i = 0; i < KEYS_WORDS; i++)
		if (!strcmp(keys_words[i].word, word))
			action = keys_words[i].action;
	for (unsigned i = 0; i < key_row_count && action; i++)
		for (size_t k = 0; k < n; k++)
			key_row_lose(&keys_table[i], codes[k]);
	for (unsigned i = 0; i < key_row_count && action; i++)
		if (keys_table[i].action == action &&
		    !(keys_table[i].where & IN_PROMPT))
			key_row_bind(&keys_table[i], codes, n);
	return action != ACTION_NONE;
}

bool keys_word_has_key(const char *word)
{
	for (size_t i = 0; i < KEYS_WORDS; i++)
		if (!strcmp(keys_words[i].word, word))
			return keys_code(keys_words[i].action);
	return false;
}

int keys_code(enum action action)
{
	for (unsigned i = 0; i < key_row_count; i++)
		if (key_rows[i].action == action)
			return key_rows[i].keys[0];
	return 0;
}

const char *keys_name(enum action action)
{
	int code = keys_code(action);

	return code ? key_name(code) : "no key";
}

/* --- the manual --- */

void keys_manual(FILE *out)
{
	fputs(".SH KEYS\n", out);
	for (unsigned i = 0; i < key_row_count; i++) {
		if (!key_rows[i].help)
			continue;
		fputs(".TP\n.B ", out);
		for (const char *s = key_rows[i].name; *s; s++)
			fprintf(out, *s == '-' ? "\\-" : "%c", *s);
		fprintf(out, "\n%s.\n", key_rows[i].help);
	}
}
