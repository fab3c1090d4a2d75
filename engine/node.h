/* node.h - one image of the graph, and the front door to it.
 *
 * Every request on an image enters here: it is checked once, takes its range,
 * is counted, and is cut into runs. Callers hold the graph for reading
 * (graph.h); guest requests come through drive.h, which takes it.
 *
 * A request beyond the end of an image reads zeroes and must not write.
 */
#ifndef BLKMON_NODE_H
#define BLKMON_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/driver.h"
#include "engine/range.h"
#include "engine/util/list.h"

#define NODE_NAME_MAX 32	/* with the NUL */

struct graph;
struct index;
struct job;

struct node_options {
	const char *path;
	const char *format;		/* NULL: probe (said in node->probed) */
	const char *node_name;		/* NULL: #blockNNN */
	const char *const *below_names;	/* node names of the images below, */
	size_t below_count;		/* from the top down; NULL: generated */
	const char *backing_format;	/* for a link without a format; NULL */
	const char *data_file;		/* the operator's external data file */
	bool read_only;
	bool probe_backing;		/* --probe: links without a format */
	bool no_backing;		/* open this image alone */
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
	/* refused: beyond the end, read-only... */
	_Atomic uint64_t rd_invalid, wr_invalid, unmap_invalid, flush_invalid;
	_Atomic uint64_t last_ns;	/* when the last one ended; 0: none */
};

enum node_request { NODE_RD, NODE_WR, NODE_UNMAP, NODE_FLUSH };

/* Counts one request that began at clock_ns() @began and ended with @rc. */
void node_stats_add(struct node_stats *stats, enum node_request what,
		    uint64_t len, uint64_t began, int rc);

struct node {
	/* constant from open to close */
	char name[NODE_NAME_MAX];
	const struct driver *drv;
	struct graph *graph;
	struct file *file;		/* owned */
	uint32_t cluster;		/* granularity of mapping, power of 2 */
	bool probed;			/* the format was guessed */
	const char *protocol;		/* "file": shown instead of "raw" */
	uint64_t metadata;		/* bytes of tables always in memory */
	void *opaque;			/* the driver's */

	/* graph lock: read to look, write to change */
	struct node *backing;		/* counted reference, or NULL */
	char *backing_name;		/* as in the header, or NULL */
	char *backing_format;		/* as in the header, or NULL */
	bool read_only;
	const struct job *job;		/* the job that uses it, or NULL */
	unsigned refs;			/* overlays, drives, jobs, monitor */
	bool monitor;			/* opened by name, deleted by name */
	bool monitor_writable;		/* and meant to be written */
	struct list link;		/* in graph->nodes */

	_Atomic uint64_t size;		/* bytes of the guest's disk */
	struct range range;		/* lock order 2 */
	struct lock meta;		/* lock order 3: driver's metadata */
	struct node_stats stats;
	struct index *index;		/* merged map of this and all below */
	_Atomic uint64_t write_threshold; /* byte of the guest's disk, 0 off */
};

/* "Invalid node-name: '1a'"; NULL is no name, and well. */
int node_check_name(const char *name, struct err *err);

/* Opens one image (not its backing file) and enters it into no graph. */
int node_open(struct node **out, const struct node_options *o,
	      struct err *err);
/* The same on a file that is open (o->path is not looked at); takes it, also
 * when it fails. */
int node_open_file(struct node **out, struct file *file,
		   const struct node_options *o, struct err *err);
/* Flushes a writable image, closes it. Never with requests in flight. */
void node_close(struct node *node);

/* Closes all but its file, which the caller gets. */
struct file *node_detach(struct node *node);

/* Between read-only and read-write, on disk and in the locks. No-op if so
 * already. Graph write-held. */
int node_set_writable(struct node *node, bool writable, struct err *err);

/* --- requests; graph held for reading by the caller; 0 or -errno --- */

/* What a guest sees of the disk whose active layer is @node. */
int node_read(struct node *node, uint64_t off, uint64_t len, void *buf);
int node_write(struct node *node, uint64_t off, uint64_t len,
	       const void *buf);
int node_zero(struct node *node, uint64_t off, uint64_t len, bool unmap);
int node_discard(struct node *node, uint64_t off, uint64_t len);
int node_flush(struct node *node);

/* A write of whatever kind reached up to byte @end of the guest's disk: tells
 * of it, once, if that is beyond the threshold. */
void node_wrote(struct node *node, uint64_t end);

/* One run of this layer alone, @off < size; cut at @len and at the size. */
int node_map(struct node *node, uint64_t off, uint64_t len, struct run *run);

/* The same for a caller who holds the node's range already (shared is enough
 * to read, exclusive and aligned to node->cluster to write). Ranges of the
 * images below are taken as needed. */
int node_read_held(struct node *node, uint64_t off, uint64_t len, void *buf);
int node_write_held(struct node *node, uint64_t off, uint64_t len,
		    const void *buf);
int node_zero_held(struct node *node, uint64_t off, uint64_t len, bool unmap);
/* Reads bytes that map() put into this layer (any kind but RUN_HOLE). */
int node_read_run(struct node *node, const struct run *run, uint64_t off,
		  uint64_t len, void *buf);
/* Fills head and tail of a write_op with the old content. */
int node_fill_edges(struct node *node, const struct write_op *op);

#endif
