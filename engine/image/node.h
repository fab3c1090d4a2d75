/* node.h - one image: what its driver, the chain that it is in and those who
 * use it know of it.
 *
 * It is opened and closed by node_open.h, and every request enters by
 * node_io.h. Which image lies below is the node's to know, not the driver's.
 */
#ifndef BLKMON_NODE_H
#define BLKMON_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/event/event.h"
#include "engine/image/driver.h"
#include "engine/image/range.h"
#include "engine/util/list.h"

#define NODE_NAME_MAX 32	/* with the NUL */

struct claim;
struct graph;
struct index;

/* What is said of an image below another. */
struct below_options {
	const char *node_name;		/* NULL: generated */
	const char *data_file;		/* NULL: none in particular */
};

struct node_options {
	const char *path;
	const char *format;		/* NULL: probe (said in node->probed) */
	const char *node_name;		/* NULL: #blockNNN */
	const struct below_options *below; /* from the top down */
	size_t below_count;
	const char *backing_format;	/* for a link without a format; NULL */
	const char *data_file;		/* the operator's external data file */
	bool data_file_offered;		/* taken if the image asks for one */
	const char *const *data_files;	/* of a chain: each is taken by the */
	size_t data_file_count;		/* next image that asks for one */
	bool data_files_shared;		/* another chain takes of them as well;
					   chain_check_data_files() */
	struct graph *data_beside;	/* where that is open already: who is in
					   both takes the same; or NULL */
	bool read_only;
	bool probe_backing;		/* --probe: links without a format */
	bool no_backing;		/* open this image alone */
	bool allow_missing;		/* a backing file that is not there: the
					   rest opens, read-only; see graph.h */
	bool no_lock;			/* look beside a running user */
	uint64_t metadata_max;		/* bytes of tables that a chain may
					   keep in memory; 0: 64 MiB */
	enum file_cache cache;
};

/* How much each kind of request did; also for queries. */
struct node_stats {
	_Atomic uint64_t rd_bytes, wr_bytes, unmap_bytes;
	_Atomic uint64_t rd_ops, wr_ops, unmap_ops, flush_ops;
	_Atomic uint64_t rd_ns, wr_ns, unmap_ns, flush_ns;
	_Atomic uint64_t rd_failed, wr_failed, unmap_failed, flush_failed;
	/* refused before the host was asked: beyond the end, read-only... */
	_Atomic uint64_t rd_invalid, wr_invalid, unmap_invalid, flush_invalid;
	_Atomic uint64_t last_ns;	/* when the last one ended; 0: none */
};

enum node_request { NODE_RD, NODE_WR, NODE_UNMAP, NODE_FLUSH };

/* Counts one request that began at clock_ns() @began and ended with @rc: an
 * error is the host's, whatever that calls it. */
void node_stats_add(struct node_stats *stats, enum node_request what,
		    uint64_t len, uint64_t began, int rc);
/* Counts one that was refused. */
void node_stats_refuse(struct node_stats *stats, enum node_request what);

struct node {
	/* constant from open to close */
	char name[NODE_NAME_MAX];
	const struct driver *drv;
	struct graph *graph;
	struct file *file;		/* owned */
	uint32_t cluster;		/* granularity of mapping, power of 2 */
	uint32_t piece;			/* what can be a hole by itself: the
					   cluster, or less */
	bool probed;			/* the format was guessed */
	struct file *data;		/* the driver's: what has its data, if
					   that is another file; or NULL */
	const char *protocol;		/* "file": shown instead of "raw" */
	uint64_t metadata;		/* bytes of tables always in memory */
	void *opaque;			/* the driver's */
	/* Publishes what the operator is to hear of the image; NULL: nobody
	 * listens. Set while it is in a graph. */
	void (*tell)(struct node *node, const struct event *ev);

	/* graph lock: read to look, write to change */
	struct node *backing;		/* counted reference, or NULL */
	const char *backing_name;	/* the driver's: as in the header, */
	const char *backing_format;	/* or NULL */
	_Atomic bool read_only;
	const struct claim *claim;	/* of the job that uses it, or NULL */
	char filter[NODE_NAME_MAX];	/* another name of it while that job
					   runs, or ""; graph_name_filter() */
	const char *filter_driver;
	unsigned refs;			/* overlays, drives, jobs, monitor */
	unsigned overlays;		/* of which it is `backing`, those that
					   are being opened too */
	bool monitor;			/* opened by name, deleted by name */
	bool monitor_writable;		/* and meant to be written */
	bool file_read_only;		/* its file is not to be written,
					   whoever wants to */
	bool no_discard;		/* a guest's discards change nothing: */
	bool file_no_discard;		/* said of the image, or of its file */
	bool look_first;		/* before it is written: who else reads
					   from it (siblings.h) */
	bool forced;			/* never look: the operator's word */
	bool left;			/* what it holds a job put elsewhere */
	char *merged_into;		/* there: a path; NULL: not down */
	unsigned writable_count;	/* so often it was made writable */
	bool announced;			/* not in the graph yet; graph.h */
	uint64_t born;			/* the order of nodes */
	bool to_hide;			/* a backing file is about to come
					   below */
	struct list link;		/* in graph->nodes */

	_Atomic uint64_t size;		/* bytes of the guest's disk */
	struct range range;		/* lock order 2 */
	struct lock meta;		/* lock order 3: driver's metadata */
	struct node_stats stats;
	struct index *index;		/* merged map of this and all below */
	_Atomic uint64_t write_threshold; /* byte of the guest's disk, 0 off */
};

/* Does a hole in this layer hide something, or will it when the image is
 * opened as its header says, or is about to say? Where not, a hole is as good
 * as zeroes. Graph held. */
static inline bool node_hides(const struct node *node)
{
	return node->backing || node->backing_name || node->to_hide;
}

/* The file that the data of @node are in. Graph held. */
static inline struct file *node_data_file(const struct node *node)
{
	return node->data ? node->data : node->file;
}

/* Says @ev of @node to whoever it has for that; fills in ev->node. Any thread,
 * any lock but a leaf may be held; does not wait. */
void node_tell(struct node *node, struct event *ev);

/* One run of this layer alone, @off < size; cut at @len and at the size. Graph
 * held for reading. 0 or -errno. */
int node_map(struct node *node, uint64_t off, uint64_t len, struct run *run);

#endif
