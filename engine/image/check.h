/* check.h - an image compared with itself: what is wanted, what was found.
 *
 * The counts mean what they mean to `qemu-img check`.
 */
#ifndef BLKMON_CHECK_H
#define BLKMON_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#define CHECK_FIX_LEAKS 1u	/* counts that are too high */
#define CHECK_FIX_ALL 3u	/* and all else that can be mended */

struct check_options {
	unsigned fix;		/* 0: look only; CHECK_FIX_ */
	/* Each finding, a line without its end; NULL: nobody wants to know.
	 * It may hold any bytes that a snapshot's name can. */
	void (*say)(void *arg, const char *line);
	/* Asked between the tables while nothing was changed yet; true gives
	 * up. NULL: nobody asks. */
	bool (*stop)(void *arg);
	void *arg;
	/* Clusters that are counted at a time, 4 bytes of memory each, but no
	 * less than a refcount block counts. A larger file is looked at more
	 * than once. 0: 32 Mi. */
	uint32_t counters;
};

struct check_report {
	uint64_t image_end;	/* bytes: behind the last used cluster */
	/* clusters of the guest's disk */
	uint64_t total_clusters, allocated_clusters, fragmented_clusters,
		 compressed_clusters;
	uint64_t check_errors;		/* what could not be looked at */
	uint64_t corruptions, leaks;	/* left after mending */
	uint64_t corruptions_fixed, leaks_fixed;
};

#endif
