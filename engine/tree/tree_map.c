/* tree_map.c - what each image of a tree holds of the disk, and what of that
 * nobody sees, for those who look on.
 *
 * Cell by cell, and in each the images from the top down: what an image leaves
 * open is seen of the one below, and where several lie on that, what any of
 * them leaves open. So each image is walked once, however deep the tree is.
 */
#include "engine/tree/tree_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tree/tree.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

/* Runs looked at of an image in one call, whatever it is: some milliseconds. */
#define RUNS_MAX 16384u

struct look {
	struct tree tree;
	struct tree_map *map;
	struct gaps parts;	/* of the disk, that are shown */
	unsigned runs;		/* of a piece of an image */
};

/* --- what is seen from above --- */

static int gap_order(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* In order, and what overlaps put together. */
static void gaps_unite(struct gaps *gaps)
{
	size_t n = 0;

	if (!gaps->n)
		return;
	qsort(gaps->gap, gaps->n, sizeof(*gaps->gap), gap_order);
	for (size_t i = 1; i < gaps->n; i++) {
		const struct gap *next = &gaps->gap[i];

		if (next->off <= gaps->gap[n].end)
			gaps->gap[n].end = max_u64(gaps->gap[n].end, next->end);
		else
			gaps->gap[++n] = *next;
	}
	gaps->n = n + 1;
}

/* Of what is seen of @l, gap *i and those behind it: the bytes of [off, end),
 * which @below (or NULL) gets to show. *i moves on. */
static int seen_upto(struct layer *l, size_t *i, uint64_t off, uint64_t end,
		     struct layer *below, uint64_t *bytes)
{
	*bytes = 0;
	for (; *i < l->seen.n && l->seen.gap[*i].off < end; ++*i) {
		const struct gap *gap = &l->seen.gap[*i];
		uint64_t from = max_u64(gap->off, off);
		uint64_t to = min_u64(gap->end, end);
		int rc = below && from < to ? gaps_add(&below->seen, from, to)
					    : 0;

		if (rc)
			return rc;
		*bytes += from < to ? to - from : 0;
		if (gap->end > end)
			break;
	}
	return 0;
}

/* --- one image, one piece of the disk --- */

static void map_count(struct map_cell *cell, const struct run *run,
		      uint64_t seen)
{
	switch (run->kind) {
	case RUN_DATA:
		cell->data += run->len;
		cell->dead += run->len - seen;
		break;
	case RUN_ZERO:
		cell->zero += run->len;
		break;
	case RUN_COMPRESSED:
		cell->compressed += run->len;
		cell->dead += run->len - seen;
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

static void cell_add(struct map_cell *to, const struct map_cell *from)
{
	to->data += from->data;
	to->zero += from->zero;
	to->compressed += from->compressed;
	to->dead += from->dead;
}

static int layer_piece(struct look *k, struct layer *l, uint64_t off,
		       uint64_t end, struct map_cell *cell)
{
	uint64_t at = off, seen;
	struct run run;
	size_t i = 0;
	int rc = 0;

	for (unsigned runs = k->runs; at < end && runs && !rc; runs--) {
		rc = tree_look(&k->tree, l->node, at, end - at, &run);
		if (rc)
			break;
		rc = seen_upto(l, &i, at, at + run.len, run.kind == RUN_HOLE ?
			       l->below : NULL, &seen);
		map_count(cell, &run, seen);
		at += run.len;
	}
	if (rc || at >= end)
		return rc;
	extrapolate(cell, at - off, end - off);
	k->map->exact = false;
	/* What is not known to be hidden is seen. */
	return seen_upto(l, &i, at, end, l->below, &seen);
}

/* --- all of them --- */

/* Beyond its end an image hides what is below with zeroes. */
static int look_piece(struct look *k, uint64_t off, uint64_t end, size_t cell)
{
	struct tree *t = &k->tree;
	int rc = 0;

	for (size_t i = t->n; i-- && !rc; ) {
		struct layer *l = &t->layer[i];
		struct tree_image *image = &k->map->image[i];
		uint64_t upto = min_u64(end, l->node->size);
		struct map_cell sum = { 0 };

		if (l->read)
			rc = gaps_add(&l->seen, off, end);
		gaps_unite(&l->seen);
		if (!rc && off < upto)
			rc = layer_piece(k, l, off, upto, &sum);
		cell_add(&image->sum, &sum);
		if (image->cell)
			cell_add(&image->cell[cell], &sum);
		l->seen.n = 0;
	}
	for (size_t i = 0; i < t->n; i++)
		t->layer[i].seen.n = 0;
	return rc;
}

static uint64_t cell_end(const struct tree_map *map, size_t i)
{
	return map->shown / map->cells * i + map->shown % map->cells * i /
		map->cells;
}

/* @done bytes of what is shown have been looked at. */
static int look_part(struct look *k, const struct gap *part, uint64_t *done,
		     size_t *cell)
{
	uint64_t off = part->off, end;
	int rc = 0;

	while (off < part->end && !rc) {
		while (cell_end(k->map, *cell + 1) <= *done)
			++*cell;
		end = min_u64(part->end, off + cell_end(k->map, *cell + 1) -
			      *done);
		rc = look_piece(k, off, end, *cell);
		*done += end - off;
		off = end;
	}
	return rc;
}

static int look_all(struct look *k)
{
	uint64_t done = 0;
	size_t cell = 0;
	int rc = 0;

	k->runs = RUNS_MAX / (unsigned)(k->map->cells + k->parts.n) + 1;
	for (size_t i = 0; i < k->parts.n && !rc; i++)
		rc = look_part(k, &k->parts.gap[i], &done, &cell);
	return rc;
}

static int map_begin(struct tree_map *map, const struct tree *t,
		     const struct tree_map_options *o)
{
	*map = (struct tree_map) { .size = tree_size(t), .exact = true,
				   .cells = o->cells };
	map->image = mem_try(t->n, sizeof(*map->image));
	if (!map->image)
		return -ENOMEM;
	for (; map->n < t->n; map->n++) {
		struct tree_image *image = &map->image[map->n];
		const char *name = t->layer[map->n].node->name;

		memcpy(image->node, name, sizeof(image->node));
		if (o->wants && !o->wants(o->arg, name))
			continue;
		image->cell = mem_try(o->cells, sizeof(*image->cell));
		if (!image->cell)
			return -ENOMEM;
	}
	return 0;
}

static int map_tree(struct look *k, struct node *node,
		    const struct tree_map_options *o)
{
	int rc = tree_init(&k->tree, node);

	if (!rc)
		rc = map_begin(k->map, &k->tree, o);
	if (!rc && o->whole)
		rc = gaps_add(&k->parts, 0, k->map->size);
	else if (!rc)
		rc = tree_parts(&k->tree, &k->parts);
	for (size_t i = 0; i < k->parts.n; i++)
		k->map->shown += k->parts.gap[i].end - k->parts.gap[i].off;
	if (!rc && k->map->shown)
		rc = look_all(k);
	tree_release(&k->tree);
	free(k->parts.gap);
	return rc;
}

int tree_map_of(struct tree_map *map, struct node *node,
		const struct tree_map_options *o)
{
	struct look look = { .map = map };

	return map_tree(&look, node, o);
}

void tree_map_release(struct tree_map *map)
{
	for (size_t i = 0; i < map->n; i++)
		free(map->image[i].cell);
	free(map->image);
	*map = (struct tree_map) { 0 };
}
