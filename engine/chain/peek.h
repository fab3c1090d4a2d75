/* peek.h - what an image says of itself, and which other files it names, from
 * its first bytes alone.
 *
 * For images that are not to be opened: nothing else in them is looked at, so
 * that one which is refused when it is opened, by this program or by another
 * version of QEMU, still counts as an overlay. Formats: qcow2, qcow, QED.
 */
#ifndef BLKMON_PEEK_H
#define BLKMON_PEEK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/file/folder.h"

#define PEEK_NAME_MAX 1023	/* bytes of a name, as in qcow2 */
#define PEEK_MIN 72		/* bytes; a smaller file names no other */

struct peek {
	char backing[PEEK_NAME_MAX + 1];	/* "": none */
	char data[PEEK_NAME_MAX + 1];	/* of its external data file; "" */
	bool external;			/* it has one, named or not */
	const char *format;		/* as guess_format(): "raw" where no
					   magic number fits; NULL: it could
					   not be read */
	uint64_t size;			/* bytes of the guest's disk, where
					   the format is one of these; else 0 */
	uint32_t snapshots;		/* inside, of qcow2 */
};

/* What the header of the file behind @fd (folder_peek_open()) says; that it is
 * "raw" if it is no image; nothing if it can't be read; then -errno, else 0. */
int peek_read(int fd, struct peek *out);

/* Of files that were looked at before and have not changed since: same inode,
 * size and times, and the last change so long ago that another one would show.
 * Thread-safe; what there is no memory for, and more than PEEK_CACHE_MAX
 * files, are forgotten, and read again. */
#define PEEK_CACHE_MAX 100000
struct peek_cache;

struct peek_cache *peek_cache_new(void);
void peek_cache_free(struct peek_cache *cache);	/* NULL is fine */
/* peek_read() of a file in a folder; its entry->st is known then, if *out says
 * anything. */
void peek_cached(struct peek_cache *cache, const struct folder *folder,
		 struct folder_entry *entry, struct peek *out);

#endif
