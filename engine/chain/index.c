/* index.c - merged maps, a slice at a time. See index.h.
 *
 * A slice is built without the lock: it is held by nobody else yet, and this
 * chain does not change under its reader. If two build the same slice at once,
 * the second one's is thrown away.
 */
#include "engine/chain/index.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/chain/plan.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define SLICE_BITS 26			/* 64 MiB of the disk */
#define SLICE_BYTES (1ull << SLICE_BITS)
#define INDEX_BUCKETS 1024
#define INDEX_SLICES_MAX 4096
#define INDEX_SPANS_MAX ((16u << 20) / sizeof(struct span))

struct slice {
	uint64_t number;		/* offset >> SLICE_BITS */
	struct plan plan;
	struct slice *next;		/* in its bucket */
	struct list lru;
};

struct index {
	struct lock lock;		/* leaf; guards all below */
	const _Atomic uint64_t *now;	/* the graph's shape ... */
	uint64_t shape;			/* ... and that it was built for */
	struct slice **bucket;		/* NULL until the first slice */
	struct list lru;		/* struct slice, last used first */
	size_t slices, spans;
};

struct index *index_new(const _Atomic uint64_t *shape)
{
	struct index *index = mem_alloc(sizeof(*index));

	index->now = shape;
	lock_init(&index->lock);
	list_init(&index->lru);
	return index;
}

static void slice_free(struct slice *slice)
{
	plan_release(&slice->plan);
	free(slice);
}

static struct slice **slice_place(struct index *index, uint64_t number)
{
	struct slice **at = &index->bucket[number % INDEX_BUCKETS];

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void slice_drop(struct index *index, struct slice *slice)
{
	*slice_place(index, slice->number) = slice->next;
	list_del(&slice->lru);
	index->slices--;
	index->spans -= slice->plan.count;
	slice_free(slice);
}

static struct slice *slice_oldest(struct index *index)
{
	return container_of(index->lru.prev, struct slice, lru);
}

static void index_clear(struct index *index)
{
	while (!list_is_empty(&index->lru))
		slice_drop(index, slice_oldest(index));
}

void index_free(struct index *index)
{
	if (!index)
		return;
	index_clear(index);
	free(index->bucket);
	lock_release(&index->lock);
	free(index);
}

/* The part of the slice's map that holds byte @off. */
static struct span slice_at(const struct slice *slice, uint64_t off)
{
	size_t low = 0, high = slice->plan.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (slice->plan.span[middle].off <= off)
			low = middle;
		else
			high = middle;
	}
	return slice->plan.span[low];
}

/* From what is cached; index->lock is held. */
static bool index_look(struct index *index, uint64_t shape, uint64_t off,
		       struct span *out)
{
	struct slice *slice;

	if (index->shape != shape) {
		index_clear(index);
		index->shape = shape;
	}
	if (!index->bucket)
		return false;
	slice = *slice_place(index, off >> SLICE_BITS);
	if (!slice)
		return false;
	list_del(&slice->lru);
	list_add(&index->lru, &slice->lru);
	*out = slice_at(slice, off);
	return true;
}

/* Takes @slice, of @shape; index->lock is held. Without memory, and where
 * somebody has seen another shape since, it is not kept. */
static void index_enter(struct index *index, uint64_t shape,
			struct slice *slice)
{
	struct slice **at = NULL;

	if (!index->bucket)
		index->bucket = mem_try(INDEX_BUCKETS,
					sizeof(index->bucket[0]));
	if (index->bucket && index->shape == shape)
		at = slice_place(index, slice->number);
	if (!at || *at) {
		slice_free(slice);
		return;
	}
	*at = slice;
	list_add(&index->lru, &slice->lru);
	index->slices++;
	index->spans += slice->plan.count;
	while (index->slices > INDEX_SLICES_MAX ||
	       (index->spans > INDEX_SPANS_MAX && index->slices > 1))
		slice_drop(index, slice_oldest(index));
}

static int slice_build(struct node *top, uint64_t number, struct slice **out)
{
	struct slice *slice = mem_try(1, sizeof(*slice));
	struct node *culprit;
	int rc;

	if (!slice)
		return -ENOMEM;
	slice->number = number;
	rc = plan_build(&slice->plan, top, NULL, number << SLICE_BITS,
			SLICE_BYTES, &culprit);
	if (rc)
		free(slice);
	else
		*out = slice;
	return rc;
}

int index_find(struct node *top, uint64_t off, uint64_t len, struct span *out)
{
	struct index *index = top->index;
	uint64_t shape = atomic_load(index->now);
	struct slice *slice;
	bool found;
	int rc;

	lock_take(&index->lock);
	found = index_look(index, shape, off, out);
	lock_drop(&index->lock);
	if (!found) {
		rc = slice_build(top, off >> SLICE_BITS, &slice);
		if (rc)
			return rc;
		*out = slice_at(slice, off);
		lock_take(&index->lock);
		index_enter(index, shape, slice);
		lock_drop(&index->lock);
	}
	out->len = min_u64(out->off + out->len - off, len);
	out->off = off;
	return 0;
}
