/* undo_impl.h - what is kept of a job for its undo, in memory and as a note at
 * the clone. Shared by engine_undo*.c.
 */
#ifndef BLKMON_UNDO_IMPL_H
#define BLKMON_UNDO_IMPL_H

#include <sys/stat.h>

#include "engine/engine_impl.h"
#include "engine/file/keep.h"

/* An image as it was when the job began. */
struct undo_image {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct undo {
	struct list link;		/* engine->undos */
	char *id;
	struct keep keep;
	uint64_t born;			/* of the node base ... */
	unsigned writable;		/* ... how often it was made writable */
	bool ended;			/* the job; what base is was noted */
	bool over;			/* a disk went over to base */
	bool cut;			/* read from a note; the job's program
					   ended before the job */
	struct undo_image above;	/* whose backing file base was */
	bool has_overlay;		/* top; the active layer has none */
	struct undo_image overlay;
	char *overlay_path, *overlay_format;
	char *top;			/* with its path, its format, */
	char *top_format;
	char *words, *words_format;	/* and what overlay calls it */
	struct undo_image *image;	/* from top down to above */
	size_t count;
};

void undo_free(struct undo *u);
/* Notes it at the clone, for other processes; once the job has @ended also what
 * base is now. 0 or -errno. */
int undo_note(const struct undo *u, bool ended);
/* What was noted at the clone of the file @path; NULL and err: nothing that
 * could be an undo. @state: of the file. Believed of the note is only what
 * the images that it names bear out. */
struct undo *undo_read(const char *path, enum keep_state *state,
		       struct err *err);
/* Graph begun; pauses it. What is noted at the clones of the files that are
 * open, and is not known yet, is known from here on. */
void undo_adopt(struct engine *e);
/* What is known to be kept of the file, by its full path; or NULL. Begun. */
struct undo *undo_of_file(struct engine *e, const char *path);
/* The node that base is, or NULL. Graph held. */
struct node *undo_base(struct engine *e, const struct undo *u);

/* By the id of the job; or NULL, ERR_DEVICE_NOT_FOUND. Begun. */
struct undo *undo_named(struct engine *e, const char *id, struct err *err);
/* What is to be known before an undo: what is kept, and (unless @force) who
 * else lies on base. Graph not held. */
void undo_look(struct engine *e, const char *id, bool force,
	       struct siblings *s);
/* May it be undone, and with what? @above: what lies on base now; *top: the
 * images that come between are open again, a reference to the highest, or NULL:
 * they are there. Begun; nothing has changed. */
int undo_prepare(struct engine *e, const struct undo *u, bool force,
		 const struct siblings *s, struct node **base,
		 struct node **above, struct node **top, struct err *err);
/* That the clone, or base, alone holds on the disk, as far as that can be told.
 * Graph paused. */
uint64_t undo_file_bytes(const char *path);

#endif
