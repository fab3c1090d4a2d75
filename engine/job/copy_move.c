/* copy_move.c - moves the bytes of a batch; see copy_impl.h.
 *
 * Segments that are neighbours on the host go in one request. If that fails
 * they are tried one by one to find out whose error it is. If then none fails
 * the first is blamed: an error that was seen once is not swallowed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/job/copy_impl.h"
#include "engine/chain/node_io.h"
#include "engine/chain/plan.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

void part_fail(struct copy *c, size_t part, uint64_t bad, int rc, bool reading,
	       struct node *culprit)
{
	struct part *p = &c->part[part];

	lock_take(&c->blame);
	if (!p->rc || bad < p->bad) {
		p->bad = bad;
		p->reading = reading;
		p->culprit = culprit;
		p->rc = rc;
	}
	lock_drop(&c->blame);
}

static void segment_fail(struct copy *c, const struct segment *s, int rc,
			 bool reading, struct node *culprit)
{
	part_fail(c, s->part, s->off, rc, reading, culprit);
}

static uint64_t source_host(const struct segment *s)
{
	return s->run.host + (s->off - s->run.off);
}

/* --- through all layers --- */

/* What no layer down to `stop` has. The batch holds the range of `to`, so it
 * must not be asked for it again. */
static int read_rest(struct copy *c, uint64_t off, uint64_t len, char *buf)
{
	if (!c->o.stop) {
		memset(buf, 0, len);
		return 0;
	}
	if (c->o.stop == c->o.to)
		return node_read_held(c->o.stop, off, len, buf);
	return node_read(c->o.stop, off, len, buf);
}

static int read_span(struct copy *c, const struct span *s, char *buf)
{
	switch (s->kind) {
	case RUN_DATA:
	case RUN_COMPRESSED:
		return node_read_held(s->node, s->off, s->len, buf);
	case RUN_ZERO:
		memset(buf, 0, s->len);
		return 0;
	case RUN_HOLE:
		break;
	}
	return read_rest(c, s->off, s->len, buf);
}

int copy_read_view(struct copy *c, uint64_t off, uint64_t len, char *buf,
		   struct node **culprit)
{
	struct plan plan;
	int rc = plan_build(&plan, c->o.from, c->o.stop, off, len, culprit);

	if (rc)
		return rc;
	for (size_t i = 0; i < plan.count && !rc; i++) {
		const struct span *s = &plan.span[i];

		*culprit = s->node ? s->node : c->o.stop;
		rc = read_span(c, s, buf + (s->off - off));
	}
	plan_release(&plan);
	return rc;
}

/* --- segments --- */

static int read_segment(struct copy *c, const struct segment *s, char *buf,
			struct node **culprit)
{
	*culprit = s->node;
	switch (s->way) {
	case SEGMENT_FILE:
		return file_read(s->run.file, source_host(s), buf + s->pos,
				 s->len);
	case SEGMENT_COMPRESSED:
		return node_read_run(s->node, &s->run, s->off, s->len,
				     buf + s->pos);
	case SEGMENT_VIEW:
		break;
	}
	return copy_read_view(c, s->off, s->len, buf + s->pos, culprit);
}

static int write_segment(struct copy *c, const struct segment *s,
			 const char *buf)
{
	return file_write(c->part[s->part].op.file, s->host, buf + s->pos,
			  s->len);
}

static bool has_failed(const struct copy *c, const struct segment *s)
{
	return c->part[s->part].rc;
}

/* How many segments from @i on go in one read, and how many bytes. */
static size_t read_together(const struct copy *c, size_t i, size_t end,
			    uint64_t *len)
{
	const struct segment *s = &c->segment[i];

	*len = s->len;
	if (s->way != SEGMENT_FILE)
		return 1;
	for (i++; i < end; i++) {
		const struct segment *n = &c->segment[i];

		if (n->way != SEGMENT_FILE || n->run.file != s->run.file ||
		    source_host(n) != source_host(s) + *len)
			break;
		*len += n->len;
	}
	return i - (size_t)(s - c->segment);
}

static size_t write_together(const struct copy *c, size_t i, size_t end,
			     uint64_t *len)
{
	const struct segment *s = &c->segment[i];

	*len = s->len;
	for (i++; i < end; i++) {
		const struct segment *n = &c->segment[i];

		if (has_failed(c, n) || n->host != s->host + *len ||
		    c->part[n->part].op.file != c->part[s->part].op.file)
			break;
		*len += n->len;
	}
	return i - (size_t)(s - c->segment);
}

/* @rc is how reading (or writing) of @count segments together ended. */
static void blame(struct copy *c, size_t i, size_t count, char *buf,
		  bool reading, int rc)
{
	struct segment *s = &c->segment[i];
	struct node *culprit = reading ? s->node : c->o.to;
	bool found = false;

	for (size_t k = 0; k < count && count > 1; k++) {
		int one = reading ? read_segment(c, &s[k], buf, &culprit) :
				    write_segment(c, &s[k], buf);

		if (!one)
			continue;
		segment_fail(c, &s[k], one, reading, culprit);
		found = true;
	}
	if (!found)
		segment_fail(c, s, rc, reading, culprit);
}

static void count_read(const struct copy *c, const struct group *g,
		       uint64_t began)
{
	for (size_t i = g->first; i < g->first + g->count; i++)
		if (c->segment[i].way == SEGMENT_FILE)
			node_stats_add(&c->segment[i].node->stats, NODE_RD,
				       c->segment[i].len, began,
				       has_failed(c, &c->segment[i]));
}

static void read_group(struct copy *c, const struct group *g, char *buf)
{
	size_t end = g->first + g->count, n;
	uint64_t began = clock_ns(), len;

	for (size_t i = g->first; i < end; i += n) {
		struct segment *s = &c->segment[i];
		struct node *culprit = s->node;
		int rc;

		n = read_together(c, i, end, &len);
		if (n > 1)
			rc = file_read(s->run.file, source_host(s),
				       buf + s->pos, len);
		else
			rc = read_segment(c, s, buf, &culprit);
		if (rc && n > 1)
			blame(c, i, n, buf, true, rc);
		else if (rc)
			segment_fail(c, s, rc, true, culprit);
	}
	count_read(c, g, began);
}

static void write_group(struct copy *c, const struct group *g, char *buf)
{
	size_t end = g->first + g->count, n;
	uint64_t began = clock_ns(), len;

	for (size_t i = g->first; i < end; i += n) {
		struct segment *s = &c->segment[i];
		int rc;

		n = 1;
		if (has_failed(c, s))
			continue;
		n = write_together(c, i, end, &len);
		rc = file_write(c->part[s->part].op.file, s->host,
				buf + s->pos, len);
		if (rc)
			blame(c, i, n, buf, false, rc);
		node_stats_add(&c->o.to->stats, NODE_WR, len, began, rc);
	}
}

static void fail_group(struct copy *c, const struct group *g, int rc)
{
	for (size_t i = g->first; i < g->first + g->count; i++)
		segment_fail(c, &c->segment[i], rc, true, c->segment[i].node);
}

static bool clone_group(struct copy *c, const struct group *g)
{
	const struct segment *s = &c->segment[g->first];

	return g->clone &&
	       !file_clone(c->part[s->part].op.file, s->host, s->run.file,
			   source_host(s), g->len);
}

/* A group that could not be cloned may be longer than the buffer; each of its
 * segments is not. */
static void move_group(struct copy *c, const struct group *g, char *buf)
{
	if (clone_group(c, g))
		return;
	for (size_t i = 0; i < g->count && g->clone; i++) {
		struct group one = { .first = g->first + i, .count = 1 };

		c->segment[one.first].pos = 0;
		c->segment[one.first].clone = false;
		read_group(c, &one, buf);
		write_group(c, &one, buf);
	}
	if (!g->clone) {
		read_group(c, g, buf);
		write_group(c, g, buf);
	}
}

static int worker_run(struct task *task)
{
	struct worker *w = container_of(task, struct worker, task);
	struct copy *c = w->copy;
	size_t i;

	if (!w->buf)
		w->buf = buf_new(COPY_SPAN_MAX);
	while ((i = atomic_fetch_add(&c->next, 1)) < c->groups) {
		if (w->buf)
			move_group(c, &c->group[i], w->buf);
		else
			fail_group(c, &c->group[i], -ENOMEM);
	}
	return 0;
}

void copy_move(struct copy *c)
{
	c->next = 0;
	for (size_t i = 0; i < min_u64(c->groups, c->workers); i++) {
		c->worker[i].task.fn = worker_run;
		pool_submit(&c->batch, &c->worker[i].task);
	}
	batch_wait(&c->batch);
}
