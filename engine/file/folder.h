/* folder.h - the files of a folder, and what they begin with, looked at from
 * outside: nothing is locked, nothing is written, no time of access changes
 * where that can be helped, and nothing but regular files is opened in a
 * folder (hazard H6).
 *
 * Not thread-safe; data path errors are -errno.
 */
#ifndef BLKMON_FOLDER_H
#define BLKMON_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* What a look lacks for a moment, memory or descriptors, is no reason to
 * believe that nothing is there. Notes @error for the calling thread if it is
 * such a lack; the functions below do so themselves. */
void folder_lack(int error);
/* The last one noted since the last call, or 0. */
int folder_lacked(void);

struct folder;

struct folder_entry {
	const char *name;	/* until the next one */
	ino_t ino;		/* of the entry; 0: st is known */
	bool link;		/* a symbolic link; st is of what it leads to */
	struct stat st;		/* of a regular file, once it is known */
};

/* NULL: there is none, or it can't be read, or memory is out. */
struct folder *folder_open(const char *path);
void folder_close(struct folder *f);	/* NULL is fine */
/* Which one it is: folders have several names. */
const struct stat *folder_identify(const struct folder *f);
/* The next entry that is a regular file, or a link to one; what is none is
 * passed over, and so is what can't be looked at. Whose kind the folder says
 * itself is not asked what else it is. *seen counts all. False at the end, or
 * once *seen has reached @most. */
bool folder_next(struct folder *f, struct folder_entry *e, uint64_t *seen,
		 uint64_t most);
/* st is known then; false if there is no such file any more. */
bool folder_entry_stat(const struct folder *f, struct folder_entry *e);

/* When that file was made, in ns since 1970; 0 where the host does not know. */
uint64_t folder_born(const struct folder *f, const char *name);

/* A descriptor for folder_peek(), closed by the caller with folder_unpeek(),
 * and what it is of; or -errno: of a file in the folder; or (@f NULL) of a
 * path, which may be a block device too. */
int folder_peek_open(const struct folder *f, const char *name,
		     struct stat *st);
/* Up to @len bytes from @off on; how many there are, or -errno. */
int folder_peek(int fd, uint64_t off, void *buf, size_t len);
void folder_unpeek(int fd);

#endif
