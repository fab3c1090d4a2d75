/* extent.c - see extent.h.
 *
 * The map is merged in windows that grow: who wants one extent pays for a
 * small one, who asks for much of a sparse disk for few large ones. A table
 * that can't be read is an error of what lies there alone: in front of it
 * windows get smaller.
 */
#include "engine/chain/extent.h"

#include "engine/chain/plan.h"
#include "engine/util/bytes.h"

#define WINDOW_FIRST (1u << 20)
#define WINDOW_GROWS 8
#define WINDOW_MAX (16ull << 30)	/* bounds the plan's memory */
#define WINDOW_MIN 512

struct extents {
	struct extent *extent;
	size_t max, count;
};

static unsigned extents_depth_of(const struct node *top,
				 const struct node *node)
{
	unsigned depth = 0;

	if (!node)
		return 0;
	for (; top; top = top->backing, depth++)
		if (top == node)
			break;
	return depth + 1;
}

/* False if there is no room for it. */
static bool extents_add(struct extents *x, const struct extent *next)
{
	struct extent *last = x->count ? &x->extent[x->count - 1] : NULL;

	if (last && last->depth == next->depth && last->zero == next->zero) {
		last->len += next->len;
		return true;
	}
	if (x->count == x->max)
		return false;
	x->extent[x->count++] = *next;
	return true;
}

/* *full: nothing more fits. */
static int add_window(struct extents *x, struct node *top, uint64_t off,
		      uint64_t len, bool *full)
{
	struct node *culprit;
	struct plan plan;
	int rc = plan_build(&plan, top, NULL, off, len, &culprit);

	if (rc)
		return rc;
	for (size_t i = 0; i < plan.count && !*full; i++) {
		const struct span *s = &plan.span[i];
		struct extent next = {
			.len = s->len,
			.depth = extents_depth_of(top, s->node),
			.zero = s->kind != RUN_DATA,
		};

		*full = !extents_add(x, &next);
	}
	plan_release(&plan);
	return 0;
}

int extents_find(struct node *top, uint64_t off, uint64_t len,
		 struct extent *out, size_t max, size_t *count)
{
	struct extents x = { .extent = out, .max = max };
	uint64_t window = WINDOW_FIRST, n;
	bool full = false;
	int rc = 0;

	while (len && !full) {
		n = min_u64(window, len);
		rc = add_window(&x, top, off, n, &full);
		if (rc && (x.count || n <= WINDOW_MIN))
			break;
		if (rc) {
			window = n / 2;
			continue;
		}
		window = min_u64(window * WINDOW_GROWS, WINDOW_MAX);
		off += n;
		len -= n;
	}
	*count = x.count;
	return x.count ? 0 : rc;
}
