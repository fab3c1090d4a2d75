/* qcow2_check_count.c - how often a cluster is named, and how often the
 * refcounts on disk say so. See qcow2_check.h.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

bool check_in_window(const struct check *c, uint64_t cluster)
{
	return cluster >= c->first && cluster - c->first < c->window;
}

uint32_t check_refs(const struct check *c, uint64_t cluster)
{
	uint32_t refs = check_counted(c, cluster) & CHECK_COUNT;

	return refs < c->count_max ? refs : c->count_max;
}

uint64_t check_needed(const struct check *c, uint64_t cluster)
{
	uint32_t refs = check_refs(c, cluster);

	return refs ? refs : check_counted(c, cluster) != 0;
}

uint32_t check_counted(const struct check *c, uint64_t cluster)
{
	return check_in_window(c, cluster) ? c->count[cluster - c->first] : 0;
}

/* A cluster lies in one window only, so this is found once. */
static void say_overflow(struct check *c, uint64_t cluster)
{
	bool again = c->again;

	c->again = false;
	check_corrupt(c, "ERROR: overflow cluster offset=0x%" PRIx64,
		      cluster << c->cluster_bits);
	c->again = again;
}

static void count_one(struct check *c, uint64_t cluster, enum check_role role)
{
	uint32_t *count = &c->count[cluster - c->first];

	c->touched[(cluster - c->first) >> c->block_bits] = 1;
	*count |= (uint32_t)role;
	if ((*count & CHECK_COUNT) < CHECK_COUNT)
		++*count;
	if ((*count & CHECK_COUNT) > c->count_max)
		say_overflow(c, cluster);
}

/* What ends outside does not count, but its part inside is in use. */
static void mark_inside(struct check *c, uint64_t off, enum check_role role)
{
	uint64_t k = max_u64(off >> c->cluster_bits, c->first);
	uint64_t end = div_round_up(c->end, c->cluster);

	for (; k < end && check_in_window(c, k); k++) {
		c->touched[(k - c->first) >> c->block_bits] = 1;
		c->count[k - c->first] |= (uint32_t)role;
	}
}

static void count_outside(struct check *c, uint64_t off, uint64_t len,
			  enum check_role role)
{
	mark_inside(c, off, role);
	c->outside = true;
	if (off < c->watch_end)
		c->hit = max_u64(c->hit, off + len);
	check_corrupt(c, "ERROR: counting reference for region exceeding the "
		      "end of the file by one cluster or more: offset 0x%"
		      PRIx64 " size 0x%" PRIx64, off, len);
}

/* The last cluster may begin before the end and stop behind it. */
void check_count(struct check *c, uint64_t off, uint64_t len,
		 enum check_role role)
{
	uint64_t k, last;

	if (!len)
		return;
	if (off + len >= c->end + c->cluster) {
		count_outside(c, off, len, role);
		return;
	}
	k = max_u64(off >> c->cluster_bits, c->first);
	last = (off + len - 1) >> c->cluster_bits;
	c->clusters = max_u64(c->clusters, last + 1);
	c->top = max_u64(c->top, last + 1);
	for (; k <= last && check_in_window(c, k); k++)
		count_one(c, k, role);
}

/* --- the refcounts on disk --- */

void check_stored_forget(struct check *c)
{
	for (unsigned i = 0; i < CHECK_BLOCKS; i++) {
		free(c->stored[i].data);
		c->stored[i] = (struct check_stored){ 0 };
	}
}

int check_stored_block(struct check *c, uint64_t block, uint8_t **data)
{
	struct check_stored *s = &c->stored[block % c->stored_count];
	uint64_t at = block < c->rt_count ?
		c->rt[block] & ~CHECK_RT_RESERVED : 0;

	*data = NULL;
	if (!at)
		return 0;
	if (!is_aligned(at, c->cluster) || at > INT64_MAX - c->cluster)
		return -EIO;
	if (!s->data || s->index != block) {
		if (!s->data)
			s->data = buf_new(c->cluster);
		if (!s->data)
			return -ENOMEM;
		s->index = block;
		s->rc = file_read(c->file, at, s->data, c->cluster);
	}
	*data = s->data;
	return s->rc;
}

int check_stored_count(struct check *c, uint64_t cluster, uint64_t *count)
{
	uint8_t *data;
	int rc = check_stored_block(c, cluster >> c->block_bits, &data);

	*count = 0;
	if (!rc && data)
		*count = qcow2_count_get(data, c->h.refcount_order, cluster &
					 ((1ull << c->block_bits) - 1));
	return rc;
}

/* --- the comparison --- */

static void compare_one(struct check *c, uint64_t cluster, uint64_t stored,
			uint64_t counted)
{
	if (stored || counted)
		c->highest = cluster;
	if (stored == counted)
		return;
	check_say(c, "%s cluster %" PRIu64 " refcount=%" PRIu64
		  " reference=%" PRIu64, stored < counted ? "ERROR" : "Leaked",
		  cluster, stored, counted);
	if (!stored)
		c->rebuild = true;
	if (stored < counted)
		c->r.corruptions++;
	else
		c->r.leaks++;
}

static void compare_unread(struct check *c, uint64_t cluster, int rc)
{
	check_say(c, "Can't get refcount for cluster %" PRIu64 ": %s", cluster,
		  strerror(-rc));
	c->r.check_errors++;
}

/* The clusters that block @block counts, up to the last one there is. */
static uint64_t block_end(const struct check *c, uint64_t block)
{
	return min_u64((block + 1) << c->block_bits, c->clusters);
}

static void compare_block(struct check *c, uint64_t block)
{
	uint64_t k = block << c->block_bits, end = block_end(c, block);
	uint8_t *data;
	int rc = check_stored_block(c, block, &data);

	if (!rc && !data && !c->touched[(k - c->first) >> c->block_bits])
		return;
	for (uint64_t i = 0; k < end; k++, i++) {
		if (rc)
			compare_unread(c, k, rc);
		else
			compare_one(c, k, data ? qcow2_count_get(data,
				    c->h.refcount_order, i) : 0,
				    check_refs(c, k));
	}
}

static uint64_t window_end(const struct check *c)
{
	return min_u64(c->first + c->window, c->clusters);
}

int check_compare(struct check *c)
{
	bool again = c->again;

	c->again = false;
	for (uint64_t b = c->first >> c->block_bits;
	     b << c->block_bits < window_end(c); b++)
		compare_block(c, b);
	c->again = again;
	return 0;
}

/* Where there is no memory to note it the host keeps its place. */
static void note_freed(struct check *c, uint64_t cluster)
{
	struct qcow2_extent *last = c->freed_count ?
		&c->freed[c->freed_count - 1] : NULL, *more;
	size_t cap = c->freed_cap ? c->freed_cap * 2 : 64;

	if (last && last->first + last->count == cluster) {
		last->count++;
		return;
	}
	if (c->freed_count == c->freed_cap) {
		more = reallocarray(c->freed, cap, sizeof(*more));
		if (!more)
			return;
		c->freed = more;
		c->freed_cap = cap;
	}
	c->freed[c->freed_count++] = (struct qcow2_extent){ cluster, 1 };
}

void check_give_back(struct check *c)
{
	uint64_t size = atomic_load(&c->file->size);

	for (size_t i = 0; i < c->freed_count; i++) {
		uint64_t at = c->freed[i].first << c->cluster_bits;
		uint64_t end = at + (c->freed[i].count << c->cluster_bits);

		if (at < size)
			(void)file_discard(c->file, at,
					   min_u64(end, size) - at);
	}
}

/* Changes @data; true if there was anything to change. */
static bool correct_block(struct check *c, uint64_t block, uint8_t *data)
{
	unsigned order = c->h.refcount_order;
	uint64_t k = block << c->block_bits;
	bool changed = false;

	for (uint64_t i = 0; k < block_end(c, block); k++, i++) {
		uint64_t stored = qcow2_count_get(data, order, i);
		uint64_t counted = check_needed(c, k);

		if (stored == counted || (stored < counted &&
					  c->o->fix != CHECK_FIX_ALL))
			continue;
		qcow2_count_set(data, order, i, counted);
		if (!counted)
			note_freed(c, k);
		changed = true;
	}
	return changed;
}

/* Only a block that is nothing else is written to. */
int check_correct(struct check *c)
{
	for (uint64_t b = c->first >> c->block_bits;
	     b << c->block_bits < window_end(c); b++) {
		uint8_t *data;
		int rc = check_stored_block(c, b, &data);

		if (rc || !data || !correct_block(c, b, data))
			continue;
		rc = file_write(c->file, c->rt[b] & ~CHECK_RT_RESERVED, data,
				c->cluster);
		if (rc)
			return check_fail(c, rc, "Could not write the "
					  "refcounts of '%s'", c->file->path);
	}
	return 0;
}
