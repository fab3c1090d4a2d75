/* copy_count.c - counts what batches do by way, and in a dry run what they
 * would take of the target's file; see copy.h and copy_impl.h.
 */
#include <errno.h>

#include "engine/chain/node_io.h"
#include "engine/job/copy_impl.h"
#include "engine/util/bytes.h"

void copy_counts_add(struct copy_counts *to, const struct copy_counts *more)
{
	to->copied += more->copied;
	to->overwritten += more->overwritten;
	to->cloned += more->cloned;
	to->data += more->data;
	to->there += more->there;
	to->zeroed += more->zeroed;
	to->clusters += more->clusters;
	to->shared += more->shared;
	to->missing.bytes += more->missing.bytes;
	to->missing.holes += more->missing.holes;
}

const struct copy_counts *copy_counted(const struct copy *c)
{
	return &c->counts;
}

uint64_t copy_data_held(struct node *node, uint64_t off, uint64_t len)
{
	uint64_t end = min_u64(off + len, node->size), sum = 0;
	struct run run;

	for (; off < end; off += run.len) {
		if (node_map(node, off, end - off, &run))
			break;
		if (run.kind == RUN_DATA || run.kind == RUN_COMPRESSED)
			sum += run.len;
	}
	return sum;
}

/* A place in an image that has clusters is one of data. */
uint64_t copy_data_under(struct copy *c, const struct write_op *op)
{
	if (c->o.only_holes)
		return 0;
	if (op->in_place && c->o.to->drv->growth)
		return op->len;
	return copy_data_held(c->o.to, op->off, op->len);
}

/* --- what a dry run would take --- */

static bool is_counted(const struct copy_look *look, uint64_t table)
{
	return table == look->table ||
	       (table >= look->first && table <= look->last);
}

static void count_new(struct copy *c, const struct write_op *op)
{
	const struct node *to = c->o.to;

	if (op->file == to->file && op->clusters) {
		c->counts.clusters += op->clusters;
		c->counts.shared += (uint64_t)op->clusters * to->cluster -
				    (op->head + op->len + op->tail);
	}
	if (!op->table || is_counted(&c->look, op->table))
		return;
	c->look.table = op->table;
	if (c->look.growing && !c->look.first)
		c->look.first = op->table;
	c->counts.clusters++;
}

static bool is_grown(const struct copy_look *look, uint64_t off)
{
	return off >= look->grown && off < look->grown_end;
}

int copy_count_begin(struct copy *c, uint64_t off, uint64_t len,
		     struct write_op *op)
{
	const struct copy_look *look = &c->look;

	if (is_grown(look, off)) {
		*op = (struct write_op){
			.off = off, .len = min_u64(len, look->grown_end - off),
			.file = node_data_file(c->o.to), .host = off,
			.in_place = true,
		};
		return 0;
	}
	if (off < look->grown)
		len = min_u64(len, look->grown - off);
	return c->o.to->drv->write_begin(c->o.to, off, len, WRITE_DRY, op);
}

/* What a place of @op lacks. A block of the host that two neighbours share is
 * found once. */
static void copy_count_place(struct copy *c, const struct write_op *op,
			     uint64_t host, uint64_t len)
{
	struct copy_look *look = &c->look;
	struct file *file = op->file;
	uint64_t end = host + len;

	if (!file || is_grown(look, op->off))
		return;
	if (file == look->file && look->placed > host &&
	    look->placed - host < 4096)
		host = min_u64(look->placed, end);
	file_add_missing(file, host, end - host, &c->counts.missing);
	look->file = file;
	look->placed = align_up(end, 4096);
}

/* A new cluster of an image whose data lie in a file of their own is at a
 * place of that file. */
static void count_segment(struct copy *c, const struct part *p,
			  const struct segment *s)
{
	bool placed = !p->op.clusters || p->op.file != c->o.to->file;

	if (!s->clone && placed)
		copy_count_place(c, &p->op, s->host, s->len);
	else if (s->clone && !placed)
		c->counts.shared += s->len;
}

/* --- by way --- */

static void count_part(struct copy *c, const struct part *p, uint64_t cloned)
{
	uint64_t moved = p->op.len - cloned;
	uint64_t over = min_u64(p->over, moved);

	c->counts.cloned += cloned;
	c->counts.overwritten += over;
	c->counts.copied += moved - over;
	if (c->o.dry)
		count_new(c, &p->op);
}

void copy_count_parts(struct copy *c)
{
	size_t s = 0;

	for (size_t i = 0; i < c->parts; i++) {
		const struct part *p = &c->part[i];
		uint64_t cloned = 0;

		for (; s < c->segments && c->segment[s].part == i; s++) {
			cloned += c->segment[s].clone ? c->segment[s].len : 0;
			if (c->o.dry && !p->rc)
				count_segment(c, p, &c->segment[s]);
		}
		if (!p->rc)
			count_part(c, p, cloned);
	}
}

static bool zeroes_are_data(struct node *node)
{
	return node->drv->zeroes_fast && !node->drv->zeroes_fast(node);
}

/* The tables that name what is written as zeroes, or as data of zeroes where
 * the format has no other way. */
int copy_count_zeroes(struct copy *c, uint64_t off, uint64_t len)
{
	bool as_data = zeroes_are_data(c->o.to);
	uint64_t end = off + len;
	struct write_op op;

	for (; off < end && c->o.to->drv->zeroes_fast; off += op.len) {
		int rc = copy_count_begin(c, off, end - off, &op);

		if (rc)
			return rc;
		if (as_data && op.in_place)
			copy_count_place(c, &op, op.host, op.len);
		op.clusters = as_data ? op.clusters : 0;
		count_new(c, &op);
	}
	return 0;
}

/* A new cluster, to which what comes later is written in place. */
static void count_grown(struct copy *c, uint64_t off, uint64_t end)
{
	struct copy_look *look = &c->look;

	if (look->grown == look->grown_end)
		look->grown = align_down(off, c->o.to->cluster);
	look->grown_end = align_up(end, c->o.to->cluster);
}

/* The rest of the cluster that the old end is in, as zero_edge() of the node
 * goes through it: an entry for all of the cluster if it shows nothing; else
 * written over as data, which needs a new one where there is none, and where it
 * is an internal snapshot's, or packed. */
static int count_edge(struct copy *c, uint64_t off, uint64_t edge,
		      uint64_t shown)
{
	struct node *to = c->o.to;
	struct write_op op;
	struct run run;
	int whole = off < min_u64(edge, shown) && !zeroes_are_data(to) ?
		    node_zeroes_whole(to, off, edge - off, edge) : 0;

	if (whole)
		return whole < 0 ? whole :
		       copy_count_zeroes(c, off, edge - off);
	for (; off < edge; off += op.len) {
		int rc = to->drv->map(to, off, edge - off, &run);

		op = (struct write_op){ .len = run.len };
		if (!rc && run.kind != RUN_ZERO &&
		    (run.kind != RUN_HOLE || off < shown))
			rc = copy_count_begin(c, off, run.len, &op);
		if (rc)
			return rc;
		if (op.in_place)
			copy_count_place(c, &op, op.host, op.len);
		count_new(c, &op);
		if (op.clusters)
			count_grown(c, off, off + op.len);
	}
	return 0;
}

/* As node_grow() does: what lies below the new part must not show. */
int copy_count_growth(struct copy *c, uint64_t size)
{
	struct node *to = c->o.to;
	uint64_t off = to->size, end = node_hides(to) ? size : off;
	uint64_t edge = min_u64(align_up(off, to->cluster), size);
	int rc;

	if (size <= off)
		return 0;
	if (to->backing)
		end = min_u64(end, to->backing->size);
	c->look.growing = true;
	rc = count_edge(c, off, edge, end);
	if (!rc && edge < end) {
		rc = copy_count_zeroes(c, edge, end - edge);
		if (zeroes_are_data(to))
			count_grown(c, edge, end);
	}
	c->look.growing = false;
	c->look.last = c->look.table;
	return rc;
}

void copy_counted_growth(const struct copy *c, uint64_t *off, uint64_t *end)
{
	*off = c->look.grown;
	*end = c->look.grown_end;
}
