/* sibling.h - an image that is not open and what it leads to; for siblings*.c
 * and forest.h.
 */
#ifndef BLKMON_SIBLING_H
#define BLKMON_SIBLING_H

#include <sys/stat.h>

#include "engine/chain/peek.h"
#include "engine/chain/siblings.h"

/* What file_is_same() compares. */
struct sibling_id {
	dev_t dev;
	ino_t ino;
	bool block_device;
};

struct sibling_layer {
	struct sibling_id id;
	char *path;
};

/* One link: an image that names another file. */
struct sibling {
	struct sibling_id self, to;	/* to.ino 0 and no device: nowhere */
	struct timespec changed;	/* self */
	char *path;
	char *below;			/* of `to`; NULL: it is a layer */
	const struct sibling_layer *layer; /* the first on the way down */
	bool data;			/* `to` has its data */
	bool direct;			/* `to` is the layer */
	bool lost;			/* leads nowhere by this name of it */
	bool walked;			/* `layer` is known */
	bool again;			/* another name stands for it */
};

struct sibling_id sibling_id_at(const struct stat *st);
int sibling_compare(const struct sibling_id *x, const struct sibling_id *y);

/* After the last one was noted. False: no memory. */
bool siblings_sort(struct siblings *s);
/* The layer that this file is, or NULL; in order. */
const struct sibling_layer *sibling_layer_of(const struct siblings *s,
					     const struct sibling_id *id);

/* What the header at @path says, and what it is; nothing, and false, if it
 * can't be opened. */
bool sibling_peek(const char *path, struct stat *st, struct peek *out);

#endif
