/* image_info.h - what can be told of one image: copies, owned by who asked. */
#ifndef BLKMON_IMAGE_INFO_H
#define BLKMON_IMAGE_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot_info {
	char *id, *name;
	uint64_t vm_state_bytes;
	uint64_t wall_us;	/* when it was taken */
	uint64_t vm_clock_ns;
	uint64_t icount;	/* UINT64_MAX: none */
};

void snapshot_info_release(struct snapshot_info *info);

struct image_info {
	char *filename;
	const char *format;
	uint64_t virtual_size, actual_size;
	uint32_t cluster_size;		/* 0: none (raw) */
	bool dirty, corrupt, encrypted, compressed;
	char *backing_filename;		/* as in the header, or NULL */
	char *full_backing_filename;	/* resolved, or NULL */
	char *backing_format;		/* or NULL */
	struct snapshot_info *snapshots;
	size_t snapshot_count;
	struct {			/* format "qcow2" only */
		const char *compat;	/* "0.10", "1.1" */
		const char *compression; /* "zlib", "zstd" */
		bool lazy_refcounts, extended_l2;
		unsigned refcount_bits;
		char *data_file;	/* or NULL */
		bool data_file_raw;
		char **bitmaps;		/* names */
		size_t bitmap_count;
	} qcow2;
};

/* Frees what a driver's info() and the queries put there. */
void image_info_release(struct image_info *image);

#endif
