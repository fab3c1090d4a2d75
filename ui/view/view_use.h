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

/* A drive, or a client of one of its exports. */
struct view_use {
	char drive[32], client[48];	/* safe to show; client "": the drive */
	uint64_t rd, wr, ops;		/* bytes and requests a second */
	uint64_t latency_ns;		/* of a request; 0 not known */
	uint64_t rd_bytes, wr_bytes, requests, busy_ns;	/* counters */
};

struct view_uses {
	struct view_use list[USES_MAX];
	size_t n;
	uint64_t ns;			/* clock_ns() of the look */
};

/* @exports, @stats: the replies' values. Each drive that has an export, with
 * its clients below it; rates against @before. */
void view_uses_make(struct view_uses *now, const struct view_uses *before,
		    const json_t *exports, const json_t *stats, uint64_t ns);

#endif
