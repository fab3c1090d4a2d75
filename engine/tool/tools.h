/* tools.h - what is done to images that nobody here has open: map, compare,
 * measure, rebase.
 *
 * Each call opens its images, with all below them, and closes them again; of
 * struct node_options it takes what is said of files, formats and locks. Any
 * thread, holding nothing; may block on the disk for long. 0, or -1 and err.
 */
#ifndef BLKMON_TOOLS_H
#define BLKMON_TOOLS_H

#include "engine/forecast/forecast.h"
#include "engine/job/job.h"

/* Bytes done and in all, from the calling thread; false gives up. May be
 * NULL. */
typedef bool tools_progress(uint64_t done, uint64_t total, void *arg);

/* --- map --- */

struct map_piece {
	uint64_t off, len;	/* of the guest's disk */
	unsigned depth;		/* of the image that answers; 0 the active */
	bool present;		/* some image holds it */
	bool zero, data;	/* reads as zeroes; holds data */
	bool compressed;
	const char *file;	/* in which it lies as it is, or is kept for
				   zeroes; NULL: none, or not as it is */
	uint64_t host;		/* where, in that */
};

/* Bytes [off, off + len) of the disk, as far as there are such, in order;
 * neighbours differ. Tables alone are read. @each gets one piece, borrowed;
 * false is enough. */
int tool_map(const struct node_options *image, uint64_t off, uint64_t len,
	     bool (*each)(void *arg, const struct map_piece *piece),
	     void *arg, struct err *err);

/* --- compare --- */

struct compare_options {
	struct node_options image[2];	/* the data files of the first are
					   offered to both, in this order */
	bool strict;		/* also their sizes and what is allocated */
	tools_progress *progress;
	void *arg;
};

/* The first difference; without `strict` a longer disk is equal if the rest is
 * zero. */
enum compare_found {
	COMPARE_EQUAL, COMPARE_SIZES, COMPARE_STATUS, COMPARE_CONTENT,
};

struct compare_result {
	enum compare_found found;
	uint64_t off;		/* where: a sector */
	uint64_t size[2];	/* bytes of the disks; known once open */
	enum { COMPARE_OPEN, COMPARE_MAP, COMPARE_READ }
		stage;		/* at which it failed ... */
	unsigned failed;	/* ... and of which image */
};

/* What their maps say is the same is not read. */
int tool_compare(struct jobs *jobs, const struct compare_options *o,
		 struct compare_result *out, struct err *err);

/* --- measure --- */

struct measure_options {
	const struct node_options *image; /* whose disk it is to hold; NULL: */
	uint64_t size;			/* bytes of an empty one */
	bool raw;			/* a raw file; else qcow2: */
	struct {
		unsigned cluster_bits, refcount_order, version;
		bool extended;		/* L2 entries with subclusters */
		bool preallocated;	/* the data as well */
		bool has_backing;	/* some backing file: anything may
					   differ from it */
	} qcow2;
};

struct measure_result {
	uint64_t required;	/* bytes of the file at first ... */
	uint64_t full;		/* ... and when all of the disk is written */
	uint64_t bitmaps;	/* more, for the image's bitmaps */
	bool has_bitmaps;	/* both formats can have some */
};

/* Tables alone are read. */
int tool_measure(const struct measure_options *o,
		 struct measure_result *out, struct err *err);

/* --- rebase --- */

struct rebase_options {
	struct node_options image;	/* its backing_format, probe_backing
					   and cache also for the base, and its
					   data_files for that first */
	const char *base;	/* words for the header, which lead from the
				   folder of the image; NULL or "": none */
	const char *format;	/* of the base */
	bool unsafe;		/* the header alone: the disk may read
				   differently afterwards. No image below is
				   opened, now or then */
	bool force;		/* even where internal snapshots change, or
				   (unsafe) overlays that nobody has open */
	tools_progress *progress;
	void *arg;
};

/* Another backing file for an image; unless `unsafe` its disk reads the same,
 * before, after and, whatever happens, in between: what it needs of the images
 * below is copied into it, durably, before one write changes the header. Who
 * gives up or fails leaves the old header; what was copied stays. Refused
 * where somebody else uses the image, the base lies on it, or the header has
 * no room. Once it has begun its end is published as that of a job "rebase". */
int tool_rebase(struct jobs *jobs, const struct rebase_options *o,
		struct err *err);

/* The same as a job beside open disks, of an image that is not open here, which
 * the caller has looked for. It may lie on images that are, as long as these
 * are only read: while it runs it keeps its locks on all of them, and who wants
 * to write to one is refused. All that can be refused is refused at once. */
struct rebase_job_options {
	const char *file;
	const char *format;	/* of it; NULL: probe */
	const char *base;	/* words for the header; "": none; NULL: what
				   lies below its backing file */
	const char *base_format; /* NULL: as its chain has it now */
	const char *const *data_files; /* as those of struct node_options */
	size_t data_file_count;
	bool force;		/* even where internal snapshots change */
	struct job_options job;	/* id NULL: "rebase", "rebase2" ... */
	int64_t speed;		/* bytes/s that are read; 0 unlimited */
};
int tool_rebase_start(struct jobs *jobs, const struct rebase_job_options *o,
		      struct err *err);
/* By maps alone: no more than that is copied, and what only a look at the data
 * can tell to be the same is not. The image is opened read-only. */
int tool_rebase_plan(struct jobs *jobs, const struct rebase_job_options *o,
		     struct forecast *f, struct err *err);

#endif
