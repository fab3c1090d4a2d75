/* nodes.h - the engine's nodes as BlockDeviceInfo and ImageInfo. */
#ifndef BLKMON_QMP_NODES_H
#define BLKMON_QMP_NODES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

/* All nodes at one moment. */
struct nodes {
	struct node_info *list;
	size_t n;
	json_t **chain;		/* of each, its ImageInfo with those below, or
				   NULL: made when it is wanted, and shared by
				   all that lie on it */
};

/* 0, or -1 and *err: there is nothing to release. */
int nodes_init(struct nodes *nodes, struct engine *engine, struct err *err);
void nodes_release(struct nodes *nodes);
/* By name; NULL for "" and for what is not there. */
const struct node_info *nodes_find(const struct nodes *nodes,
				   const char *name);

/* SnapshotInfo. */
json_t *nodes_snapshot(const struct snapshot_info *s);
/* BlockDeviceInfo of 7.2. @flat: without the images below. What is nested in
 * it is shared, so it must not be changed. */
json_t *nodes_device_info(const struct nodes *nodes,
			  const struct node_info *node, bool flat);

#endif
