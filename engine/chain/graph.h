/* graph.h - all open images, who is whose backing file, who is busy.
 *
 * One reader/writer lock (order 1, the outermost, writer preferred) guards the
 * links. It is read-held for the time of one request and write-held to change
 * a link; so who has it for writing has drained every request.
 */
#ifndef BLKMON_GRAPH_H
#define BLKMON_GRAPH_H

#include "engine/image/node.h"
#include "engine/util/list.h"
#include "engine/util/thread.h"

struct event_ring;
struct peek_cache;
struct vm;

/* What holds a chain from above under a name of its own: a drive. */
struct root {
	char *id;		/* "": anonymous, of a node that was opened by
				   itself; never found */
	struct node *node;	/* counted; the active layer; NULL: none */
	struct list link;	/* graph->roots */
};

/* Who is at work on images: a job. Constant while it claims any. */
struct claim {
	const char *id;
	const char *type;	/* "stream", "commit" */
};

/* A file that a job left behind, as it was when it was closed. Of more than
 * these the oldest are asked about again like any other overlay. */
#define GRAPH_LEFT_MAX 1024
struct left {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
};

struct graph {
	struct rwlock lock;	/* order 1 */
	struct list nodes;	/* struct node, newest first */
	struct list roots;	/* struct root, oldest first */
	struct list gone;	/* struct root, removed, not freed yet */
	unsigned next_node;	/* for #blockNNN */
	_Atomic uint64_t shape;	/* counts changes of what is seen; index.h */
	struct event_ring *events;	/* where images and drives tell of
					   trouble; NULL: nowhere. Constant */
	struct left *left;	/* GRAPH_LEFT_MAX; what they hold is held by
				   others now. NULL: none */
	size_t left_count;	/* so many were there; the oldest are gone */
	struct peek_cache *peeked;	/* siblings.h; has a lock of its own */
	struct vm *vm;	/* who uses the drives; constant. NULL: nobody
				   that could be stopped */
};

void graph_init(struct graph *g);
void graph_release(struct graph *g);	/* everything was closed before */

/* All below: graph write-held, unless it says read. */

/* Enters an opened node with one reference; names it if it has no name.
 * Duplicate name: -1, "Duplicate nodes with node-name='x'". */
int graph_add(struct graph *g, struct node *node, struct err *err);
/* Takes out again what has only just been added, and nothing refers to. */
void graph_leave(struct node *node);
struct node *graph_get(struct node *node);
/* Drops a reference; the last one unlinks (its backing file in turn) and
 * closes it. */
void graph_put(struct node *node);

struct node *graph_find(struct graph *g, const char *name);	  /* read */
struct node *graph_find_file(struct graph *g, const struct file *f); /* read */
/* The @n-th image (from 0) that has @node as its backing file, or NULL. */
struct node *graph_overlay(struct node *node, unsigned n);	  /* read */

/* By id; whose active layer @node is; whose chain has @node; or NULL. */
struct root *graph_root(struct graph *g, const char *id);	  /* read */
struct root *graph_root_of(const struct node *node);		  /* read */
struct root *graph_root_above(const struct node *node);		  /* read */

/* node->backing = @backing (takes a reference of its own; NULL none), puts
 * the old one, forgets merged maps. */
void graph_link(struct node *node, struct node *backing);

/* Forgets all merged maps: an image was changed in what it shows. */
void graph_forget_maps(struct graph *g);

/* A job has put what the images from @top down to, not including, @base (NULL:
 * all) hold elsewhere, and taken them out of its chain; the caller still holds
 * @top. Once they are closed nobody is to miss what they read from below, but
 * for those that others use, and what is below these. */
void graph_leave_behind(struct node *top, struct node *base);
/* Is the file @id one of them, not changed since @changed? */
bool graph_was_left(struct graph *g, const struct file *id,
		    const struct timespec *changed);		  /* read */

/* Marks every image from @top down to and including @bottom as used by @who.
 * If one is used already: marks none, ERR_DEVICE_IN_USE, `Node 'N' is busy:
 * block device is in use by block job: TYPE`, N the root's id if the image
 * is its active layer. */
int graph_claim(struct node *top, struct node *bottom, const struct claim *who,
		struct err *err);
void graph_unclaim(struct graph *g, const struct claim *who);
/* The test alone. */
int graph_check_free(const struct node *node, struct err *err);

/* Refuses if writing into images [base, top) would show through to anybody
 * but the chain @top is in: an image from @base up to but not including @top
 * that has another overlay, or is a root's active layer. ERR_GENERIC, names
 * image and root. */
int graph_check_exclusive(struct node *top, struct node *base,
			  struct err *err);

#endif
