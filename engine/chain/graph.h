/* graph.h - all open images, who is whose backing file, who is busy.
 *
 * Who changes the graph goes through graph_begin() and graph_end(): one at a
 * time (`control`), and with the reader/writer lock write-held for as long as
 * somebody might see half of it. What takes time and shows nothing half-done,
 * opening and closing above all, happens in between without that lock, after
 * graph_pause(): nobody else changes the graph meanwhile, but all may look.
 *
 * Guests' requests take neither: they come through gates (gate.h), and whoever
 * changes what they see has to hold those first, graph_hold(). What guests
 * may see of a node is what lies below it and how that is written (backing,
 * backing_name, no_discard, size, the driver's tables), of a drive its node,
 * its tap and whether it is read-only.
 *
 * Lock order: 0 control; 1 the graph's lock (writer preferred); a range of a
 * node (range.h) 2; node.meta 3; leaves. A gate's place is taken before any
 * lock and kept while ranges are taken; who waits at graph_hold() has 0 and 1,
 * so a request that is under way takes neither of these. vm.h and nbd_impl.h
 * have locks that come before all of them.
 */
#ifndef BLKMON_GRAPH_H
#define BLKMON_GRAPH_H

#include "engine/chain/gate.h"
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

/* Files of which something is to be known as long as they are as they were
 * then. Of more than these the oldest are forgotten. */
#define GRAPH_LEFT_MAX 1024
struct left {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
};

struct lefts {
	struct left *file;	/* GRAPH_LEFT_MAX; NULL: none */
	size_t count;		/* so many were there */
};

struct graph {
	struct lock control;	/* order 0 */
	bool changing;		/* control: somebody has begun ... */
	bool paused;		/* ... and has let go of the lock */
	struct list opening;	/* control: struct node, not in `nodes` yet */
	struct list closing;	/* control: struct node, no longer there */

	struct rwlock lock;	/* order 1; read to look; for changes write,
				   and control before that. So who has control
				   may look without it */
	struct list nodes;	/* struct node, newest first */
	struct list gates;	/* struct gate */
	struct list roots;	/* struct root, oldest first */
	unsigned next_node;	/* for #blockNNN */
	uint64_t births;	/* control: of nodes */
	_Atomic uint64_t shape;	/* counts changes of what is seen; index.h */
	struct event_ring *events;	/* where images and drives tell of
					   trouble; NULL: nowhere. Constant */
	struct lefts left;	/* control: a job left them behind, and what
				   they hold is held by others now */
	struct lefts spoilt;	/* control: not open, and what they read from
				   below was changed by force */
	struct peek_cache *peeked;	/* siblings.h; has a lock of its own */
	struct vm *vm;	/* who uses the drives; constant. NULL: nobody
				   that could be stopped */
};

void graph_init(struct graph *g);
void graph_release(struct graph *g);	/* everything was closed before */

/* Control and the lock, for writing. */
void graph_begin(struct graph *g);
/* Lets go of the lock, and takes it again; the graph stays as it is. */
void graph_pause(struct graph *g);
void graph_resume(struct graph *g);
/* Lets go of the lock if it is held; opens the gates; closes the images that
 * nobody refers to any more, and tells if that failed; then somebody else may
 * begin. So after it their files can be opened again. */
void graph_end(struct graph *g);
/* The closing alone, with a pause for it. */
void graph_close_gone(struct graph *g);

/* A graph that one thread alone knows needs no begin and end: what is said of
 * them below then happens at once. */

/* Holds until graph_end() the gates of all chains that have @node in them:
 * waits until no guest's request is under way there. Begun. */
void graph_hold(struct node *node);
void graph_hold_all(struct graph *g);
/* The same of one of them. */
void graph_hold_gate(struct graph *g, struct gate *gate);

/* All below: graph write-held, begun, unless it says read. */

/* A new gate in front of the chain of *@node. */
void graph_add_gate(struct graph *g, struct gate *gate,
		    struct node *const *node);
void graph_remove_gate(struct gate *gate);	/* nobody is at it */

/* Enters an opened node with one reference; names it if it has no name.
 * Duplicate name: -1, "Duplicate nodes with node-name='x'". */
int graph_add(struct graph *g, struct node *node, struct err *err);
/* The same in two steps: with the first one it has its name, and is found by
 * its file, but by nobody who looks for a name; its place among the nodes is
 * that of this moment. Before the second it may be let go of with graph_put().
 * The first needs no lock. */
int graph_announce(struct graph *g, struct node *node, struct err *err);
void graph_enter(struct node *node);
/* Takes out again what has only just been added, and nothing refers to. */
void graph_leave(struct node *node);
struct node *graph_get(struct node *node);
/* Drops a reference; the last one unlinks (its backing file in turn), and
 * graph_end() closes it. No lock. */
void graph_put(struct node *node);
/* graph_end() closes a node that is in no graph. No lock. */
void graph_close(struct graph *g, struct node *node);

/* By its name, or that of a filter in front of it. */
struct node *graph_find(struct graph *g, const char *name);	  /* read */
/* Begun; also what is announced only (node->announced). No lock. */
struct node *graph_find_file(struct graph *g, const struct file *f);
/* The @n-th image (from 0) that has @node as its backing file, or NULL. */
struct node *graph_overlay(struct node *node, unsigned n);	  /* read */

/* By id; whose active layer @node is; whose chain has @node; or NULL. */
struct root *graph_root(struct graph *g, const char *id);	  /* read */
struct root *graph_root_of(const struct node *node);		  /* read */
struct root *graph_root_above(const struct node *node);		  /* read */
/* Who uses @node, in words: the root whose active layer it is, else one above
 * it: "drive 'disk0'", or "node 'n1'", its active layer, where it is anonymous.
 * Without any, the node itself. */
struct graph_user {
	char text[160];
};
struct graph_user graph_user_of(const struct node *node);	  /* read */

/* node->backing = @backing (takes a reference of its own; NULL none), puts
 * the old one, forgets merged maps. Holds the gates above. */
void graph_link(struct node *node, struct node *backing);
/* The same for a node that has none and that nobody uses yet. */
void graph_link_new(struct node *node, struct node *backing);

/* Forgets all merged maps: an image was changed in what it shows. */
void graph_forget_maps(struct graph *g);

/* A job has put what the images from @top down to, not including, @base (NULL:
 * all) hold elsewhere, and taken them out of its chain; the caller still holds
 * @top. @into: the image that they are part of now, which leaves a mark at
 * them (mark.h), or NULL. Once they are closed nobody is to miss what they
 * read from below, but for those that others use, and what is below these. */
void graph_leave_behind(struct node *top, struct node *base,
			const char *into);
/* Is the file @id one of them, not changed since @changed? */
bool graph_was_left(struct graph *g, const struct file *id,
		    const struct timespec *changed);	/* begun; no lock */

/* The same of files that are spoilt from now on. */
void graph_spoil(struct graph *g, const struct file *id,
		 const struct timespec *changed);
bool graph_is_spoilt(struct graph *g, const struct file *id,
		     const struct timespec *changed);	/* begun; no lock */

/* Marks every image from @top down to and including @bottom as used by @who.
 * If one is used already: marks none, ERR_DEVICE_IN_USE, `Node 'N' is busy:
 * block device is in use by block job: TYPE`, N the root's id if the image
 * is its active layer. */
int graph_claim(struct node *top, struct node *bottom, const struct claim *who,
		struct err *err);
void graph_unclaim(struct graph *g, const struct claim *who);
/* The job that uses @node wanted a filter in front of it, a node of @driver
 * and of the name @name, as QEMU has them: none is needed here, but till the
 * end of the claim it is listed, and the name leads to @node. */
void graph_name_filter(struct node *node, const char *driver,
		       const char *name);
/* The test alone. */
int graph_check_idle(const struct node *node, struct err *err);
/* In a chain that is incomplete (an image that is missing in it is open as the
 * driver "missing") nothing is written, nothing is claimed, and nothing comes
 * on top. "'X' is missing, the backing file of 'Y': ..." */
int graph_check_whole(const struct node *top, struct err *err);
/* Both. */
int graph_check_free(const struct node *node, struct err *err);

/* Refuses if writing into images [base, top) would show through to anybody
 * but the chain @top is in: an image from @base up to but not including @top
 * that has another overlay, or is a root's active layer. ERR_GENERIC, names
 * image and user. */
int graph_check_exclusive(struct node *top, struct node *base,
			  struct err *err);

#endif
