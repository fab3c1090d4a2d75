/* qcow2_image.h - an open qcow2 image: what its rooms share.
 *
 * All that stands under "meta" is guarded by node->meta. Changes are made in
 * memory and reach the disk in one order only, in qcow2_flush.c:
 *
 *   data, refcounts -> flush -> refcount table -> flush -> L2 tables -> flush
 *   -> L1 -> flush -> (what was let go may be used again)
 *
 * so that a power cut at any write leaves leaked clusters at worst.
 */
#ifndef BLKMON_QCOW2_IMAGE_H
#define BLKMON_QCOW2_IMAGE_H

#include <errno.h>
#include <stdatomic.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/list.h"
#include "engine/util/thread.h"

/* Table entries (spec "L1 table entry", "Standard Cluster Descriptor"). */
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_COPIED (1ull << 63)
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO 1ull
#define QCOW2_OFFSET_MAX (1ull << 56)

/* Inside the driver: the refcount table is full; qcow2_table_grow() and try
 * again. Never leaves the driver. */
#define QCOW2_TABLE_FULL (-EXFULL)

/* Metadata that may wait in memory before a write flushes it, in bytes. */
#define QCOW2_DIRTY_MAX (8u << 20)

enum unit_kind { UNIT_REFBLOCK, UNIT_L2, UNIT_KINDS };

/* A piece of a table in memory, big-endian as on disk. */
struct unit {
	uint64_t host;
	enum unit_kind kind;
	bool dirty;
	bool writing;		/* a flush has a copy that is not on disk */
	uint8_t *data;
	struct unit *next;	/* in its bucket */
	struct list lru;	/* most recently used first */
};

struct qcow2_cache {
	uint32_t unit;		/* bytes, power of 2, <= cluster */
	struct unit **bucket;
	size_t buckets, count, dirty;
	struct list lru;
};

#define QCOW2_PER_SECTOR 64u	/* entries of a table in 512 bytes */

/* A table that is wholly in memory (L1, refcount table). */
struct qcow2_table {
	uint64_t *entry;	/* host byte order */
	uint32_t count;
	uint64_t host;
	uint8_t *dirty;		/* a byte for each 64 entries (512 bytes) */
	bool any_dirty;
};

/* Clusters in a row. */
struct qcow2_extent {
	uint64_t first, count;	/* cluster numbers */
};

struct qcow2_extents {
	struct qcow2_extent *v;
	size_t count, cap;
};

/* The clusters that hold metadata: never handed out again, even if their
 * refcount says free (hazard H4). Open addressing; 0 is empty (cluster 0 is
 * the header, known without). */
struct qcow2_set {
	uint64_t *slot;
	size_t slots, used;
};

struct qcow2 {
	/* constant from open on */
	struct node *node;
	struct file *file;
	struct file *data;		/* where guest clusters lie */
	bool external;			/* data != file */
	unsigned cluster_bits;
	uint64_t cluster;		/* bytes */
	bool extended;			/* 16-byte entries with subclusters */
	uint64_t sub;			/* bytes of a subcluster (or cluster) */
	unsigned entry_bytes;		/* 8 or 16 */
	unsigned l2_bits;		/* log2 of entries in an L2 table */
	unsigned block_bits;		/* log2 of counts in a refcount block */

	/* meta */
	struct qcow2_header h;
	struct qcow2_cache cache;
	struct qcow2_table l1, rt;	/* rt: from load_refcounts on */
	struct qcow2_set set;		/* the same */
	struct qcow2_extents freed;	/* unlinked, not durably yet */
	uint64_t hint;			/* no free cluster below */

	_Atomic bool writable;
	uint64_t had;			/* bytes of the file before that */
	_Atomic bool untouched;		/* nothing was changed since open */
	_Atomic bool corrupt;		/* found broken: no more writes */
	_Atomic int hollow;		/* qcow2_measure.c: not known yet, no,
					   yes */

	struct lock shown;		/* leaf, kept over I/O: what h says of
					   internal snapshots, the table of
					   them, the dirty bit; against info()
					   beside who changes them */
	struct lock sync;		/* leaf; one flush at a time */
	struct cond synced;
	bool syncing;
	uint64_t sync_begun, sync_done;
	int sync_rc;
};

static inline struct qcow2 *qcow2_of(const struct node *node)
{
	return node->opaque;
}

/* The image contradicts itself: no more writes; -EIO. */
static inline int qcow2_broken(struct qcow2 *q)
{
	atomic_store(&q->corrupt, true);
	return -EIO;
}

/* --- qcow2_cache.c; meta held --- */

void qcow2_cache_init(struct qcow2_cache *c, uint64_t cluster);
void qcow2_cache_release(struct qcow2_cache *c);
/* The unit that holds byte @host of a table, read if need be. 0 or -errno.
 * Good until the next call of this room. */
int qcow2_cache_get(struct qcow2 *q, enum unit_kind kind, uint64_t host,
		    struct unit **out);
/* Makes all units of the new table at @cluster: copies of those at @from, or
 * zero (@from 0). Dirty. The host keeps room for it: what was written and
 * linked can be flushed even if its disk is full then. 0 or -errno. */
int qcow2_cache_new(struct qcow2 *q, enum unit_kind kind, uint64_t cluster,
		    uint64_t from);
void qcow2_cache_dirty(struct qcow2 *q, struct unit *u);
/* Forgets the units of a cluster that is no table any more. */
void qcow2_cache_forget(struct qcow2 *q, uint64_t cluster);

/* --- qcow2_refcount.c; meta held --- */

int qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *count);
/* One reference more to a cluster that is in use. -EOVERFLOW: it has as many
 * as the image can count. */
int qcow2_refcount_up(struct qcow2 *q, uint64_t cluster);
/* The most that the image can count. */
uint64_t qcow2_refcount_max(const struct qcow2 *q);
/* Takes up to @want free clusters in a row, refcount 1. 0, -errno, or
 * QCOW2_TABLE_FULL. */
int qcow2_alloc(struct qcow2 *q, uint64_t want, struct qcow2_extent *out);
/* Exactly @want in a row. */
int qcow2_alloc_row(struct qcow2 *q, uint64_t want, struct qcow2_extent *out);
/* Drops one reference at once: for clusters that no table named yet. */
int qcow2_unalloc(struct qcow2 *q, struct qcow2_extent e);
/* Drops one reference when the tables that no longer name it are durable. */
void qcow2_free_later(struct qcow2 *q, uint64_t first, uint64_t count);
/* What finds no memory is left out: such clusters are leaked. */
void qcow2_extents_add(struct qcow2_extents *e, uint64_t first,
		       uint64_t count);
/* Room for @more clusters, so that to add them takes no memory: 0 or -ENOMEM.
 * qcow2_alloc() and qcow2_alloc_row() have made room for what they take. */
int qcow2_set_reserve(struct qcow2_set *s, uint64_t more);
void qcow2_set_add(struct qcow2_set *s, uint64_t cluster);
void qcow2_set_del(struct qcow2_set *s, uint64_t cluster);
bool qcow2_set_has(const struct qcow2_set *s, uint64_t cluster);
/* Fills q->set from the header, the tables and the snapshots. */
int qcow2_set_build(struct qcow2 *q, struct err *err);
/* Refcount number @i in @data, 2^order bits wide (spec "Refcount blocks"). */
uint64_t qcow2_count_get(const uint8_t *data, unsigned order, uint64_t i);
void qcow2_count_set(uint8_t *data, unsigned order, uint64_t i, uint64_t v);

/* Reads the refcount table and fills the set of metadata, if that was not done
 * yet. Nobody else uses them: meta held, or no I/O in flight. */
int qcow2_load_refcounts(struct qcow2 *q, struct err *err); /* qcow2.c */

/* --- qcow2_growth.c --- */

int qcow2_growth(struct node *node, uint64_t size, uint64_t clusters,
		 struct file_need *need);

/* --- qcow2_table.c: L1 and refcount table --- */

/* Reads @count entries at @host; past the end of the file they are 0. */
int qcow2_table_read(struct file *file, struct qcow2_table *t, uint64_t host,
		     uint32_t count);
void qcow2_table_release(struct qcow2_table *t);
void qcow2_table_set(struct qcow2_table *t, uint32_t i, uint64_t entry);

/* --- qcow2_measure.c --- */

bool qcow2_hollow(struct node *node);

/* --- qcow2_map.c --- */

struct qcow2_entry {
	uint64_t e;		/* as the spec has it, host byte order */
	uint64_t bitmap;	/* extended: high half zero, low half alloc */
};

/* Place of the L2 entry of guest offset @off. meta held. */
static inline uint32_t qcow2_l1_index(const struct qcow2 *q, uint64_t off)
{
	return (uint32_t)(off >> (q->cluster_bits + q->l2_bits));
}

static inline uint64_t qcow2_l2_index(const struct qcow2 *q, uint64_t off)
{
	return (off >> q->cluster_bits) & ((1ull << q->l2_bits) - 1);
}

int qcow2_map(struct node *node, uint64_t off, uint64_t len, struct run *run);
int qcow2_places(struct node *node, uint64_t off, uint64_t len,
		 struct run *run);
/* The host offset of the L2 table for @off: 0 none; -EIO if damaged. */
int qcow2_l2_find(struct qcow2 *q, uint64_t off, uint64_t *table);
int qcow2_entry_get(struct qcow2 *q, uint64_t table, uint64_t index,
		    struct qcow2_entry *out);
int qcow2_entry_set(struct qcow2 *q, uint64_t table, uint64_t index,
		    struct qcow2_entry entry);
/* Does the entry name a host cluster? */
bool qcow2_has_place(const struct qcow2 *q, uint64_t e);
/* What subcluster @sub of an entry is: enum run_kind, or -EIO. */
int qcow2_kind(struct qcow2 *q, struct qcow2_entry entry, unsigned sub);
/* Host clusters that a compressed descriptor touches. */
struct qcow2_extent qcow2_compressed_extent(const struct qcow2 *q,
					    uint64_t e);
int qcow2_read_compressed(struct node *node, const struct run *run,
			  uint64_t off, void *buf, size_t len);

/* --- qcow2_write.c --- */

int qcow2_write_begin(struct node *node, uint64_t off, uint64_t len,
		      unsigned flags, struct write_op *op);
int qcow2_write_end(struct node *node, struct write_op *op, int rc);
int qcow2_zero(struct node *node, uint64_t off, uint64_t len, bool unmap);
bool qcow2_zeroes_fast(const struct node *node);
int qcow2_empty(struct node *node);
void qcow2_cut(struct node *node, uint64_t least);

/* --- qcow2_given.c; nothing held --- */

int qcow2_given(struct node *node, uint64_t *bytes);

/* --- qcow2_walk.c; nothing held --- */

/* Called with meta held. 0 or -errno, which ends the walk. */
typedef int qcow2_walk_fn(struct qcow2 *q, uint64_t cluster, void *arg);

/* Calls @fn for every cluster that @l1 reaches, as often as it is named, and
 * for each L2 table behind what that names: as long as a table is counted
 * nobody reuses it. 0 or -errno. */
int qcow2_walk(struct qcow2 *q, const struct qcow2_table *l1,
	       qcow2_walk_fn *fn, void *arg);
/* Before anything is changed: -EOVERFLOW if some cluster could not be counted
 * once more for each time that the active tables name it. Writes what waits,
 * so that what was let go of is no longer counted, and nobody who only looks
 * has to wait for that when the header is written. */
int qcow2_check_room(struct qcow2 *q);
/* Flushes if much waits in memory: metadata of a huge image need not fit into
 * it at once. */
int qcow2_make_room(struct qcow2 *q);

/* --- qcow2_snapshot_make.c --- */

int qcow2_snapshot_create(struct node *node, const struct snapshot_wish *wish,
			  struct err *err);
int qcow2_snapshot_delete(struct node *node, const char *id, struct err *err);

/* --- qcow2_flush.c --- */

int qcow2_flush(struct node *node);
/* Nobody flushes between these two. */
void qcow2_sync_lock(struct qcow2 *q);
void qcow2_sync_unlock(struct qcow2 *q);
/* Writes what waits, in order; sync held, meta not. */
int qcow2_checkpoint(struct qcow2 *q);

/* --- qcow2_grow.c --- */

/* A larger refcount table; nothing held. 0 or -errno. */
int qcow2_table_grow(struct qcow2 *q);
/* How many clusters that takes, all behind what the table covers now. */
uint64_t qcow2_table_growth(const struct qcow2 *q);
/* An L1 table of @count entries elsewhere; header written. No I/O in flight,
 * nothing held. 0 or -errno. */
int qcow2_l1_grow(struct qcow2 *q, uint32_t count);

/* --- qcow2_repair.c --- */

/* Counts all references and writes new refcounts; clears the dirty bit.
 * Before anything else is written; nothing held. */
int qcow2_repair(struct qcow2 *q, struct err *err);

/* --- qcow2_check.c --- */

/* driver.check */
int qcow2_check(struct file *file, const struct check_options *o,
		struct check_report *out, struct err *err);

/* --- qcow2_first.c --- */

/* What has to be durable before the first change: autoclear bits. */
int qcow2_first_change(struct qcow2 *q);

#endif
