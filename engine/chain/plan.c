/* plan.c - merges the maps of many layers; see plan.h.
 *
 * `open` holds what no layer has answered for yet, sorted; layers are asked
 * from the top down and take away what they answer. Each layer is walked run
 * by run over what is open, so the work is the sum of the runs; a layer that
 * has nothing there says so in one call. What was answered comes in any order
 * and is sorted at the end.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/chain/plan.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

struct gap {
	uint64_t off, end;
};

struct gaps {
	struct gap *gap;	/* sorted, apart from each other */
	size_t count, cap;
};

struct merge {
	struct plan *plan;
	struct gaps open;	/* before this layer */
	struct gaps left;	/* after this layer */
};

static int plan_add_span(struct plan *plan, struct node *node,
			 enum run_kind kind, uint64_t off, uint64_t end)
{
	struct span *last = plan->count ? &plan->span[plan->count - 1] : NULL;
	void *p;

	if (last && last->node == node && last->kind == kind &&
	    last->off + last->len == off) {
		last->len += end - off;
		return 0;
	}
	p = mem_try_more(plan->span, &plan->cap, plan->count + 1,
			 sizeof(*plan->span));
	if (!p)
		return -ENOMEM;
	plan->span = p;
	plan->span[plan->count++] = (struct span){
		.off = off, .len = end - off, .node = node, .kind = kind,
	};
	return 0;
}

static int add_gap(struct gaps *gaps, uint64_t off, uint64_t end)
{
	struct gap *last = gaps->count ? &gaps->gap[gaps->count - 1] : NULL;
	void *p;

	if (last && last->end == off) {
		last->end = end;
		return 0;
	}
	p = mem_try_more(gaps->gap, &gaps->cap, gaps->count + 1,
			 sizeof(*gaps->gap));
	if (!p)
		return -ENOMEM;
	gaps->gap = p;
	gaps->gap[gaps->count++] = (struct gap){ off, end };
	return 0;
}

/* What @node says from @off on, at most to @end. Beyond its end it hides what
 * is below with zeroes. */
static int plan_ask(struct node *node, uint64_t off, uint64_t end,
		    enum run_kind *kind, uint64_t *run_end)
{
	uint64_t size = node->size;
	struct run run;
	int rc;

	*kind = RUN_ZERO;
	*run_end = end;
	if (off >= size)
		return 0;
	rc = node_map(node, off, min_u64(end, size) - off, &run);
	if (rc)
		return rc;
	*kind = run.kind == RUN_COMPRESSED ? RUN_DATA : run.kind;
	*run_end = off + run.len;
	return 0;
}

/* One answer that holds up to @end, for what is open from *at on, which lies
 * in gap number *i. Moves both behind it. */
static int plan_answer(struct merge *m, struct node *node, enum run_kind kind,
		       uint64_t end, size_t *i, uint64_t *at)
{
	while (*i < m->open.count && *at < end) {
		const struct gap *gap = &m->open.gap[*i];
		uint64_t upto = min_u64(end, gap->end);
		int rc = kind == RUN_HOLE ? add_gap(&m->left, *at, upto)
					  : plan_add_span(m->plan, node, kind,
							  *at, upto);

		if (rc)
			return rc;
		*at = upto;
		if (upto == gap->end && ++*i < m->open.count)
			*at = gap[1].off;
	}
	return 0;
}

static int merge_layer(struct merge *m, struct node *node)
{
	uint64_t at = m->open.gap[0].off, run_end;
	uint64_t end = m->open.gap[m->open.count - 1].end;
	enum run_kind kind;
	struct gaps done;
	size_t i = 0;
	int rc = plan_ask(node, at, end, &kind, &run_end);

	if (rc || (kind == RUN_HOLE && run_end == end))
		return rc;
	m->left.count = 0;
	for (;;) {
		rc = plan_answer(m, node, kind, run_end, &i, &at);
		if (rc || i == m->open.count)
			break;
		rc = plan_ask(node, at, end, &kind, &run_end);
		if (rc)
			break;
	}
	done = m->open;
	m->open = m->left;
	m->left = done;
	return rc;
}

static int plan_by_offset(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* Sorted, and neighbours that say the same put together. */
static void tidy(struct plan *plan)
{
	size_t n = plan->count;

	if (!n)
		return;
	qsort(plan->span, n, sizeof(*plan->span), plan_by_offset);
	plan->count = 1;
	for (size_t i = 1; i < n; i++) {
		struct span *last = &plan->span[plan->count - 1];
		const struct span *next = &plan->span[i];

		if (last->node == next->node && last->kind == next->kind)
			last->len += next->len;
		else
			plan->span[plan->count++] = *next;
	}
}

static int merge_layers(struct merge *m, struct node *top, struct node *stop,
			struct node **err_node)
{
	int rc = 0;

	for (struct node *n = top; n != stop && m->open.count && !rc;
	     n = n->backing) {
		*err_node = n;
		rc = merge_layer(m, n);
	}
	for (size_t i = 0; i < m->open.count && !rc; i++)
		rc = plan_add_span(m->plan, NULL, RUN_HOLE, m->open.gap[i].off,
				   m->open.gap[i].end);
	return rc;
}

int plan_build(struct plan *plan, struct node *top, struct node *stop,
	       uint64_t off, uint64_t len, struct node **err_node)
{
	struct merge m = { .plan = plan };
	int rc;

	*plan = (struct plan)PLAN_INIT;
	*err_node = top;
	if (!len)
		return 0;
	rc = add_gap(&m.open, off, off + len);
	if (!rc)
		rc = merge_layers(&m, top, stop, err_node);
	free(m.open.gap);
	free(m.left.gap);
	if (rc)
		plan_release(plan);
	else
		tidy(plan);
	return rc;
}

void plan_release(struct plan *plan)
{
	free(plan->span);
	*plan = (struct plan)PLAN_INIT;
}
