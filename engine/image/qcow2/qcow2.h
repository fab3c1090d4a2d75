/* qcow2.h - the qcow2 driver's own parts, known to qcow2*.c only.
 *
 * Rules of the format: docs/interop/qcow2.txt of QEMU, called "spec" here.
 *
 * Who does what:
 *   qcow2_header.c   bytes -> struct qcow2_header; checks; fields
 *   qcow2_backing.c  another backing file, in one sector
 *   qcow2_create.c   an empty image
 *   qcow2_measure.c  how large a file will be, and how much of it is there
 *   qcow2_snapshot.c, qcow2_bitmap.c  the tables of both
 *   qcow2_snapshot_make.c, qcow2_walk.c  takes and deletes snapshots
 *   qcow2_cache.c    L2 tables and refcount blocks in memory, by units
 *   qcow2_refcount.c counts, finds and frees clusters; order of writes
 *   qcow2_map.c      guest offset -> run; linking; zero; discard
 *   qcow2_compress.c inflate one cluster
 *   qcow2_repair.c   counts every reference, mends the refcounts
 *   qcow2_check.c    compares an image with itself, and mends it:
 *     _count references, _walk tables, _flags, _fix refcounts,
 *     _snapshots, _bitmaps
 *   qcow2.c          the driver table: open, close, flush, grow, info
 */
#ifndef BLKMON_QCOW2_H
#define BLKMON_QCOW2_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/file/file.h"
#include "engine/image/node.h"
#include "engine/util/err.h"

#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_L1_MAX (32u << 20)	/* bytes of an L1 table */
#define QCOW2_RT_MAX (8u << 20)		/* bytes of the refcount table */

/* incompatible features (spec: header, 72) */
#define QCOW2_INCOMPAT_DIRTY (1ull << 0)
#define QCOW2_INCOMPAT_CORRUPT (1ull << 1)
#define QCOW2_INCOMPAT_DATA_FILE (1ull << 2)
#define QCOW2_INCOMPAT_COMPRESSION (1ull << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 (1ull << 4)
/* compatible (80), autoclear (88) */
#define QCOW2_COMPAT_LAZY (1ull << 0)
#define QCOW2_AUTOCLEAR_BITMAPS (1ull << 0)
#define QCOW2_AUTOCLEAR_RAW_DATA (1ull << 1)

#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURES 0x6803f857u
#define QCOW2_EXT_BITMAPS 0x23852875u
#define QCOW2_EXT_CRYPTO 0x0537be77u
#define QCOW2_EXT_DATA_FILE 0x44415441u

/* Bytes of the header (spec "Header"). Whatever a rewrite changes lies in the
 * first sector, which a host writes whole or not at all. */
#define QCOW2_SECTOR 512u
#define QCOW2_NAME_MAX 1023u		/* bytes of a backing file name */
#define QCOW2_FORMAT_MAX 15u		/* bytes of its format */
enum qcow2_at {
	QCOW2_AT_MAGIC = 0,
	QCOW2_AT_VERSION = 4,
	QCOW2_AT_BACKING = 8,
	QCOW2_AT_BACKING_LEN = 16,
	QCOW2_AT_CLUSTER_BITS = 20,
	QCOW2_AT_SIZE = 24,
	QCOW2_AT_CRYPT = 32,
	QCOW2_AT_L1_SIZE = 36,
	QCOW2_AT_L1 = 40,
	QCOW2_AT_RT = 48,
	QCOW2_AT_RT_CLUSTERS = 56,
	QCOW2_AT_NB_SNAPSHOTS = 60,
	QCOW2_AT_SNAPSHOTS = 64,
	QCOW2_AT_INCOMPATIBLE = 72,	/* where version 2 ends */
	QCOW2_AT_COMPATIBLE = 80,
	QCOW2_AT_AUTOCLEAR = 88,
	QCOW2_AT_REFCOUNT_ORDER = 96,
	QCOW2_AT_HEADER_LENGTH = 100,
	QCOW2_AT_COMPRESSION = 104,
};

/* A header extension that is kept byte for byte over a rewrite. */
struct qcow2_ext {
	uint32_t type, len;
	const uint8_t *data;
};

/* The header, parsed and checked. Plain data: no lock of its own. */
struct qcow2_header {
	uint32_t version;		/* 2 or 3 */
	uint32_t cluster_bits;		/* 9..21 */
	uint64_t size;			/* bytes, rounded down to 512 */
	uint32_t l1_size;		/* entries */
	uint64_t l1_offset;
	uint64_t rt_offset;
	uint32_t rt_clusters;
	uint32_t nb_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order;	/* 0..6 */
	uint32_t header_length;
	uint8_t compression;		/* 0 zlib, 1 zstd */
	uint64_t backing_offset;	/* where the name lies, 0 none */
	char *backing_name;		/* NULL: none */
	char *backing_format;		/* NULL: not recorded */
	char *data_file_name;		/* NULL: none, or the bit is clear */
	struct qcow2_ext *ext;		/* all but the backing format; their */
	uint32_t ext_count;		/* data lies in the same allocation */
	/* how cluster 0 lies on disk, for a rewrite */
	uint32_t format_at;		/* backing-format extension, 0 none */
	uint32_t format_len;
	uint32_t ext_end;		/* behind the last extension ... */
	bool ext_marked;		/* ... where an end marker lies */
	/* from the bitmaps extension when the autoclear bit is set */
	uint32_t bitmap_count;
	uint64_t bitmap_dir_offset, bitmap_dir_size;
};

extern const struct driver driver_qcow2;	/* qcow2.c */

/* Reads and checks the header of @file (spec "Header", "Header extensions"),
 * each value before any shift, multiplication or allocation that depends on
 * it. Refuses, with a sentence: not qcow2, version, encryption
 * ("... is encrypted"), unknown incompatible bits (by the name in the feature
 * table, quoted safely), sizes and offsets beyond the limits or the file; but
 * an L1 table may end beyond it (those entries read as 0). The dirty and
 * corrupt bits and the external data file are left to the caller. 0, or -1
 * and err; then nothing is left to free. */
int qcow2_header_read(struct file *file, struct qcow2_header *h,
		      struct err *err);
/* The same of an image that is to be checked: the refcount table may be
 * missing, and it, the L1 table and the snapshot table may lie anywhere; the
 * values of the snapshot table are not looked at. What has a limit keeps it. */
int qcow2_header_read_damaged(struct file *file, struct qcow2_header *h,
			      struct err *err);
void qcow2_header_release(struct qcow2_header *h);

/* "'PATH' " and the sentence, the path quoted safely. Always returns -1. */
int qcow2_refuse(const struct file *file, struct err *err, const char *fmt,
		 ...) __attribute__((format(printf, 3, 4)));

/* Writes size, place and size of the L1 table, of the refcount table and of
 * the snapshot table, and (version 3) the feature bits, with one write of 512
 * bytes made from the sector on disk; flush before, flush after. Only
 * backing_name/_format need qcow2_header_set_backing(). 0 or -errno. */
int qcow2_header_write_fields(struct file *file,
			      const struct qcow2_header *h);
/* Replaces name and format (NULL: none), so that a power cut leaves the old
 * or the new header: all that changes in one 512-byte write, the name written
 * and flushed before at a free place of cluster 0 where it does not fit into
 * that sector. Extensions not understood stay byte for byte; the feature-name
 * table is dropped if that makes room. Without a name there is no format; its
 * extension stays, meaning nothing, if the others cannot move up. Updates *h.
 * 0 or -errno; nothing was written on -ENOSPC: there is no room,
 * -ENAMETOOLONG, or -EINVAL: empty name, or an external data file that can be
 * read as raw, which excludes a backing file. */
int qcow2_header_set_backing(struct file *file, struct qcow2_header *h,
			     const char *name, const char *format);
/* The test alone. */
int qcow2_header_check_backing(const struct qcow2_header *h, const char *name,
			       const char *format);
/* The writing alone: puts name and format into @sector, the first 512 bytes
 * of the new header, and writes it as above. */
int qcow2_header_switch(struct file *file, struct qcow2_header *h,
			uint8_t sector[QCOW2_SECTOR], const char *name,
			const char *format);

/* Makes an empty image of version 3 (64 KiB clusters, 16-bit refcounts) in an
 * empty @file, all of it flushed (file; the folder is the caller's); the
 * header comes last, so until then @file is no qcow2 image. 0 or -errno:
 * -EINVAL for bits out of range, -EFBIG for a disk that needs more than
 * QCOW2_L1_MAX, and those of set_backing(). */
struct qcow2_create {
	uint64_t size;			/* rounded up to 512 */
	uint32_t cluster_bits;		/* 0: 16 */
	uint32_t refcount_order;	/* with cluster_bits 0: 4 */
	const char *backing_name, *backing_format;
};
int qcow2_create(struct file *file, const struct qcow2_create *o);
/* How long the file will be; the same errors. */
int qcow2_create_size(const struct qcow2_create *o, uint64_t *bytes);

/* The internal snapshots (spec "Snapshots"), checked. */
struct qcow2_snapshot {
	uint64_t l1_offset;
	uint32_t l1_size;		/* entries */
	char *id, *name;
	uint32_t date_sec, date_nsec;
	uint64_t vm_clock_ns, vm_state_bytes, disk_size;
	uint64_t icount;		/* UINT64_MAX: not recorded */
	uint64_t entry_bytes;		/* in the table */
};
/* What QEMU looks at in the table before it opens an image in any way: 0, or
 * -errno and err. */
int qcow2_snapshots_check(struct file *file, const struct qcow2_header *h,
			  struct err *err);
/* 0 or -errno and err; *out has h->nb_snapshots entries (NULL if none);
 * *bytes is the table's size. */
int qcow2_snapshots_read(struct file *file, const struct qcow2_header *h,
			 struct qcow2_snapshot **out, uint64_t *bytes,
			 struct err *err);
void qcow2_snapshots_free(struct qcow2_snapshot *s, uint32_t count);

/* The names of the persistent bitmaps (spec "Bitmaps"), for info, sorted; the
 * caller frees each and the array. 0 or -errno. */
int qcow2_bitmap_names(struct file *file, const struct qcow2_header *h,
		       char ***names, size_t *count);
/* Calls fn for every cluster run that the bitmaps own (directory, tables,
 * data): offset and length in bytes, both whole clusters. Stops at the first
 * result that is not 0 and returns it. 0 or -errno. */
int qcow2_bitmap_clusters(struct file *file, const struct qcow2_header *h,
			  int (*fn)(void *arg, uint64_t off, uint64_t len),
			  void *arg);

/* 0; or -1 and err, where they are not what QEMU takes: a directory or a table
 * that is damaged, two of one name, tables for a disk of another size. */
int qcow2_bitmaps_check(struct file *file, const struct qcow2_header *h,
			struct err *err);
/* Entries of a table whose bits are for 2^@bits bytes each. */
uint64_t qcow2_bitmap_entries(const struct qcow2_header *h, unsigned bits);
bool qcow2_bitmap_entry_is_valid(const struct qcow2_header *h, uint64_t entry);

/* Bytes that they would need in an image with clusters of @cluster bytes, were
 * all of them allocated; @size is the disk's. 0 or -errno. */
int qcow2_bitmap_bytes(struct file *file, const struct qcow2_header *h,
		       uint64_t size, uint64_t cluster, uint64_t *bytes);

/* How large an image is going to be. */
struct qcow2_shape {
	uint64_t size;			/* bytes of the disk */
	unsigned cluster_bits, refcount_order;
	bool extended;			/* L2 entries with subclusters */
};
/* Bytes of a file that holds all of the disk, rounded up to clusters; 0: the
 * disk is larger than an L1 table of QCOW2_L1_MAX allows. */
uint64_t qcow2_full_bytes(const struct qcow2_shape *s);
/* As qcow2_bitmap_bytes(), of an open image; -ENOTSUP where it can't have
 * any. */
int qcow2_node_bitmap_bytes(struct node *node, uint64_t cluster,
			    uint64_t *bytes);

/* Inflates one cluster: @src of @src_len bytes as they lie on disk into
 * exactly @cluster bytes of @dst. zlib: raw deflate, window 12 bits, stopped
 * when the cluster is full (spec "Compressed Clusters Descriptor"); zstd:
 * whole frames. Trailing bytes of src are ignored; anything short or damaged,
 * or a zstd frame that is too long, is -EIO. Thread-safe, keeps its state per
 * thread. */
int qcow2_inflate(uint8_t compression, void *dst, size_t cluster,
		  const void *src, size_t src_len);

#endif
