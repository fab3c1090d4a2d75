/* qcow2_check.h - what the parts of a check share.
 *
 * A check walks over all tables and counts, for every cluster, how often it
 * is named; what is found is compared with the refcounts on disk. There is
 * one 32-bit counter a cluster, for a window of the file: a large file is
 * walked over once for each window, so memory has a bound that no image can
 * move. Nothing that a table says is believed; what a walk reads has a bound
 * too, from the bytes that the file has on disk.
 *
 * What counts as what follows `qemu-img check`, so that both say the same.
 */
#ifndef BLKMON_QCOW2_CHECK_H
#define BLKMON_QCOW2_CHECK_H

#include "engine/image/check.h"
#include "engine/image/qcow2/qcow2_image.h"

#define CHECK_WINDOW (32u << 20)	/* counters: 128 MiB */
#define CHECK_LINES_MAX 10000u
#define CHECK_SNAPSHOTS_MAX 65536u
#define CHECK_CLUSTERS_MAX 0x7fffffffull /* of a file, as in QEMU */
#define CHECK_SECTOR 512u		/* a file ends with one, as to QEMU */
#define CHECK_BLOCKS 256u		/* refcount blocks that are kept, ... */
#define CHECK_BLOCK_BYTES (32u << 20)	/* ... about so many bytes of them */

/* A counter: how often, and by what. */
#define CHECK_COUNT 0x0fffffffu
enum check_role {
	CHECK_NOWHERE = 0,		/* a place that holds nothing */
	CHECK_DATA = 1u << 28,
	CHECK_L2 = 1u << 29,
	CHECK_BLOCK = 1u << 30,		/* of refcounts */
	CHECK_META = 1u << 31,		/* any other table */
};

/* The reserved bits of entries. */
#define CHECK_L1_RESERVED 0x7f000000000001ffull
#define CHECK_L2_RESERVED 0x3f000000000001feull
#define CHECK_RT_RESERVED 0x1ffull
#define CHECK_BITMAP_LOW 0xffffffffull
#define CHECK_ALL_ZERO 0xffffffff00000000ull

/* One internal snapshot, as far as a check needs it. */
struct check_snapshot {
	uint64_t at;			/* of its entry */
	uint64_t l1_offset;
	uint32_t l1_size, extra;	/* entries; bytes */
	uint32_t id, name;		/* bytes */
};

/* A refcount block as it is on disk. */
struct check_stored {
	uint64_t index;
	uint8_t *data;			/* NULL: nothing is kept here */
	int rc;
};

struct check_plan;

struct check {
	struct file *file;
	const struct check_options *o;
	struct err *err;
	struct check_report r;

	struct qcow2_header h;
	unsigned cluster_bits, block_bits;
	uint64_t cluster;		/* bytes */
	bool extended, external;
	unsigned entry_bytes;
	uint32_t count_max;		/* at most CHECK_COUNT */
	uint64_t *rt;			/* the refcount table */
	uint32_t rt_count;
	struct check_snapshot *snap;	/* h.nb_snapshots */
	uint64_t snap_bytes;		/* of their table */

	/* how it is walked */
	uint64_t end;			/* bytes: what lies behind is outside */
	uint64_t clusters;		/* one past the last that is counted */
	uint64_t first, window;		/* counters: of cluster first + i */
	uint32_t *count;
	uint8_t *touched;		/* a byte for each block of them */
	bool again;			/* another window of the same walk */
	bool quiet;			/* what is wrong is not counted */
	bool silent;			/* ... or not said */
	bool mending;			/* from here on nobody may stop it */
	uint64_t lines;			/* said so far */
	bool anew;			/* without the refcount structure */
	bool replace;			/* without the table of snapshots */
	uint64_t watch_end, hit;	/* bytes: what is named in [end,
					   watch_end) ends at most at hit */
	uint64_t top;			/* cluster behind all that was ever
					   counted, old refcounts too */
	uint64_t budget;		/* bytes of tables left to read */
	uint8_t *l1_buf, *l2_buf;	/* a cluster each */

	/* what was found */
	bool outside;			/* something is named behind the end */
	bool rebuild;			/* no refcounts to be mended */
	bool odd_zeroes;		/* an unaligned place of zeroes */
	uint64_t short_snapshots;	/* entries that are incomplete */
	uint64_t long_snapshots;	/* entries that say too much */
	uint64_t in_tables;		/* corruptions without the flags */
	uint64_t highest;		/* cluster in use */
	struct qcow2_extent *freed;	/* what nothing uses any more */
	size_t freed_count, freed_cap;
	uint64_t others_fixed;		/* what no walk counts */
	struct check_plan *plan;	/* qcow2_check_rebuild.c */

	struct check_stored stored[CHECK_BLOCKS];
	unsigned stored_count;		/* of them are used */
};

/* --- qcow2_check_base.c --- */

/* Says a line; nothing on a quiet walk or in a later window of it. */
void check_say(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Counts one corruption and says it, the same way. */
void check_corrupt(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The check can't go on: counts that, says it, sets err. Returns -1. */
int check_fail(struct check *c, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Reads of a table, out of the budget. 0 or -1. */
int check_read(struct check *c, uint64_t off, void *buf, uint64_t len);

/* --- qcow2_check_count.c --- */

/* The clusters of these bytes are named once by a @role. */
void check_count(struct check *c, uint64_t off, uint64_t len,
		 enum check_role role);
/* How often it was counted, at most what a refcount can say. */
uint32_t check_refs(const struct check *c, uint64_t cluster);
/* What its refcount has to be: also 1 where something lies that ends behind
 * the end of the file, which does not count as a reference. */
uint64_t check_needed(const struct check *c, uint64_t cluster);
/* The counter of a cluster, or 0 outside the window. */
uint32_t check_counted(const struct check *c, uint64_t cluster);
bool check_in_window(const struct check *c, uint64_t cluster);
/* Block number @block of the refcounts; *data NULL: there is none, all of it
 * is 0. Good until the next call. 0 or -errno. */
int check_stored_block(struct check *c, uint64_t block, uint8_t **data);
int check_stored_count(struct check *c, uint64_t cluster, uint64_t *count);
void check_stored_forget(struct check *c);
/* Compares the window with the refcounts on disk. */
int check_compare(struct check *c);
/* Makes them what they should be, as far as o->fix goes; not flushed. */
int check_correct(struct check *c);
/* Gives the host back what that has freed, once it is flushed. */
void check_give_back(struct check *c);

/* --- qcow2_check_walk.c --- */

enum check_kind {
	CHECK_UNALLOCATED, CHECK_PLAIN_ZERO, CHECK_ZERO_PLACE, CHECK_NORMAL,
	CHECK_COMPRESSED,
};
enum check_kind check_kind(const struct check *c, uint64_t e);
/* An allocated place without data that is not a cluster's. */
bool check_is_odd_zero(const struct check *c, const uint8_t *entry);
/* Counts all that is named, from the header to the refcount blocks. */
int check_walk(struct check *c);
/* Calls fn for each L1 entry that is not 0. */
int check_each_l1(struct check *c, uint64_t l1_offset, uint32_t l1_size,
		  int (*fn)(struct check *c, uint32_t i, uint64_t entry,
			    bool active), bool active);

/* --- qcow2_check_snapshots.c --- */

int check_snapshots_read(struct check *c);
/* The table with complete entries, @size bytes (NULL: only tells its size).
 * 0 or -errno. */
int check_snapshots_write(struct check *c, uint8_t *to, uint64_t *size);

/* --- qcow2_check_bitmaps.c --- */

/* Can the bitmaps be loaded? 0 or -1. */
int check_bitmaps_load(struct check *c);
int check_bitmaps_walk(struct check *c);

/* --- qcow2_check_flags.c --- */

/* The COPIED flags of the active tables against the refcounts on disk. */
int check_flags(struct check *c);
/* The same for the tables that lie in the window, and sets them right. */
int check_flags_fix(struct check *c);
/* Unaligned places of zeroes, in the tables of the window, become zeroes
 * without a place. */
int check_zeroes_fix(struct check *c);

/* --- qcow2_check_window.c --- */

/* The refcount table, as the header says. 0 or -1. */
int check_load_table(struct check *c);
/* So many bytes of tables may be read from here on: an image that names one of
 * them too often is not worth it. */
void check_budget(struct check *c);
/* Walks over everything for each window, from the first cluster on, and calls
 * @fn (NULL: nothing) while the counters of a window stand. 0 or -1. */
int check_windows(struct check *c, int (*fn)(struct check *c));

/* --- qcow2_check_rebuild.c --- */

/* New refcounts (and a new table of snapshots where entries are incomplete)
 * behind the end of the file, and the header to match. */
int check_rebuild(struct check *c);

#endif
