/* copy.c - plans a batch, and ends it; see copy.h and copy_impl.h. */
#include <errno.h>
#include <stdlib.h>

#include "engine/job/copy_impl.h"
#include "engine/chain/node_io.h"
#include "engine/chain/plan.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define CLONE_ALIGN 4096

struct copy *copy_new(const struct copy_options *o)
{
	struct copy *c = mem_alloc(sizeof(*c));

	c->o = *o;
	c->processors = (unsigned)min_u64(thread_processors(), COPY_WORKERS);
	copy_beside_guest(c, false);
	batch_init(&c->batch, o->pool);
	lock_init(&c->blame);
	for (int i = 0; i < COPY_WORKERS; i++)
		c->worker[i].copy = c;
	return c;
}

void copy_free(struct copy *c)
{
	for (int i = 0; i < COPY_WORKERS; i++)
		free(c->worker[i].buf);
	batch_release(&c->batch);
	lock_release(&c->blame);
	free(c->part);
	free(c->segment);
	free(c->group);
	free(c);
}

/* A place at the end of an array that grows, or NULL; the rest of it is
 * old. */
#define APPEND(array, count, cap) ({ \
	void *p_ = mem_try_more((array), &(cap), (count) + 1, \
				sizeof(*(array))); \
	(array) = p_ ? p_ : (array); \
	p_ ? &(array)[(count)++] : NULL; \
})

/* --- segments --- */

/* Into clusters smaller than a block of the host it would be chance: whether
 * one lies at the begin of a block depends on the tables that are made
 * meanwhile. */
static bool can_clone(const struct copy *c, const struct segment *s,
		      const struct file *to)
{
	const struct file *from = s->run.file;

	return (!c->o.to->drv->growth || c->o.to->cluster >= CLONE_ALIGN) &&
	       s->way == SEGMENT_FILE && to->can_clone && from->can_clone &&
	       from->dev == to->dev &&
	       is_aligned(s->run.host + (s->off - s->run.off), CLONE_ALIGN) &&
	       is_aligned(s->host, CLONE_ALIGN) &&
	       is_aligned(s->len, CLONE_ALIGN);
}

/* Bytes [off, off + len) of the part with this number, cut to fit buffers. A
 * compressed run is not cut: each piece would be inflated anew. Without memory
 * the part has failed. */
static void add_segments(struct copy *c, size_t number, enum segment_way way,
			 struct node *node, const struct run *run,
			 uint64_t off, uint64_t len)
{
	const struct write_op *op = &c->part[number].op;
	uint64_t most = way == SEGMENT_COMPRESSED ? COPY_SPAN_MAX : c->chunk;

	while (len) {
		struct segment *s = APPEND(c->segment, c->segments,
					   c->segment_cap);

		if (!s) {
			part_fail(c, number, off, -ENOMEM, true, c->o.from);
			return;
		}
		*s = (struct segment){
			.way = way, .part = number, .node = node, .run = *run,
			.off = off, .len = min_u64(len, most),
			.host = op->host + (off - op->off),
		};
		s->clone = op->file && can_clone(c, s, op->file);
		off += s->len;
		len -= s->len;
	}
}

/* Whether the top layer holds some of what the plan found in @node: a guest
 * may have written since. */
static bool is_covered(struct copy *c, const struct node *node, uint64_t off,
		       uint64_t len)
{
	struct run run;

	return c->o.live && node != c->o.from &&
	       (node_map(c->o.from, off, len, &run) ||
		run.kind != RUN_HOLE || run.len < len);
}

/* Where the bytes of a part lie in @node. False if it does not hold them
 * all. */
static bool find_runs(struct copy *c, size_t number, struct node *node)
{
	const struct write_op op = c->part[number].op;
	uint64_t off = op.off, end = op.off + op.len;
	struct run run;
	int rc;

	if (!node || end > node->size || is_covered(c, node, off, op.len))
		return false;
	for (; off < end; off += run.len) {
		rc = node_map(node, off, end - off, &run);
		if (rc) {
			part_fail(c, number, off, rc, true, node);
			return true;
		}
		if (run.kind == RUN_HOLE || run.kind == RUN_ZERO)
			return false;
		add_segments(c, number, run.kind == RUN_DATA ? SEGMENT_FILE :
			     SEGMENT_COMPRESSED, node, &run, off, run.len);
	}
	return true;
}

static void add_sources(struct copy *c, size_t number, struct node *node)
{
	const struct write_op op = c->part[number].op;
	const struct run none = { .off = op.off };
	size_t before = c->segments;

	if (find_runs(c, number, node))
		return;
	c->segments = before;
	add_segments(c, number, SEGMENT_VIEW, c->o.from, &none, op.off,
		     op.len);
}

/* --- parts --- */

static int failed_at(struct copy_error *error, int rc, uint64_t off,
		     uint64_t len, bool reading, struct node *node)
{
	*error = (struct copy_error){ .rc = rc, .off = off, .len = len,
				      .reading = reading, .node = node };
	return rc;
}

static int begin_part(struct copy *c, uint64_t off, uint64_t len,
		      struct write_op *op)
{
	return c->o.dry ? copy_count_begin(c, off, len, op) :
	       c->o.to->drv->write_begin(c->o.to, off, len, 0, op);
}

static int add_data(struct copy *c, struct node *node, uint64_t off,
		    uint64_t len, struct copy_error *error)
{
	while (len) {
		/* What is begun has to be ended: its place comes first. */
		struct part *part = APPEND(c->part, c->parts, c->part_cap);
		struct write_op op;
		int rc = part ? begin_part(c, off, len, &op) : -ENOMEM;

		if (rc) {
			c->parts -= !!part;
			return failed_at(error, rc, off, len, false, c->o.to);
		}
		if (!c->o.dry)
			node_wrote(c->o.to, off + op.len);
		*part = (struct part){
			.op = op, .over = copy_data_under(c, &op),
		};
		add_sources(c, c->parts - 1, node);
		off += op.len;
		len -= op.len;
	}
	return 0;
}

static int add_zeroes(struct copy *c, uint64_t off, uint64_t len,
		      struct copy_error *error)
{
	int rc = c->o.dry ? copy_count_zeroes(c, off, len) :
		 node_zero_held(c->o.to, off, len, ZERO_UNMAP);

	if (!rc)
		c->counts.zeroed += len;
	return rc ? failed_at(error, rc, off, len, false, c->o.to) : 0;
}

/* A part of a cluster of which the target holds other parts (subclusters):
 * written at once, because two writes of a batch must not begin in one
 * cluster, and with extended L2 entries it may have several holes. */
static int fill_now(struct copy *c, uint64_t off, uint64_t len,
		    struct copy_error *error)
{
	struct node *culprit = c->o.from;
	char *buf;
	int rc = -ENOMEM;

	if (c->o.dry)
		return add_data(c, NULL, off, len, error);
	buf = buf_new(len);
	if (!buf)
		return failed_at(error, rc, off, len, true, culprit);
	rc = copy_read_view(c, off, len, buf, &culprit);
	if (rc) {
		failed_at(error, rc, off, len, true, culprit);
	} else {
		rc = node_write_held(c->o.to, off, len, buf);
		if (rc)
			failed_at(error, rc, off, len, false, c->o.to);
		else
			c->counts.copied += len;
	}
	free(buf);
	return rc;
}

static int add_hole(struct copy *c, struct node *node, uint64_t off,
		    uint64_t end, struct copy_error *error)
{
	uint64_t cluster = c->o.to->cluster;
	uint64_t first = min_u64(align_up(off, cluster), end);
	uint64_t last = end;
	int rc = 0;

	if (end < c->o.to->size)
		last = max_u64(align_down(end, cluster), first);
	if (off < first)
		rc = fill_now(c, off, first - off, error);
	if (!rc)
		rc = add_data(c, node, first, last - first, error);
	if (!rc && last < end)
		rc = fill_now(c, last, end - last, error);
	return rc;
}

/* Stream: a guest may have written since the plan was made. */
static int add_holes(struct copy *c, const struct span *s,
		     struct copy_error *error)
{
	uint64_t off = s->off, end = s->off + s->len;
	struct run run;
	int rc = 0;

	for (; off < end && !rc; off += run.len) {
		rc = node_map(c->o.to, off, end - off, &run);
		if (rc)
			return failed_at(error, rc, off, end - off, true,
					 c->o.to);
		if (run.kind != RUN_HOLE)
			continue;
		if (s->kind == RUN_ZERO)
			rc = add_zeroes(c, off, run.len, error);
		else
			rc = add_hole(c, s->node, off, off + run.len, error);
	}
	return rc;
}

/* Zeroes that a guest may have written over: what is data now is read. */
static int add_live_zeroes(struct copy *c, const struct span *s,
			   struct copy_error *error)
{
	uint64_t off = s->off, end = s->off + s->len, n;
	struct node *culprit;
	struct plan now;
	int rc = 0;

	for (; off < end && !rc; off += n) {
		bool data = false;

		n = min_u64(end - off, COPY_SPAN_MAX);
		rc = plan_build(&now, c->o.from, c->o.stop, off, n, &culprit);
		if (rc)
			return failed_at(error, rc, off, n, true, culprit);
		for (size_t i = 0; i < now.count; i++)
			data |= now.span[i].kind == RUN_DATA;
		plan_release(&now);
		rc = data ? add_data(c, NULL, off, n, error) :
			    add_zeroes(c, off, n, error);
	}
	return rc;
}

static int copy_add_span(struct copy *c, const struct span *s,
			 struct copy_error *error)
{
	if (c->o.only_holes)
		return add_holes(c, s, error);
	if (s->kind == RUN_DATA)
		return add_data(c, s->node, s->off, s->len, error);
	if (c->o.live)
		return add_live_zeroes(c, s, error);
	return add_zeroes(c, s->off, s->len, error);
}

/* --- groups --- */

static bool copy_joins(const struct group *g, const struct segment *last,
		       const struct segment *s, uint64_t chunk)
{
	if (g->clone != s->clone)
		return false;
	if (!g->clone)
		return g->len + s->len <= chunk;
	return last->run.file == s->run.file &&
	       last->run.host + (last->off - last->run.off) + last->len ==
	       s->run.host + (s->off - s->run.off) &&
	       last->host + last->len == s->host;
}

/* No memory for the groups of the segments from number @i on. */
static void fail_from(struct copy *c, size_t i)
{
	for (; i < c->segments; i++)
		part_fail(c, c->segment[i].part, c->segment[i].off, -ENOMEM,
			  true, c->o.from);
}

static void make_groups(struct copy *c)
{
	struct group *g = NULL;

	for (size_t i = 0; i < c->segments; i++) {
		struct segment *s = &c->segment[i];

		if (!g || !copy_joins(g, s - 1, s, c->chunk)) {
			g = APPEND(c->group, c->groups, c->group_cap);
			if (!g) {
				fail_from(c, i);
				return;
			}
			*g = (struct group){ .first = i, .clone = s->clone };
		}
		s->pos = g->len;
		g->len += s->len;
		g->count++;
	}
}

/* --- the batch --- */

/* In order: what fails first is the error. */
static void end_parts(struct copy *c, struct copy_error *error)
{
	c->bad = error->off;
	for (size_t i = 0; i < c->parts; i++) {
		struct part *p = &c->part[i];
		int rc = p->rc;

		if (!rc && (p->op.head || p->op.tail)) {
			rc = node_fill_edges(c->o.to, &p->op);
			if (rc)
				part_fail(c, i, p->op.off, rc, false, c->o.to);
		}
		rc = c->o.to->drv->write_end(c->o.to, &p->op, rc);
		if (rc && !p->rc)
			part_fail(c, i, p->op.off, rc, false, c->o.to);
		if (!rc || (error->rc && p->op.off >= error->off))
			continue;
		failed_at(error, rc, p->op.off, p->op.len, p->reading,
			  p->culprit);
		c->bad = p->bad;
	}
}

/* Large pieces that lie together; the flush at the end has less to wait
 * for. */
static void start_writeback(struct copy *c)
{
	for (size_t i = 0, j; i < c->parts; i = j) {
		const struct write_op *first = &c->part[i].op;
		uint64_t end = first->host + first->len;

		for (j = i + 1; j < c->parts && c->part[j].op.host == end; j++)
			end += c->part[j].op.len;
		if (end - first->host >= COPY_CHUNK)
			file_start_writeback(first->file, first->host,
					     end - first->host);
	}
}

/* Dry: what could not be looked at. */
static void look_at_parts(struct copy *c, struct copy_error *error)
{
	for (size_t i = 0; i < c->parts && !error->rc; i++)
		if (c->part[i].rc)
			failed_at(error, c->part[i].rc, c->part[i].op.off,
				  c->part[i].op.len, c->part[i].reading,
				  c->part[i].culprit);
}

static void copy_batch(struct copy *c, const struct span *span, size_t count,
		       struct copy_error *error)
{
	c->parts = c->segments = c->groups = 0;
	for (size_t i = 0; i < count && !error->rc; i++)
		copy_add_span(c, &span[i], error);
	if (c->o.dry) {
		look_at_parts(c, error);
	} else {
		make_groups(c);
		copy_move(c);
		end_parts(c, error);
		start_writeback(c);
	}
	copy_count_parts(c);
}

/* One piece of a span again; false if it failed, and then it is the error. */
static bool piece_again(struct copy *c, const struct span *s, uint64_t off,
			uint64_t len, struct copy_error *error)
{
	struct span piece = *s;

	piece.off = off;
	piece.len = len;
	*error = (struct copy_error){ 0 };
	copy_batch(c, &piece, 1, error);
	return !error->rc;
}

/* An error is about the piece that holds byte @bad, counted from the begin of
 * the span; a cluster that is longer is done as a whole, but not named. */
static void name_piece(struct copy_error *error, const struct span *s,
		       uint64_t bad)
{
	error->off = s->off + align_down(bad - s->off, COPY_PIECE);
	error->len = min_u64(COPY_PIECE, s->off + s->len - error->off);
}

/* Narrows an error down to a piece of its span. Where more than one failed
 * together they are done again, one by one, up to the first that fails; if
 * none does now, it was the one that failed before. */
static void find_piece(struct copy *c, const struct span *s,
		       struct copy_error *error)
{
	struct copy_error first = *error;
	uint64_t piece = max_u64(COPY_PIECE, c->o.to->cluster);
	uint64_t end = first.off + first.len, bad = c->bad, span_end;
	uint64_t off;
	bool found = false;

	while (s->off + s->len <= first.off)
		s++;
	span_end = s->off + s->len;
	off = s->off + align_down(first.off - s->off, piece);
	for (bool many = end - off > piece; many && off < end && !found;
	     off += piece)
		found = !piece_again(c, s, off, min_u64(piece, span_end - off),
				     error);
	if (!found)
		*error = first;
	name_piece(error, s, found ? c->bad : bad);
}

int copy_spans(struct copy *c, const struct span *span, size_t count,
	       struct copy_error *error)
{
	struct node *from = c->o.from, *to = c->o.to;
	const struct span *last = &span[count - 1];
	uint64_t off = align_down(span->off, to->cluster);
	uint64_t len = align_up(last->off + last->len, to->cluster) - off;
	struct range_hold from_hold, to_hold;

	*error = (struct copy_error){ 0 };
	c->counts = (struct copy_counts){ 0 };
	if (c->o.dry) {
		copy_batch(c, span, count, error);
		return error->rc;
	}
	if (from != to)
		range_take(&from->range, &from_hold, off, len, false);
	range_take(&to->range, &to_hold, off, len, !c->o.only_holes);
	copy_batch(c, span, count, error);
	if (error->rc)
		find_piece(c, span, error);
	c->in_the_way = range_drop(&to->range, &to_hold);
	if (from != to)
		c->in_the_way |= range_drop(&from->range, &from_hold);
	return error->rc;
}

void copy_beside_guest(struct copy *c, bool at_work)
{
	c->workers = at_work ? c->processors : COPY_WORKERS;
	c->chunk = at_work ? COPY_CHUNK_GUEST : COPY_CHUNK;
}

bool copy_was_in_the_way(const struct copy *c)
{
	return c->in_the_way;
}
