/* forest.h - the images of some folders, open or not, and how they lie on each
 * other: by their headers alone.
 *
 * An image is listed that has a magic number, or that another one names, or
 * that was asked for. Where a link leads out of the folders it is followed
 * there, image by image. Nothing is locked and no image is opened; who has
 * them open is not known here. Not thread-safe.
 */
#ifndef BLKMON_FOREST_H
#define BLKMON_FOREST_H

#include "engine/chain/graph.h"
#include "engine/chain/sibling.h"

#define FOREST_NONE SIZE_MAX

/* From an image to another file. */
struct forest_link {
	char *words;		/* as in the header; NULL: there is no link */
	char *path;		/* where that leads, or, if nothing is there,
				   where it was looked for first; NULL: not to
				   a local file */
	size_t to;		/* the file, in forest->image; FOREST_NONE */
	struct sibling_id id;	/* of it, if there is one */
	bool found;
};

struct forest_image {
	struct sibling_id self;
	char *path;		/* as the folder was named, and the entry */
	const char *format;	/* by its magic number, else "raw"; NULL: it
				   could not be read */
	bool link;		/* the name is a symbolic link */
	bool again;		/* another name of one before it */
	bool outside;		/* in none of the folders */
	struct stat st;
	uint64_t size;		/* bytes of the guest's disk; 0: unknown */
	uint32_t snapshots;	/* inside */
	struct forest_link backing, data;
	bool external;		/* its data is in another file, named or not */
	size_t overlays;	/* so many images name it */
};

struct forest {
	struct forest_image *image;
	size_t count, cap;
	/* What a link is to lead to rather than to something else that it may
	 * stand for; borrowed. */
	const struct sibling_id *wanted;
	size_t wanted_count;
	bool raw_names;		/* also what is called *.raw or *.img and may
				   be a disk */
	/* Who makes an image says what lies below it last. ns since 1970; 0:
	 * nobody wants to know. */
	uint64_t young_after;
	char *young;		/* an image that is not wanted, or an empty
				   file, that was made since; NULL: none */
	uint64_t files, files_max;	/* looked at; 0: SIBLINGS_FILES_MAX */
	uint64_t unread;	/* files that we may not read ... */
	char *first_unread;	/* ... one of them; NULL */
	char *closed;		/* the first folder that can't be read; NULL */
	bool cut;		/* not all of it */
	/* Told of each folder that is looked through, before it is, "" the
	 * working directory; may be NULL. */
	void (*enters)(void *arg, const char *folder);
	void *arg;
};

#define FOREST_INIT { 0 }

void forest_release(struct forest *f);

/* All images of the folders that have one of these @n files ("DIR/": of that
 * folder), with the files themselves where there are such, in the order of
 * their paths. Graph not held. */
void forest_look(struct forest *f, struct graph *g, const char *const *files,
		 size_t n);

/* The first (not `again`) of that file, or FOREST_NONE. */
size_t forest_find(const struct forest *f, const struct sibling_id *id);

#endif
