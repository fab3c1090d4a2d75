/* node_open.h - the life of a node: open, close, read-only and back. */
#ifndef BLKMON_NODE_OPEN_H
#define BLKMON_NODE_OPEN_H

#include "engine/image/node.h"

/* "Invalid node-name: '1a'"; NULL is no name, and well. */
int node_check_name(const char *name, struct err *err);

/* Opens one image (not its backing file) and enters it into no graph. */
int node_open(struct node **out, const struct node_options *o,
	      struct err *err);
/* The same on a file that is open (o->path is not looked at); takes it, also
 * when it fails. */
int node_open_file(struct node **out, struct file *file,
		   const struct node_options *o, struct err *err);
/* Stands for the image @path, which is not there, below one of @size bytes; see
 * graph_check_whole(). */
int node_open_missing(struct node **out, const char *path, uint64_t size,
		      struct err *err);
/* What waits in memory goes to the disk, of an image that may be written: it
 * can be closed then. 0 or -errno. No request in flight. */
int node_settle(struct node *node);
/* Does that, and closes it. Never with requests in flight. */
void node_close(struct node *node);

/* Closes all but its file, which the caller gets; it was settled. */
struct file *node_detach(struct node *node);

/* Between read-only and read-write, on disk and in the locks. No-op if so
 * already. Graph write-held; holds the gates above the image. */
int node_set_writable(struct node *node, bool writable, struct err *err);
/* Would it be refused to make @node writable? Changes nothing; the same words.
 * Graph held. */
int node_check_writable(struct node *node, struct err *err);

#endif
