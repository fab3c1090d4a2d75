/* driver.h - what an image format can do. One table per format.
 *
 * Drivers trust their callers: the front door (node.c) has checked that a
 * request lies inside the image, keeps the graph as it is (graph.h) and holds
 * the range of the request, and has cut it where that matters. A driver guards
 * its own metadata with node.meta (lock order 3) and moves no guest data, but
 * for compressed clusters: it says where data lies (map) and where it has to
 * go (write_begin / write_end), and the callers move it, outside the lock.
 */
#ifndef BLKMON_DRIVER_H
#define BLKMON_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/file/file.h"
#include "engine/util/err.h"
#include "engine/util/str.h"

struct node;
struct node_options;
struct image_info;
struct check_options;
struct check_report;

enum run_kind {
	RUN_HOLE,	/* not in this layer: ask the backing file; none: 0 */
	RUN_ZERO,	/* reads as zeroes, hides the backing file */
	RUN_DATA,	/* at file:host, as it is */
	RUN_COMPRESSED,	/* one cluster or a part of it, via read_compressed */
};

/* The same answer for bytes [off, off + len) of the guest's disk. */
struct run {
	enum run_kind kind;
	bool shared;		/* DATA: refcount > 1, a write allocates */
	uint64_t off, len;
	struct file *file;	/* DATA: the file ... (places(): also what is
				   kept for ZERO and HOLE, or NULL) */
	uint64_t host;		/* ... and the offset in it of byte `off` */
	uint64_t cookie;	/* COMPRESSED: the driver's */
};

/* One write into one contiguous piece of the host file.
 *
 *   write_begin() -> the caller fills [off - head, off + len + tail) at
 *   host - head (head and tail with the old content of the node, which it
 *   reads through the front door), any way it likes -> write_end().
 *
 * Between the two the caller holds the exclusive range of all of it, aligned
 * to node->cluster, unless `in_place`. Nothing of it is visible before
 * write_end(). */
struct write_op {
	uint64_t off, len;	/* of the guest's disk; len > 0 */
	uint64_t head, tail;	/* bytes in front and behind to be filled up */
	struct file *file;
	uint64_t host;		/* of byte `off` */
	bool in_place;		/* overwrites what is there, no metadata */
	uint32_t clusters;	/* driver's: new clusters from host - head on */
	uint64_t table;		/* WRITE_DRY: which table has to be made to
				   name them, from 1; 0 none */
};

/* An internal snapshot to be taken. */
struct snapshot_wish {
	const char *name;
	uint64_t wall_us, vm_clock_ns;
	bool dry;		/* only what would be refused; what waits to
				   be written is, nothing changes */
};

#define WRITE_IN_PLACE 1u	/* begin: -EAGAIN rather than allocate */
#define WRITE_DRY 2u		/* begin: says what it would do and changes
				   nothing; no range need be held, the image
				   may be read-only and shorter, there is no
				   write_end(); of a new place `host` holds
				   the offset in a cluster alone */

struct driver {
	const char *name;	/* "qcow2", "raw" */
	bool has_backing;

	/* Reads the header of node->file, checks all of it, fills node->size,
	 * node->cluster, node->backing_name, node->backing_format and
	 * node->opaque. Changes nothing on disk. */
	int (*open)(struct node *node, const struct node_options *o,
		    struct err *err);
	/* Frees node->opaque. Was flushed before if it was writable. */
	void (*close)(struct node *node);
	/* Would make_writable() refuse it for what is known of it now? Looks
	 * only. NULL: never. */
	int (*check_writable)(struct node *node, struct err *err);
	/* node->file has become writable, and check_writable() was asked:
	 * whatever must be durable before the first change (repair after a
	 * crash, autoclear bits). */
	int (*make_writable)(struct node *node, struct err *err);

	/* Fills *run for the longest run that starts at @off and is at most
	 * @len bytes long; off + len <= node->size. 0 or -errno. */
	int (*map)(struct node *node, uint64_t off, uint64_t len,
		   struct run *run);
	/* As map(), and the run ends where the place on the host does that is
	 * kept for zeroes and holes. */
	int (*places)(struct node *node, uint64_t off, uint64_t len,
		      struct run *run);
	/* Is much less of the file on the disk than the image has in use, so
	 * that what maps as data may be holes of the file (preallocation of
	 * metadata)? A guess, made once. NULL: data are data. */
	bool (*hollow)(struct node *node);
	/* @len bytes from @off, inside one RUN_COMPRESSED of map(). */
	int (*read_compressed)(struct node *node, const struct run *run,
			       uint64_t off, void *buf, size_t len);
	/* Prepares a write of a prefix (at least one byte, at most what is
	 * contiguous on the host) of [off, off + len). 0 or -errno. */
	int (*write_begin)(struct node *node, uint64_t off, uint64_t len,
			   unsigned flags, struct write_op *op);
	/* @rc is how the moving of data ended: on 0 links it, else takes it
	 * back. Returns @rc, or its own -errno. */
	int (*write_end)(struct node *node, struct write_op *op, int rc);
	/* Makes [off, off + len), aligned to node->cluster (or ending at
	 * node->size), read as zeroes without writing data; frees what it
	 * held if @unmap. -EOPNOTSUPP: the caller writes zeroes. Exclusive
	 * range held. */
	int (*zero)(struct node *node, uint64_t off, uint64_t len, bool unmap);

	/* Does zero() on whole clusters never need to write data? NULL: it
	 * can't be told. */
	bool (*zeroes_fast)(const struct node *node);

	/* All that was written and linked is durable, in the order that
	 * survives a power cut, when this returns 0. Concurrent calls share
	 * the work. */
	int (*flush)(struct node *node);
	/* Like flush, and leaves nothing to be written later: before the image
	 * is closed or made read-only. No request in flight. */
	int (*settle)(struct node *node);
	/* Would a disk of @size bytes, > node->size, be refused for what is
	 * known of the image? Looks only. */
	int (*check_grow)(struct node *node, uint64_t size, struct err *err);
	/* check_grow() was asked. Makes room in the tables for a disk of
	 * @size bytes, a multiple of a sector and > node->size, of which
	 * nothing shows. Graph write-held, no request under way. 0, or -1 and
	 * err. */
	int (*grow_begin)(struct node *node, uint64_t size, struct err *err);
	/* After it: what was written is durable, and then the disk has @size
	 * bytes, durably; node->size is the caller's. */
	int (*grow)(struct node *node, uint64_t size, struct err *err);
	/* Writes another backing file into the header (NULL: none), in one
	 * sector and with flushes around it: durable, or as it was. Also sets
	 * node->backing_name and backing_format, as open() does: the strings
	 * are the driver's. The words may be those. */
	int (*set_backing)(struct node *node, const char *name,
			   const char *format, struct err *err);
	/* Would set_backing() with these words fit the header? */
	int (*check_backing)(struct node *node, const char *name,
			     const char *format, struct err *err);
	/* Lets go of every cluster: all of the disk becomes RUN_HOLE; durable.
	 * NULL where the format can't. Exclusive range of all held. */
	int (*empty)(struct node *node);
	/* What the host would get back by that, of all its files. Nothing
	 * held; reads tables. 0 or -errno. NULL: with empty. */
	int (*given)(struct node *node, uint64_t *bytes);
	/* Cuts off the end of the file that is of no use any more, but never
	 * to less than @least bytes; best effort. No request in flight. NULL
	 * where there is none. */
	void (*cut)(struct node *node, uint64_t least);
	/* An internal snapshot of the disk as it is; the next free id. NULL
	 * where the format has none. Durable. No request of a guest or a job
	 * under way, but info() and map() may be asked. */
	int (*snapshot_create)(struct node *node,
			       const struct snapshot_wish *wish,
			       struct err *err);
	int (*snapshot_delete)(struct node *node, const char *id,
			       struct err *err);
	/* *need: what the file takes more of its host when @clusters (data
	 * and tables) are allocated in an image that is made @size bytes long.
	 * May read tables. 0 or -errno. NULL: clusters have no place of their
	 * own. */
	int (*growth)(struct node *node, uint64_t size, uint64_t clusters,
		      struct file_need *need);
	/* How many internal snapshots the image has; adds the names of the
	 * first few, quoted, to @names (may be NULL). -1 and err if they can't
	 * be read. NULL where the format has none. Graph held. */
	int (*snapshots)(struct node *node, struct str *names,
			 struct err *err);
	/* Compares what the tables in @file say with each other, and mends it
	 * where o->fix asks for that (check.h); NULL where the format has
	 * nothing to compare. Of a file alone, so that images which cannot be
	 * opened can be checked. Nobody else writes to it meanwhile; it is
	 * writable if it is to be mended. After a power cut at any point of
	 * the mending the disk reads as before. 0; -1 and err if that came to
	 * no end; then *out is what was found so far. */
	int (*check)(struct file *file, const struct check_options *o,
		     struct check_report *out, struct err *err);
	/* The format's part of *info. */
	void (*info)(struct node *node, struct image_info *info);
};

extern const struct driver driver_raw;	/* raw.c */
extern const struct driver driver_missing; /* missing.c; has no name to be
					      opened by */

#endif
