/* node.c - see node.h. */
#include "engine/image/node.h"

#include <errno.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/clock.h"

void node_tell(struct node *node, struct event *ev)
{
	if (!node->tell)
		return;
	memcpy(ev->node, node->name, sizeof(ev->node));
	node->tell(node, ev);
}

int node_map(struct node *node, uint64_t off, uint64_t len, struct run *run)
{
	return node->drv->map(node, off, min_u64(len, node->size - off), run);
}

static void node_stats_touch(struct node_stats *s, uint64_t now)
{
	atomic_store_explicit(&s->last_ns, now, memory_order_relaxed);
}

void node_stats_refuse(struct node_stats *s, enum node_request what)
{
	_Atomic uint64_t *const at[] = {
		[NODE_RD] = &s->rd_invalid, [NODE_WR] = &s->wr_invalid,
		[NODE_UNMAP] = &s->unmap_invalid,
		[NODE_FLUSH] = &s->flush_invalid,
	};

	node_stats_touch(s, clock_ns());
	atomic_fetch_add(at[what], 1);
}

void node_stats_add(struct node_stats *s, enum node_request what,
		    uint64_t len, uint64_t began, int rc)
{
	const struct {
		_Atomic uint64_t *bytes, *ops, *ns, *failed;
	} at[] = {
		[NODE_RD] = { &s->rd_bytes, &s->rd_ops, &s->rd_ns,
			      &s->rd_failed },
		[NODE_WR] = { &s->wr_bytes, &s->wr_ops, &s->wr_ns,
			      &s->wr_failed },
		[NODE_UNMAP] = { &s->unmap_bytes, &s->unmap_ops, &s->unmap_ns,
				 &s->unmap_failed },
		[NODE_FLUSH] = { NULL, &s->flush_ops, &s->flush_ns,
				 &s->flush_failed },
	};
	uint64_t now = clock_ns();

	node_stats_touch(s, now);
	if (rc) {
		atomic_fetch_add(at[what].failed, 1);
		return;
	}
	if (at[what].bytes)
		atomic_fetch_add(at[what].bytes, len);
	atomic_fetch_add(at[what].ops, 1);
	atomic_fetch_add(at[what].ns, now - began);
}
