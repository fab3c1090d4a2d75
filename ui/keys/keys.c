/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/keys/keys.h"

#include "ui/keys/input.h"

const struct key_row key_rows[] = {
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

const unsigned key_row_count = sizeof(key_rows) / sizeof(*key_rows);

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
