/* map.c - what a layer holds of each part of its disk, for those who look on;
 * see engine.h.
 */
#include <string.h>

#include "engine/engine_impl.h"
#include "engine/chain/graph.h"

/* Runs looked at in one call, whatever the image: some milliseconds. */
#define RUNS_MAX 16384u

static uint64_t part_start(uint64_t size, size_t i, size_t n)
{
	return size / n * i + size % n * i / n;
}

static void map_count(struct map_cell *cell, const struct run *run)
{
	switch (run->kind) {
	case RUN_DATA:
		cell->data += run->len;
		break;
	case RUN_ZERO:
		cell->zero += run->len;
		break;
	case RUN_COMPRESSED:
		cell->compressed += run->len;
		break;
	case RUN_HOLE:
		break;
	}
}

/* The part that was not looked at is taken to be like the rest. */
static void extrapolate(struct map_cell *cell, uint64_t seen, uint64_t len)
{
	double factor = (double)len / (double)seen;

	cell->data = (uint64_t)((double)cell->data * factor);
	cell->zero = (uint64_t)((double)cell->zero * factor);
	cell->compressed = (uint64_t)((double)cell->compressed * factor);
}

/* An image that is not there holds nothing that could be shown. */
static int map_look(struct node *node, uint64_t from, uint64_t to,
		    unsigned runs, struct map_cell *cell, bool *exact)
{
	uint64_t at = node->drv == &driver_missing ? to : from;
	struct run run;
	int rc;

	for (; at < to && runs; runs--) {
		rc = node_map(node, at, to - at, &run);
		if (rc)
			return rc;
		map_count(cell, &run);
		at += run.len;
	}
	if (at < to && at > from) {
		extrapolate(cell, at - from, to - from);
		*exact = false;
	}
	return 0;
}

/* Part @i of @n; the image is looked up anew, it may have gone. */
static int look_part(struct engine *e, const char *name, size_t i, size_t n,
		     struct map_cell *cell, uint64_t *size, bool *exact,
		     struct err *err)
{
	struct node *node;
	int rc = 0;

	rwlock_read(&e->graph.lock);
	node = graph_find(&e->graph, name);
	if (node) {
		*size = node->size;
		rc = map_look(node, part_start(*size, i, n),
			      part_start(*size, i + 1, n),
			      RUNS_MAX / (unsigned)n + 1, cell, exact);
		if (rc)
			err_sys(err, rc, "Could not read the map of '%s'",
				node->file->path);
	} else {
		err_set(err, ERR_DEVICE_NOT_FOUND,
			"Cannot find device='' nor node-name='%s'", name);
	}
	rwlock_drop(&e->graph.lock);
	return rc || !node ? -1 : 0;
}

int engine_node_map(struct engine *e, const char *node_name,
		    struct map_cell *cells, size_t n, uint64_t *size,
		    bool *exact, struct err *err)
{
	memset(cells, 0, n * sizeof(*cells));
	*exact = true;
	*size = 0;
	for (size_t i = 0; i < n; i++)
		if (look_part(e, node_name, i, n, &cells[i], size, exact,
			      err) < 0)
			return -1;
	return 0;
}
