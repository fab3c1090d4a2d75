/* pass.c - see pass.h. */
#include "engine/job/pass.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/chain/plan.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

#define SLICE_MIN (64ull << 20)
#define SLICE_CLUSTERS (1ull << 20) /* at most: bounds the plan's memory */
#define SPANS_FEW 1024		/* a slice with fewer: the next is longer */
#define SPANS_MANY 32768

#define BATCH_MIN (1ull << 20)
#define BATCH_MAX (16ull << 20)	/* a new speed is felt after a batch */
#define BATCH_GUEST (1ull << 20) /* while a guest is at work: it may wait */
#define BATCH_SPANS 256
#define BATCH_NS_LONG (60 * NS_PER_MS)
#define BATCH_NS_SHORT (30 * NS_PER_MS)
#define ZERO_SPAN_MAX (64ull << 20)

/* --- the plan of a slice --- */

static int pass_append(struct plan *plan, uint64_t off, uint64_t end,
		       struct node *node, enum run_kind kind)
{
	struct span *s;

	if (off == end)
		return 0;
	s = mem_try_more(plan->span, &plan->cap, plan->count + 1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	plan->span = s;
	s += plan->count++;
	*s = (struct span){ .off = off, .len = end - off, .node = node,
			    .kind = kind };
	return 0;
}

/* Does anything show through where all layers from @node down have holes? If
 * the last one names a file that is not open, its contents do, to whoever
 * opens the chain as the headers say. */
static bool holes_hide(const struct node *node)
{
	while (node->backing)
		node = node->backing;
	return node_hides(node);
}

/* What of @b, below the target, is to be seen through it, as far as zeroes have
 * to be written over it: [*off, *end). */
static bool shows_below(const struct pass *p, const struct span *b, bool holes,
			uint64_t *off, uint64_t *end)
{
	*off = b->off;
	*end = b->off + b->len;
	if (b->kind != RUN_ZERO && (b->kind != RUN_HOLE || holes))
		return true;
	if (!p->copy.dry)
		return false;
	copy_counted_growth(p->copier, off, end);
	*off = max_u64(*off, b->off);
	*end = min_u64(*end, b->off + b->len);
	return *off < *end;
}

/* Zeroes of @s matter only where something below shows through; that is found
 * out in whole clusters of the target. */
static int trim_span(struct pass *p, const struct span *s, struct plan *out,
		     struct node **err_node)
{
	uint64_t cluster = p->copy.to->cluster;
	uint64_t at = s->off, end = s->off + s->len;
	bool holes = holes_hide(p->copy.stop);
	struct plan below;
	int rc = plan_build(&below, p->copy.stop, NULL, s->off, s->len,
			    err_node);

	if (rc)
		return rc;
	for (size_t i = 0; i < below.count && !rc; i++) {
		const struct span *b = &below.span[i];
		uint64_t first, last;

		if (!shows_below(p, b, holes, &first, &last))
			continue;
		first = max_u64(align_down(first, cluster), at);
		last = min_u64(align_up(last, cluster), end);
		if (first >= last)
			continue;
		rc = pass_append(out, at, first, NULL, RUN_HOLE);
		if (!rc)
			rc = pass_append(out, first, last, s->node, RUN_ZERO);
		at = last;
	}
	plan_release(&below);
	return rc ? rc : pass_append(out, at, end, NULL, RUN_HOLE);
}

/* What is left in the plan as DATA or ZERO has to be done. */
static int trim(struct pass *p, struct plan *plan, struct node **err_node)
{
	struct plan out = PLAN_INIT;
	int rc = 0;

	for (size_t i = 0; i < plan->count && !rc; i++) {
		const struct span *s = &plan->span[i];
		bool have = p->copy.only_holes && s->node == p->copy.to;

		if (p->copy.there && (have || s->kind == RUN_HOLE))
			p->counts.there += copy_data_held(p->copy.to, s->off,
							  s->len);
		if (have || (s->kind == RUN_ZERO && !p->copy.stop))
			rc = pass_append(&out, s->off, s->off + s->len, NULL,
					 RUN_HOLE);
		else if (s->kind == RUN_ZERO)
			rc = trim_span(p, s, &out, err_node);
		else
			rc = pass_append(&out, s->off, s->off + s->len, s->node,
					 s->kind);
	}
	if (rc) {
		plan_release(&out);
		return rc;
	}
	plan_release(plan);
	*plan = out;
	return 0;
}

static int plan_slice(struct pass *p, struct plan *plan, uint64_t off,
		      uint64_t len, struct node **err_node)
{
	int rc = plan_build(plan, p->copy.from, p->copy.stop, off, len,
			    err_node);

	if (rc)
		return rc;
	rc = trim(p, plan, err_node);
	if (rc)
		plan_release(plan);
	return rc;
}

/* Graph held. A dry run has no claim on its images. */
static bool pass_is_stale(const struct pass *p)
{
	return p->copy.dry && atomic_load(&p->graph->shape) != p->shape;
}

/* With a cursor: in one piece with the step of the cursor, so a guest's write
 * is either seen by the plan or goes to both images. */
static int plan_next(struct pass *p, uint64_t off, uint64_t len,
		     struct node **err_node)
{
	struct range *range = &p->copy.from->range;
	struct range_hold hold;
	int rc = -ESTALE;

	rwlock_read(&p->graph->lock);
	if (p->mirror)
		range_take(range, &hold, off, len, false);
	if (!pass_is_stale(p))
		rc = plan_slice(p, &p->plan, off, len, err_node);
	if (p->mirror) {
		if (!rc)
			atomic_store(&p->mirror->cursor, off + len);
		range_drop(range, &hold);
	}
	rwlock_drop(&p->graph->lock);
	return rc;
}

/* --- counting --- */

static uint64_t data_before(const struct span *span, size_t count,
			    uint64_t end)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count && span[i].off < end; i++)
		if (span[i].kind == RUN_DATA)
			sum += min_u64(span[i].len, end - span[i].off);
	return sum;
}

/* Where the pass may be stopped: 0 or -ECANCELED. */
static int point(struct pass *p)
{
	uint64_t done = min_u64(p->done, p->total);

	if (p->job)
		return job_point(p->job);
	return !p->progress || p->progress(done, p->total, p->arg) ? 0 :
	       -ECANCELED;
}

static uint64_t longest_slice(const struct pass *p)
{
	uint64_t cluster = 2u << 20;

	rwlock_read(&p->graph->lock);
	for (const struct node *n = p->copy.from; n && n != p->copy.stop;
	     n = n->backing)
		cluster = min_u64(cluster, n->cluster);
	rwlock_drop(&p->graph->lock);
	return max_u64(cluster * SLICE_CLUSTERS, SLICE_MIN);
}

static uint64_t next_slice(const struct pass *p, uint64_t slice, size_t spans)
{
	if (spans < SPANS_FEW)
		return min_u64(slice * 4, p->longest);
	return spans > SPANS_MANY ? max_u64(slice / 4, SLICE_MIN) : slice;
}

/* What can't be read now the pass will trip over, and say so. */
static int count_data(struct pass *p)
{
	uint64_t slice = SLICE_MIN, sum = 0;
	struct node *err_node;
	struct plan plan;
	int rc;

	p->total = p->size;
	for (uint64_t off = 0, len; off < p->size; off += len) {
		len = min_u64(slice, p->size - off);
		rc = point(p);
		if (rc)
			return rc;
		rwlock_read(&p->graph->lock);
		rc = plan_slice(p, &plan, off, len, &err_node);
		rwlock_drop(&p->graph->lock);
		if (rc)
			continue;
		sum += data_before(plan.span, plan.count, UINT64_MAX);
		slice = next_slice(p, slice, plan.count);
		plan_release(&plan);
	}
	p->total = sum;
	return 0;
}

static int count_work(struct pass *p)
{
	int rc;

	if (p->again) {
		p->pos = p->size;
		p->total = p->done = p->job ? p->job->total : 0;
		return 0;
	}
	p->pos = p->done = 0;
	if (p->copy.dry)
		return 0;
	rc = count_data(p);
	if (!rc && p->job)
		job_set_len(p->job, p->job->len, p->total);
	return rc;
}

/* An active commit has no position: guests write behind it. */
static void pass_tell(struct pass *p)
{
	uint64_t done = min_u64(p->done, p->total), offset = p->pos;

	if (!p->job)
		return;
	if (p->mirror)
		offset = p->job->len - (p->total - done);
	job_progress(p->job, min_u64(offset, p->job->len), done);
}

/* --- batches --- */

static const struct span *span_at(struct pass *p, uint64_t pos)
{
	const struct span *span = p->plan.span;

	while (span[p->at].off > pos)
		p->at--;
	while (span[p->at].off + span[p->at].len <= pos)
		p->at++;
	return &span[p->at];
}

/* The cluster of the target at pos is of several spans: read as a whole, if
 * there is anything to do. */
static bool mixed_piece(struct pass *p, struct span *out)
{
	uint64_t end = min_u64(align_down(p->pos, p->copy.to->cluster) +
			       p->copy.to->cluster, p->end);
	uint64_t off = p->pos;
	bool work = false;

	while (p->pos < end) {
		const struct span *s = span_at(p, p->pos);

		work |= s->kind != RUN_HOLE;
		p->pos = min_u64(s->off + s->len, end);
	}
	*out = (struct span){ .off = off, .len = end - off,
			      .kind = RUN_DATA };
	return work;
}

/* The next piece from pos on, with at most @max bytes of data; moves pos
 * behind it. False at the end of the slice. */
static bool pass_next_piece(struct pass *p, uint64_t max, struct span *out)
{
	while (p->pos < p->end) {
		const struct span *s = span_at(p, p->pos);
		uint64_t end = s->off + s->len;

		if (end < p->end)
			end = align_down(end, p->copy.to->cluster);
		if (end <= p->pos) {
			if (mixed_piece(p, out))
				return true;
			continue;
		}
		if (s->kind == RUN_HOLE) {
			p->pos = end;
			continue;
		}
		if (s->kind == RUN_ZERO)
			max = ZERO_SPAN_MAX;
		*out = (struct span){
			.off = p->pos, .len = min_u64(end - p->pos, max),
			.node = s->node, .kind = s->kind,
		};
		p->pos += out->len;
		return true;
	}
	return false;
}

static size_t gather(struct pass *p, struct span *span, uint64_t bytes)
{
	size_t n = 0;

	for (uint64_t left = bytes; n < BATCH_SPANS && left; n++) {
		if (!pass_next_piece(p, min_u64(left, COPY_SPAN_MAX), &span[n]))
			break;
		if (span[n].kind == RUN_DATA)
			left -= min_u64(span[n].len, left);
	}
	return n;
}

/* A slow disk gets short batches, and so does a guest who would have to wait
 * for them: where one had to they grow slowly from then on. */
static void tune(struct pass *p, uint64_t moved, uint64_t took)
{
	bool in_the_way = copy_was_in_the_way(p->copier);

	p->careful |= in_the_way;
	if (in_the_way)
		p->batch = max_u64(p->batch / 4, BATCH_MIN);
	else if (took > BATCH_NS_LONG)
		p->batch = max_u64(p->batch / 2, BATCH_MIN);
	else if (took < BATCH_NS_SHORT && moved >= p->batch)
		p->batch = min_u64(p->batch + p->batch / (p->careful ? 8 : 1),
				   BATCH_MAX);
}

/* No error of the host that a policy is for: to try again is of no use. That is
 * about the first bytes of the disk; elsewhere it is the host who says so. */
static bool is_forgery(const struct copy_error *e, const struct node *node)
{
	return e->rc == -EPERM && !e->reading && !e->off && node->probed;
}

static int pass_fail(struct pass *p, const struct copy_error *e,
		     struct err *err)
{
	const struct node *node = e->node ? e->node : p->copy.from;
	bool forgery = is_forgery(e, node);
	bool lost = !e->reading && node->file->failed;
	struct err why = ERR_INIT;

	if (forgery)
		err_set(&why, ERR_GENERIC, "'%s' was guessed to be raw, and "
			"with what is to be written to its beginning it would "
			"be guessed to be something else: name its format "
			"(format=raw)", node->file->path);
	else
		err_sys(&why, e->rc, "Could not %s '%s' at offset %" PRIu64
			" of the disk", e->reading ? "read" : "write",
			node->file->path, e->off);
	if (!p->job) {
		*err = why;
		return e->rc;
	}
	job_progress(p->job, min_u64(e->off, p->job->len),
		     min_u64(p->done, p->total));
	if (forgery)
		return job_fail(p->job, &why);
	return lost ? job_give_up(p->job, &why, e->reading) :
		      job_error(p->job, &why, e->reading);
}

/* Where to go on after an error: again, behind it, or not at all. */
static int after_error(struct pass *p, const struct copy_error *e,
		       struct err *err)
{
	uint64_t cluster = p->copy.to->cluster;
	int rc;

	/* Not even the images to be named may be there any more. */
	if (p->copy.dry && e->rc == -ESTALE) {
		err_sys(err, ESTALE, "The chain has changed");
		return e->rc;
	}
	rc = pass_fail(p, e, err);
	if (rc < 0)
		return rc;
	p->pos = rc ? align_up(e->off + e->len, cluster) :
		      align_down(e->off, cluster);
	p->pos = min_u64(p->pos, p->end);
	return 0;
}

/* Whether a guest was at work since the last time. Graph held. */
static bool guest_came(struct pass *p)
{
	const struct drive *d = drive_at(graph_root_above(p->copy.from));
	uint64_t before = p->guest_ops;

	if (d)
		p->guest_ops = d->stats.rd_ops + d->stats.wr_ops;
	return p->guest_ops != before;
}

static void pass_copy(struct pass *p, const struct span *span, size_t n,
		      struct copy_error *e)
{
	rwlock_read(&p->graph->lock);
	if (pass_is_stale(p)) {
		e->rc = -ESTALE;
		e->off = span->off;
	} else {
		p->guest = guest_came(p);
		copy_beside_guest(p->copier, p->guest);
		copy_spans(p->copier, span, n, e);
	}
	rwlock_drop(&p->graph->lock);
}

static int pass_batch(struct pass *p, struct err *err)
{
	struct span span[BATCH_SPANS];
	struct copy_error e = { 0 };
	uint64_t bytes = min_u64(p->batch, p->guest ? BATCH_GUEST : BATCH_MAX);
	uint64_t began, took, moved;
	size_t n;

	if (p->job)
		bytes = job_piece(p->job, max_u64(p->copy.to->cluster, 4096),
				  bytes);
	n = gather(p, span, bytes);
	if (!n)
		return 0;
	began = clock_ns();
	pass_copy(p, span, n, &e);
	took = clock_ns() - began;
	moved = data_before(span, n, !e.rc ? UINT64_MAX :
			    align_down(e.off, p->copy.to->cluster));
	tune(p, moved, took);
	p->done += moved;
	copy_counts_add(&p->counts, copy_counted(p->copier));
	if (p->job) {
		job_charge(p->job, moved);
		job_count(p->job, copy_counted(p->copier), took);
	}
	return e.rc ? after_error(p, &e, err) : 0;
}

static int copy_slice(struct pass *p, struct err *err)
{
	int rc = 0;

	while (p->pos < p->end && !rc) {
		rc = point(p);
		if (!rc)
			rc = pass_batch(p, err);
		if (!rc)
			pass_tell(p);
	}
	return rc;
}

/* One slice from pos on; *slice is the length to try, and for the next. Where
 * a map can't be read it gets shorter, down to a piece. */
static int pass_slice(struct pass *p, uint64_t *slice, struct err *err)
{
	uint64_t piece = max_u64(COPY_PIECE, p->copy.to->cluster);
	uint64_t len = min_u64(*slice, p->size - p->pos);
	struct copy_error e = { .reading = true, .off = p->pos, .len = len };
	int rc;

	p->end = p->pos + len;
	e.rc = plan_next(p, p->pos, len, &e.node);
	if (e.rc && len > piece) {
		*slice = piece;
		return 0;
	}
	if (e.rc)
		return after_error(p, &e, err);
	p->at = 0;
	*slice = next_slice(p, *slice, p->plan.count);
	p->counts.data += data_before(p->plan.span, p->plan.count, UINT64_MAX);
	rc = copy_slice(p, err);
	plan_release(&p->plan);
	return rc;
}

/* What a guest could not write to the target as well is copied again, if the
 * policy says so. From the exchange on whoever fails behind the cursor says so
 * anew, and who writes before it is seen by the plan. */
static int go_back(struct pass *p, struct err *err)
{
	struct mirror *m = p->mirror;
	struct copy_error e = { 0 };
	uint64_t lost;
	int rc;

	if (m)
		e.rc = atomic_exchange(&m->failed, 0);
	if (!e.rc || atomic_load(&m->lost) == MIRROR_WHOLE)
		return 0;
	e.off = atomic_load(&m->lost);
	e.node = m->target;
	rc = pass_fail(p, &e, err);
	if (rc < 0)
		return rc;
	lost = align_down(atomic_exchange(&m->lost, MIRROR_WHOLE),
			  max_u64(m->node->cluster, m->target->cluster));
	if (!rc && lost < p->pos) {
		p->pos = lost;
		atomic_store(&m->cursor, lost);
	}
	return 0;
}

/* Dry: the target is to be as long as what is copied. */
static int pass_count_growth(struct pass *p, struct err *err)
{
	int rc = -ESTALE;

	rwlock_read(&p->graph->lock);
	if (!pass_is_stale(p))
		rc = copy_count_growth(p->copier, p->copy.from->size);
	rwlock_drop(&p->graph->lock);
	copy_counts_add(&p->counts, copy_counted(p->copier));
	if (rc)
		err_sys(err, rc, "The chain can't be looked at");
	return rc;
}

int pass_run(struct pass *p, struct err *err)
{
	uint64_t slice = SLICE_MIN;
	int rc;

	p->longest = longest_slice(p);
	rc = count_work(p);
	if (rc)
		return rc;
	p->copier = copy_new(&p->copy);
	p->batch = BATCH_MAX / 4;
	if (p->copy.dry)
		rc = pass_count_growth(p, err);
	while (!rc) {
		rc = go_back(p, err);
		if (rc || p->pos >= p->size)
			break;
		rc = pass_slice(p, &slice, err);
	}
	if (!rc) {
		p->done = p->total;
		pass_tell(p);
		rc = p->job ? 0 : point(p);
	}
	copy_free(p->copier);
	return rc;
}
