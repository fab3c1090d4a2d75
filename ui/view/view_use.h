/* view_use.h - who uses the drives, and how much: rates from counters.
 *
 * Filled from two looks at x-blkmon-query-exports and query-blockstats; the
 * watcher's thread makes it, the client hands out copies.
 */
#ifndef BLKMON_UI_VIEW_USE_H
#define BLKMON_UI_VIEW_USE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define USES_MAX 8		/* more are not shown */
#define USE_SPARK 60
#define READS_MAX 128		/* the same */

/* A drive, or a client of one of its exports. */
struct view_use {
	char drive[32], client[48];	/* safe to show; client "": the drive */
	uint64_t rd, wr, ops;		/* bytes and requests a second */
	char only[48];			/* of a drive: its client, if there is
					 * but one, which has no row then */
	uint64_t spark[USE_SPARK];	/* bytes a second, at each look; the
					 * last is of now */
	uint64_t p50_ns, p99_ns;	/* of a drive's requests since the look
					 * before: half of them, all but a
					 * hundredth took no longer; 0: none */
	uint64_t rd_bytes, wr_bytes, requests;	/* counters */
};

/* What is read of an image, by guests and jobs. */
struct view_read {
	char node[32];
	uint64_t bytes, rate;		/* since it was opened; a second */
};

struct view_uses {
	struct view_read reads[READS_MAX];
	size_t read_count;
	struct view_use list[USES_MAX];
	size_t n;
	uint64_t ns;			/* clock_ns() of the look */
};

/* @exports, @stats: the replies' values. Each drive that has an export, with
 * its clients below it; rates against @before. */
void view_uses_make(struct view_uses *now, const struct view_uses *before,
		    const json_t *exports, const json_t *stats, uint64_t ns);

/* NULL: not known. */
const struct view_read *view_read_of(const struct view_uses *uses,
				     const char *node);
/* What x-blkmon-query-latency said at that look and the one before. */
void view_uses_latency(struct view_uses *now, const json_t *before,
		       const json_t *after);

#endif
