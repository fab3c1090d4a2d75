/* folder.h - the names in a folder, read by a thread of its own.
 *
 * A folder may lie on a network that has gone, and then reading it takes for
 * ever; nobody waits for the thread, not even at the end of the program. The
 * asker and the thread hold the folder together.
 */
#ifndef BLKMON_UI_FOLDER_H
#define BLKMON_UI_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_NAMES 4096	/* more are left out */

struct folder;

/* Begins to read which files have names that begin with @part ("dir/ba");
 * @fd, an eventfd, is made readable when that is done. NULL: no thread. */
struct folder *folder_read(const char *part, int fd);
void folder_put(struct folder *f);	/* NULL is fine */

const char *folder_part(const struct folder *f);
bool folder_is_read(struct folder *f);
/* Of a folder that is read: the names, with what stands in front of them in
 * @part, those of folders with a '/' behind them; in no order. Borrowed. */
size_t folder_names(const struct folder *f, char *const **names);

#endif
