/* tree.c - the images of a tree, and which parts of its disk have data; see
 * tree_map.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/tree/tree.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define LOOKS 1024u		/* between two pauses: a millisecond at most */
#define GRAIN 65536u		/* the finest that is told apart */
#define GRAINS 16384u
#define PARTS 512u

int gaps_add(struct gaps *gaps, uint64_t off, uint64_t end)
{
	struct gap *last = gaps->n ? &gaps->gap[gaps->n - 1] : NULL;
	void *p;

	if (last && last->end == off) {
		last->end = end;
		return 0;
	}
	p = mem_try_more(gaps->gap, &gaps->cap, gaps->n + 1,
			 sizeof(*gaps->gap));
	if (!p)
		return -ENOMEM;
	gaps->gap = p;
	gaps->gap[gaps->n++] = (struct gap) { off, end };
	return 0;
}

/* --- who belongs to it --- */

static int tree_order(const void *a, const void *b)
{
	const struct node *v = ((const struct layer *)a)->node->backing;
	const struct node *w = ((const struct layer *)b)->node->backing;

	return v < w ? -1 : v > w;
}

/* The first of @all, which are sorted, that lies on @node; or its end. */
static size_t tree_first_on(const struct layer *all, size_t n,
			    const struct node *node)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (all[middle].node->backing < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void tree_add(struct tree *t, struct node *node, struct layer *below)
{
	t->layer[t->n++] = (struct layer) {
		.node = node, .below = below, .read = graph_root_of(node),
	};
}

/* All images, by what they lie on; *n: how many. NULL: no memory. */
static struct layer *tree_all(struct graph *g, size_t *n)
{
	struct layer *all;

	*n = 0;
	list_for_each(link, &g->nodes)
		++*n;
	all = mem_try(*n + 1, sizeof(*all));
	*n = 0;
	list_for_each(link, &g->nodes)
		if (all)
			all[(*n)++].node = container_of(link, struct node,
							link);
	if (all)
		qsort(all, *n, sizeof(*all), tree_order);
	return all;
}

int tree_init(struct tree *t, struct node *node)
{
	struct layer *all;
	size_t n;

	*t = (struct tree) { .graph = node->graph,
			     .shape = atomic_load(&node->graph->shape) };
	all = tree_all(t->graph, &n);
	t->layer = all ? mem_try(n + 1, sizeof(*t->layer)) : NULL;
	if (t->layer) {
		while (node->backing)
			node = node->backing;
		tree_add(t, node, NULL);
		for (size_t i = 0; i < t->n; i++) {
			struct layer *l = &t->layer[i];
			size_t at = tree_first_on(all, n, l->node);

			l->read |= at == n || all[at].node->backing != l->node;
			for (; at < n && all[at].node->backing == l->node; at++)
				tree_add(t, all[at].node, l);
		}
	}
	free(all);
	return t->layer ? 0 : -ENOMEM;
}

void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->layer[i].seen.gap);
	free(t->layer);
}

uint64_t tree_size(const struct tree *t)
{
	uint64_t size = 0;

	for (size_t i = 0; i < t->n; i++)
		size = max_u64(size, t->layer[i].node->size);
	return size;
}

int tree_look(struct tree *t, struct node *node, uint64_t off, uint64_t len,
	      struct run *run)
{
	/* An image that is not there holds nothing that could be shown. */
	if (node->drv == &driver_missing) {
		*run = (struct run) { .kind = RUN_HOLE, .off = off,
				      .len = len };
		return 0;
	}
	if (++t->looks > LOOKS) {
		rwlock_drop(&t->graph->lock);
		rwlock_read(&t->graph->lock);
		t->looks = 0;
		if (atomic_load(&t->graph->shape) != t->shape)
			return -EAGAIN;
	}
	return node_map(node, off, len, run);
}

/* --- which parts have data --- */

/* A part of @grain bytes is one of @bit. */
struct grains {
	uint64_t size;			/* of the disk, as it was */
	uint64_t grain;
	size_t n;
	bool *bit;
};

/* What one image adds; what is known to have data is passed over. */
static int tree_mark(struct tree *t, struct node *node, struct grains *g)
{
	uint64_t at = 0, size = min_u64(node->size, g->size);
	struct run run;
	int rc;

	while (at < size) {
		if (g->bit[at / g->grain]) {
			at = (at / g->grain + 1) * g->grain;
			continue;
		}
		rc = tree_look(t, node, at, size - at, &run);
		if (rc)
			return rc;
		if (run.kind != RUN_DATA && run.kind != RUN_COMPRESSED) {
			at += run.len;
			continue;
		}
		for (uint64_t end = at + run.len; at < end;
		     at = (at / g->grain + 1) * g->grain)
			g->bit[at / g->grain] = true;
	}
	return 0;
}

static int grains_to_parts(const struct grains *g, struct gaps *parts)
{
	int rc = 0;

	parts->n = 0;
	for (size_t i = 0; i < g->n && !rc; i++)
		if (g->bit[i])
			rc = gaps_add(parts, i * g->grain,
				      min_u64((i + 1) * g->grain, g->size));
	return rc;
}

static void coarsen(struct grains *g)
{
	g->grain *= 2;
	g->n = (g->n + 1) / 2;
	for (size_t i = 0; i < g->n; i++)
		g->bit[i] = g->bit[2 * i] | g->bit[2 * i + 1];
}

static uint64_t gaps_bytes(const struct gaps *gaps)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < gaps->n; i++)
		sum += gaps->gap[i].end - gaps->gap[i].off;
	return sum;
}

int tree_parts(struct tree *t, struct gaps *parts)
{
	uint64_t size = tree_size(t), bytes;
	struct grains g = { .size = size, .grain = GRAIN };
	int rc = 0;

	while (size / g.grain >= GRAINS)
		g.grain *= 2;
	g.n = size / g.grain + 1;
	g.bit = mem_try(g.n + 2, sizeof(*g.bit));
	if (!g.bit)
		return -ENOMEM;
	for (size_t i = 0; i < t->n && !rc; i++)
		rc = tree_mark(t, t->layer[i].node, &g);
	if (!rc)
		rc = grains_to_parts(&g, parts);
	while (!rc && parts->n > PARTS) {
		coarsen(&g);
		rc = grains_to_parts(&g, parts);
	}
	free(g.bit);
	bytes = gaps_bytes(parts);
	if (rc || (bytes && bytes < size / 2))
		return rc;
	parts->n = 0;
	return size ? gaps_add(parts, 0, size) : 0;
}
