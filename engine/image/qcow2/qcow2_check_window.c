/* qcow2_check_window.c - the walk over everything, a window of counters at a
 * time. See qcow2_check.h.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define BUDGET_MIN (64ull << 20)	/* bytes of tables to be read */
#define BUDGET_TIMES 256u		/* and so often the bytes on disk */
/* Counters for the window at c->first, all 0. */
static int window_new(struct check *c)
{
	uint64_t left = align_up(c->clusters - c->first + 1,
				 1ull << c->block_bits);
	uint64_t most = align_down(c->o->counters ? c->o->counters :
				   CHECK_WINDOW, 1ull << c->block_bits);

	free(c->count);
	free(c->touched);
	c->window = max_u64(min_u64(left, most), 1ull << c->block_bits);
	c->count = mem_try(c->window, sizeof(*c->count));
	c->touched = mem_try(c->window >> c->block_bits, 1);
	if (c->count && c->touched)
		return 0;
	return check_fail(c, -ENOMEM, "Could not count the clusters of '%s'",
			  c->file->path);
}

void check_budget(struct check *c)
{
	c->budget = BUDGET_MIN + BUDGET_TIMES * file_disk_bytes(c->file);
}

int check_windows(struct check *c, int (*fn)(struct check *c))
{
	check_budget(c);
	c->clusters = div_round_up(c->end, c->cluster);
	c->again = false;
	for (c->first = 0; c->first < c->clusters; c->first += c->window) {
		if (window_new(c) || check_walk(c) || (fn && fn(c)))
			return -1;
		c->again = true;
	}
	c->again = false;
	return 0;
}

int check_load_table(struct check *c)
{
	uint64_t bytes = (uint64_t)c->h.rt_clusters << c->cluster_bits;
	uint8_t *raw = mem_try(1, max_u64(bytes, 8));
	int rc = -ENOMEM;

	check_stored_forget(c);
	free(c->rt);
	c->rt_count = (uint32_t)(bytes / 8);
	c->rt = mem_try(max_u64(c->rt_count, 1), sizeof(*c->rt));
	if (raw && c->rt)
		rc = file_read(c->file, c->h.rt_offset, raw, bytes);
	for (uint32_t i = 0; !rc && i < c->rt_count; i++)
		c->rt[i] = get_be64(raw + i * 8ull);
	free(raw);
	return rc ? check_fail(c, rc, "Could not read the refcount table of "
			       "'%s'", c->file->path) : 0;
}
