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

static bool is_refused(int rc)
{
	return rc == -EINVAL || rc == -EROFS || rc == -EPERM || rc == -ENODEV;
}

void node_stats_add(struct node_stats *s, enum node_request what,
		    uint64_t len, uint64_t began, int rc)
{
	const struct {
		_Atomic uint64_t *bytes, *ops, *ns, *failed, *invalid;
	} at[] = {
		[NODE_RD] = { &s->rd_bytes, &s->rd_ops, &s->rd_ns,
			      &s->rd_failed, &s->rd_invalid },
		[NODE_WR] = { &s->wr_bytes, &s->wr_ops, &s->wr_ns,
			      &s->wr_failed, &s->wr_invalid },
		[NODE_UNMAP] = { &s->unmap_bytes, &s->unmap_ops, &s->unmap_ns,
				 &s->unmap_failed, &s->unmap_invalid },
		[NODE_FLUSH] = { NULL, &s->flush_ops, &s->flush_ns,
				 &s->flush_failed, &s->flush_invalid },
	};
	uint64_t now = clock_ns();

	atomic_store_explicit(&s->last_ns, now, memory_order_relaxed);
	if (rc) {
		atomic_fetch_add(is_refused(rc) ? at[what].invalid :
				 at[what].failed, 1);
		return;
	}
	if (at[what].bytes)
		atomic_fetch_add(at[what].bytes, len);
	atomic_fetch_add(at[what].ops, 1);
	atomic_fetch_add(at[what].ns, now - began);
}
