/* menu.h - what can be done here: a list over the log.
 *
 * Each entry has its key, and says what it would do, or why it can't be.
 */
#ifndef BLKMON_UI_MENU_H
#define BLKMON_UI_MENU_H

#include "ui/pane/sheet.h"

#define MENU_MOST 16

struct menu {
	struct menu_entry {
		enum action action;
		const char *key, *name;	/* as people write it */
		int code;		/* of the key */
		char *note;
		bool can;
	} entry[MENU_MOST];
	size_t n;			/* 0: not there */
	size_t selected;
	const char *title;
};

/* Of the row that has the focus; of all. */
void menu_open(struct menu *m, const struct sheet *s);
void menu_open_all(struct menu *m, const struct sheet *s);
void menu_close(struct menu *m);
/* What is to be done then, ACTION_NONE: nothing yet. It closes itself. */
enum action menu_key(struct menu *m, struct sheet *s, const struct key *key);
void menu_draw(const struct menu *m, struct sheet *s);

#endif
