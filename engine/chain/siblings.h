/* siblings.h - overlays that nobody has open, found before a layer is written.
 *
 * A layer that changes takes along whatever reads from it. Who is open is
 * known (graph_check_exclusive()); who is not lies in a folder, mostly in the
 * one of the layer. So before the first write the folders of a chain's files
 * are looked through for images whose headers lead to one of them: as backing
 * file, over other images as well, or as external data file.
 *
 * That takes system calls, and the graph is not held meanwhile: what is asked
 * for is noted first (graph read-held), then looked for, and asked again under
 * the lock of the change. With nothing noted nobody is found: that is how an
 * operator's force works. Not thread-safe.
 */
#ifndef BLKMON_SIBLINGS_H
#define BLKMON_SIBLINGS_H

#include "engine/chain/graph.h"

/* A look ends there, at the latest, and that is told. */
#define SIBLINGS_FILES_MAX 100000	/* entries of folders, and images that
					   are elsewhere */
#define SIBLINGS_MS_MAX 2000

struct sibling;
struct sibling_layer;

struct siblings {
	struct sibling_layer *layer;	/* what to look for and beside */
	const struct sibling_layer **by_id; /* the same in another order */
	size_t layers, layers_cap;
	struct sibling *found;
	size_t count, count_cap;
	uint64_t files, files_max;	/* looked at; 0: SIBLINGS_FILES_MAX */
	bool cut;			/* not all of them */
	int lost;			/* nor were they for want of this, an
					   errno: nobody may write then */
	uint64_t ms_max;		/* of the look; 0: SIBLINGS_MS_MAX */
	bool again;			/* what can't be read was told before */
	bool external;			/* what siblings_note_path() was given
					   has its data in another file */
};

#define SIBLINGS_INIT { 0 }

void siblings_release(struct siblings *s);

/* The files from @top down. Graph read-held. */
void siblings_note(struct siblings *s, const struct node *top);
/* That of @node alone, and of its data. The same. */
void siblings_note_one(struct siblings *s, const struct node *node);
/* The file of that name, which may be there or not, and those that the headers
 * below lead to. Graph not held. */
void siblings_note_path(struct siblings *s, const char *path);
/* That file alone. */
void siblings_note_file(struct siblings *s, const char *path);
/* Looks through all folders that have one of them. What was cut short is
 * published. Graph not held. */
void siblings_look(struct siblings *s, struct graph *g);

/* Graph begun. Refuses to write to @node if somebody was found who reads from
 * it and is not open here above it; or if it was looked for others but not for
 * it, which came only now. ERR_GENERIC, names both. @what begins the sentence:
 * "a commit". */
int siblings_check(const struct siblings *s, const struct node *node,
		   const char *what, struct err *err);
/* The same for each image from @base up to, not including, @top. */
int siblings_check_range(const struct siblings *s, struct node *top,
			 struct node *base, const char *what,
			 struct err *err);
/* The same for the file that @path leads to, if there is one. */
int siblings_check_path(const struct siblings *s, struct graph *g,
			const char *path, const char *what, struct err *err);

/* Graph begun. Who reads an image by headers alone, an image that is not open
 * or a snapshot inside of one, sees the same before and after a job as long as
 * they say what is open. So where one from @from down to, not including, @stop
 * (NULL: to the end) does not, or @words, which are about to come into that of
 * @from, do not lead to @stop (NULL: there are none): refuses if there is
 * somebody who reads @from. ERR_GENERIC; @what as in siblings_check(). That
 * nobody was looked for is an error, then. */
int siblings_check_headers(const struct siblings *s, struct node *from,
			   const struct node *stop, const char *words,
			   const char *what, struct err *err);

/* Is @node one of those whose readers are asked for there: @from, or above it
 * as headers say? Graph held. */
bool siblings_read_otherwise(const struct node *node, const struct node *from,
			     const struct node *stop, const char *words);

/* Graph begun. Whoever was found is spoilt by a change of what it reads: of an
 * image from @base up to, not including, @top. */
void siblings_spoil(const struct siblings *s, struct node *top,
		    struct node *base);
/* The same by a change of @node alone. */
void siblings_spoil_one(const struct siblings *s, const struct node *node);

/* Graph begun. Of a look behind the change by @who: a notice names who was
 * found that reads from @node and was not spoilt before, for it was not there
 * when it could have been refused. All of them are spoilt. */
void siblings_tell_late(const struct siblings *s, const struct node *node,
			const char *who);

/* Graph begun. Who was found that reads from @node and is not open here above
 * it: the name of the first from number *@at on, which is moved behind it; or
 * NULL. */
const char *siblings_next(const struct siblings *s, const struct node *node,
			  size_t *at);

#endif
