/* place.c - see place.h.
 *
 * The map is merged in windows that grow as long as they are asked for in a
 * row, and each span of it is looked up in the image that it names.
 */
#include "engine/chain/place.h"

#include "engine/chain/chain_walk.h"
#include "engine/util/bytes.h"

#define PLACE_WINDOW_FIRST (1u << 20)
#define PLACE_WINDOW_GROWS 8
#define PLACE_WINDOW_MAX (16ull << 30)	/* bounds the plan's memory */

void places_init(struct places *p, struct node *top)
{
	*p = (struct places){ .top = top, .window = PLACE_WINDOW_FIRST };
}

void places_release(struct places *p)
{
	plan_release(&p->plan);
}

/* Makes [off, ...) the window. It ends at the disk's end, beyond which no
 * table says anything. */
static int places_look(struct places *p, uint64_t off)
{
	uint64_t len = min_u64(p->window, p->top->size - off);
	int rc;

	if (off != p->end)
		len = min_u64(len, PLACE_WINDOW_FIRST);
	plan_release(&p->plan);
	p->at = 0;
	p->off = p->end = off;
	rc = plan_build(&p->plan, p->top, NULL, off, len, &p->culprit);
	if (rc)
		return rc;
	p->end = off + len;
	p->window = min_u64(len * PLACE_WINDOW_GROWS, PLACE_WINDOW_MAX);
	return 0;
}

static const struct span *places_span(struct places *p, uint64_t off)
{
	const struct span *span = p->plan.span;

	while (span[p->at].off > off)
		p->at--;
	while (span[p->at].off + span[p->at].len <= off)
		p->at++;
	return &span[p->at];
}

/* Who answers for a span: where all images have holes the last one, where the
 * disk of one ends the image above, which shows zeroes there. */
static struct node *who_answers(const struct places *p, const struct span *s,
				uint64_t off, bool *present)
{
	struct node *node = s->node;

	*present = node && off < node->size;
	if (!node)
		for (node = p->top; node->backing; node = node->backing)
			;
	else if (!*present)
		node = chain_above(p->top, node);
	return node;
}

static unsigned depth_of(const struct places *p, const struct node *node)
{
	unsigned depth = 0;

	for (const struct node *n = p->top; n != node; n = n->backing)
		depth++;
	return depth;
}

/* Data of a hollow image may be a hole of the file. */
static int place_sound(struct place *out)
{
	bool data = true;
	int rc;

	if (!out->file || out->compressed || !out->data ||
	    !out->node->drv->hollow || !out->node->drv->hollow(out->node))
		return 0;
	rc = file_extent(out->file, out->host, &out->len, &data);
	out->zero = !data;
	return rc;
}

/* The bytes of @out as its image has them. */
static int place_fill(struct places *p, struct place *out)
{
	const struct driver *drv = out->node->drv;
	struct run run;
	int rc;

	p->culprit = out->node;
	if (drv->places)
		rc = drv->places(out->node, out->off, out->len, &run);
	else
		rc = drv->map(out->node, out->off, out->len, &run);
	if (rc)
		return rc;
	out->len = run.len;
	out->compressed = run.kind == RUN_COMPRESSED;
	out->data = out->compressed || run.kind == RUN_DATA;
	out->zero = !out->data;
	out->file = out->compressed ? out->node->file : run.file;
	out->host = out->compressed ? run.cookie : run.host;
	return place_sound(out);
}

int places_at(struct places *p, uint64_t off, uint64_t len, struct place *out)
{
	const struct span *s;
	int rc;

	*out = (struct place){ .off = off, .len = len, .node = p->top,
			       .zero = true };
	if (!p->top || off >= p->top->size)
		return 0;
	if (off < p->off || off >= p->end) {
		rc = places_look(p, off);
		if (rc)
			return rc;
	}
	s = places_span(p, off);
	out->len = min_u64(len, s->off + s->len - off);
	out->node = who_answers(p, s, off, &out->present);
	if (out->present)
		out->len = min_u64(out->len, out->node->size - off);
	out->depth = depth_of(p, out->node);
	return place_fill(p, out);
}

bool place_is_same(const struct place *a, const struct place *b)
{
	if (a->zero || b->zero)
		return a->zero && b->zero;
	return a->file && b->file && file_is_same(a->file, b->file) &&
	       a->host == b->host && a->compressed == b->compressed;
}
