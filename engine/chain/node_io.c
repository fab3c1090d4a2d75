/* node_io.c - the front door: requests on a node, cut into runs.
 *
 * What lies where is asked of the driver under its own lock; data moves
 * outside of it, guarded by the range that the request holds.
 */
#include "engine/chain/node_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/graph.h"
#include "engine/chain/index.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* Head, data and tail of a write go out in one piece up to this size: one
 * system call instead of three, for a copy in memory. */
#define GATHER_MAX (1u << 20)
#define ZEROES_MAX (1u << 20)
#define SHOWN_MAX (64u << 10)

/* --- reading --- */

static int read_by_index(struct node *below, uint64_t off, uint64_t len,
			 char *buf)
{
	while (len) {
		struct span span;
		int rc = index_find(below, off, len, &span);

		/* The map covers more than was asked for. If a table that is
		 * none of ours is damaged, go down layer by layer. */
		if (rc)
			return node_read(below, off, len, buf);
		if (span.kind == RUN_DATA)
			rc = node_read(span.node, off, span.len, buf);
		else
			memset(buf, 0, span.len);
		if (rc)
			return rc;
		off += span.len;
		buf += span.len;
		len -= span.len;
	}
	return 0;
}

/* What the layers below say where @node's own has nothing. */
static int read_below(struct node *node, uint64_t off, uint64_t len, char *buf)
{
	struct node *below = node->backing;

	if (!below) {
		memset(buf, 0, len);
		return 0;
	}
	if (!below->backing)
		return node_read(below, off, len, buf);
	return read_by_index(below, off, len, buf);
}

static int read_run(struct node *node, const struct run *run, uint64_t off,
		    uint64_t len, char *buf)
{
	switch (run->kind) {
	case RUN_DATA:
		return file_read(run->file, run->host + (off - run->off), buf,
				 len);
	case RUN_COMPRESSED:
		return node->drv->read_compressed(node, run, off, buf, len);
	case RUN_ZERO:
		memset(buf, 0, len);
		return 0;
	case RUN_HOLE:
		break;
	}
	return read_below(node, off, len, buf);
}

static int read_runs(struct node *node, uint64_t off, uint64_t len, char *buf)
{
	uint64_t size = node->size;
	uint64_t inside = off < size ? min_u64(len, size - off) : 0;

	memset(buf + inside, 0, len - inside);
	while (inside) {
		struct run run;
		int rc = node->drv->map(node, off, inside, &run);

		if (!rc)
			rc = read_run(node, &run, off, run.len, buf);
		if (rc)
			return rc;
		off += run.len;
		buf += run.len;
		inside -= run.len;
	}
	return 0;
}

int node_read_held(struct node *node, uint64_t off, uint64_t len, void *buf)
{
	uint64_t began = clock_ns();
	int rc = read_runs(node, off, len, buf);

	node_stats_add(&node->stats, NODE_RD, len, began, rc);
	return rc;
}

int node_read(struct node *node, uint64_t off, uint64_t len, void *buf)
{
	struct range_hold hold;
	int rc;

	range_take(&node->range, &hold, off, len, false);
	rc = node_read_held(node, off, len, buf);
	range_drop(&node->range, &hold);
	return rc;
}

int node_read_run(struct node *node, const struct run *run, uint64_t off,
		  uint64_t len, void *buf)
{
	uint64_t began = clock_ns();
	int rc = read_run(node, run, off, len, buf);

	node_stats_add(&node->stats, NODE_RD, len, began, rc);
	return rc;
}

/* --- writing --- */

void node_wrote(struct node *node, uint64_t end)
{
	uint64_t threshold = atomic_load(&node->write_threshold);
	struct event ev = { .type = EVENT_THRESHOLD, .len = threshold,
			    .offset = end - threshold };

	if (!threshold || end <= threshold ||
	    !atomic_compare_exchange_strong(&node->write_threshold,
					    &threshold, 0))
		return;
	node_tell(node, &ev);
}

static int check_write(struct node *node, uint64_t off, uint64_t len)
{
	uint64_t size = node->size;

	if (off > size || len > size - off)
		return -EINVAL;
	if (node->read_only)
		return -EROFS;
	if (len)
		node_wrote(node, off + len);
	return 0;
}

/* The same of a request that is counted. */
static int accept_write(struct node *node, enum node_request what,
			uint64_t off, uint64_t len)
{
	int rc = check_write(node, off, len);

	if (rc)
		node_stats_refuse(&node->stats, what);
	return rc;
}

static void take_aligned(struct node *node, struct range_hold *hold,
			 uint64_t off, uint64_t len)
{
	uint64_t start = align_down(off, node->cluster);

	range_take(&node->range, hold, start,
		   align_up(off + len, node->cluster) - start, true);
}

static int fill_edge(struct node *node, const struct write_op *op,
		     uint64_t off, uint64_t len)
{
	char *buf;
	int rc;

	if (!len)
		return 0;
	buf = buf_new(len);
	if (!buf)
		return -ENOMEM;
	rc = read_runs(node, off, len, buf);
	if (!rc)
		rc = file_write(op->file, op->host + (off - op->off), buf,
				len);
	free(buf);
	return rc;
}

int node_fill_edges(struct node *node, const struct write_op *op)
{
	int rc = fill_edge(node, op, op->off - op->head, op->head);

	return rc ? rc : fill_edge(node, op, op->off + op->len, op->tail);
}

static int move_gathered(struct node *node, const struct write_op *op,
			 const void *data)
{
	uint64_t len = op->head + op->len + op->tail;
	char *buf = buf_new(len);
	int rc;

	if (!buf)
		return -ENOMEM;
	memcpy(buf + op->head, data, op->len);
	rc = read_runs(node, op->off - op->head, op->head, buf);
	if (!rc)
		rc = read_runs(node, op->off + op->len, op->tail,
			       buf + op->head + op->len);
	if (!rc)
		rc = file_write(op->file, op->host - op->head, buf, len);
	free(buf);
	return rc;
}

static int move_piece(struct node *node, const struct write_op *op,
		      const void *data)
{
	int rc;

	if ((op->head || op->tail) &&
	    op->head + op->len + op->tail <= GATHER_MAX)
		return move_gathered(node, op, data);
	rc = node_fill_edges(node, op);
	if (!rc)
		rc = file_write(op->file, op->host, data, op->len);
	return rc;
}

/* Writes piece by piece until all is done or one fails; *done says how far it
 * came. With WRITE_IN_PLACE any exclusive range will do, else it has to be
 * aligned. */
static int write_pieces(struct node *node, uint64_t off, uint64_t len,
			const char *buf, unsigned flags, uint64_t *done)
{
	for (*done = 0; *done < len;) {
		struct write_op op;
		int rc = node->drv->write_begin(node, off + *done,
						len - *done, flags, &op);

		if (rc)
			return rc;
		rc = move_piece(node, &op, buf + *done);
		rc = node->drv->write_end(node, &op, rc);
		if (rc)
			return rc;
		*done += op.len;
	}
	return 0;
}

int node_write_held(struct node *node, uint64_t off, uint64_t len,
		    const void *buf)
{
	uint64_t began = clock_ns(), done;
	int rc = accept_write(node, NODE_WR, off, len);

	if (rc)
		return rc;
	rc = write_pieces(node, off, len, buf, 0, &done);
	node_stats_add(&node->stats, NODE_WR, len, began, rc);
	return rc;
}

/* Most writes hit what is there already. They need no more than their own
 * bytes, so that writers of one cluster need not wait for each other. */
static int write_in_place(struct node *node, uint64_t off, uint64_t len,
			  const void *buf, uint64_t *done)
{
	struct range_hold hold;
	int rc;

	range_take(&node->range, &hold, off, len, true);
	rc = write_pieces(node, off, len, buf, WRITE_IN_PLACE, done);
	range_drop(&node->range, &hold);
	return rc;
}

static int write_anywhere(struct node *node, uint64_t off, uint64_t len,
			  const void *buf)
{
	struct range_hold hold;
	uint64_t done;
	int rc;

	take_aligned(node, &hold, off, len);
	rc = write_pieces(node, off, len, buf, 0, &done);
	range_drop(&node->range, &hold);
	return rc;
}

int node_write(struct node *node, uint64_t off, uint64_t len, const void *buf)
{
	uint64_t began = clock_ns(), done = 0;
	int rc = accept_write(node, NODE_WR, off, len);

	if (rc)
		return rc;
	rc = write_in_place(node, off, len, buf, &done);
	if (rc == -EAGAIN)
		rc = write_anywhere(node, off + done, len - done,
				    (const char *)buf + done);
	node_stats_add(&node->stats, NODE_WR, len, began, rc);
	return rc;
}

/* --- zeroes --- */

/* In this layer: what a backing file that is too short hides today may show
 * when a job puts a longer one in its place. */
static bool reads_as_zero(const struct node *node, const struct run *run)
{
	return run->kind == RUN_ZERO ||
	       (run->kind == RUN_HOLE && !node_hides(node));
}

/* Do bytes [off, end) of the chain read as zeroes? 1, 0 or -errno. */
static int shows_zeroes(struct node *node, uint64_t off, uint64_t end)
{
	char *buf = off < end ? mem_try(SHOWN_MAX, 1) : NULL;
	int rc = off < end && !buf ? -ENOMEM : 1;
	uint64_t n;

	for (; off < end && rc == 1; off += n) {
		n = min_u64(end - off, SHOWN_MAX);
		rc = read_runs(node, off, n, buf);
		if (!rc)
			rc = bytes_are_zero(buf, n);
	}
	free(buf);
	return rc;
}

/* Zeroes are to be written over bytes [off, off + *len), a hole of this layer,
 * in an image that knows zeroes only as data. Can it stay one, because zeroes
 * show there, and will when the chain is opened as its headers say? *len, not
 * 0, is cut to what the answer holds for. */
static bool hole_will_do(struct node *node, uint64_t off, uint64_t *len)
{
	uint64_t end = off + min_u64(*len, ZEROES_MAX), at = off;
	bool will_do = false;

	for (uint64_t stop; at < end; at = stop) {
		bool zeroes;

		stop = min_u64(align_down(at, node->cluster) + node->cluster,
			       end);
		zeroes = shows_zeroes(node, at, stop) == 1;
		if (at > off && zeroes != will_do)
			break;
		will_do = zeroes;
	}
	*len = at - off;
	return will_do && !node->data && chain_is_as_written(node);
}

/* Writes zeroes over one run unless they are there; *len is cut to what was
 * dealt with. *zeroes is made when it is needed first. */
static int write_zero_run(struct node *node, uint64_t off, uint64_t *len,
			  unsigned how, char **zeroes)
{
	uint64_t done;
	struct run run;
	int rc = node->drv->map(node, off, *len, &run);

	if (rc)
		return rc;
	*len = run.len;
	if (reads_as_zero(node, &run) ||
	    (run.kind == RUN_HOLE && (how & ZERO_AS_SHOWN) &&
	     hole_will_do(node, off, len)))
		return 0;
	*len = min_u64(*len, ZEROES_MAX);
	if (!*zeroes)
		*zeroes = mem_try(ZEROES_MAX, 1);
	if (!*zeroes)
		return -ENOMEM;
	return write_pieces(node, off, *len, *zeroes, 0, &done);
}

/* Aligned exclusive range held. */
static int node_write_zeroes(struct node *node, uint64_t off, uint64_t len,
			     unsigned how)
{
	char *zeroes = NULL;
	int rc = 0;

	while (len && !rc) {
		uint64_t n = len;

		rc = write_zero_run(node, off, &n, how, &zeroes);
		off += n;
		len -= n;
	}
	free(zeroes);
	return rc;
}

/* The clusters that lie inside [off, end) as a whole: [*first, *last), empty
 * if none. The last one may be cut by the end of the disk. */
static void whole_clusters(const struct node *node, uint64_t off, uint64_t end,
			   uint64_t *first, uint64_t *last)
{
	*first = min_u64(align_up(off, node->cluster), end);
	*last = end;
	if (end != node->size)
		*last = max_u64(align_down(end, node->cluster), *first);
}

/* Has this layer nothing but holes and zeroes in [off, end)? 1, 0 or -errno. */
static int has_no_data(struct node *node, uint64_t off, uint64_t end)
{
	struct run run;
	int rc;

	for (; off < end; off += run.len) {
		rc = node->drv->map(node, off, end - off, &run);
		if (rc)
			return rc;
		if (run.kind != RUN_HOLE && run.kind != RUN_ZERO)
			return 0;
	}
	return 1;
}

int node_zeroes_whole(struct node *node, uint64_t off, uint64_t len,
		      uint64_t size)
{
	uint64_t start = align_down(off, node->cluster);
	uint64_t end = min_u64(start + node->cluster, size);
	int rc = len && node_hides(node) ? has_no_data(node, start, end) : 0;

	if (rc == 1)
		rc = shows_zeroes(node, start, off);
	if (rc == 1)
		rc = shows_zeroes(node, off + len, end);
	return rc;
}

/* A part of one cluster. */
static int zero_part(struct node *node, uint64_t off, uint64_t len,
		     unsigned how)
{
	uint64_t start = align_down(off, node->cluster);
	uint64_t end = min_u64(start + node->cluster, node->size);
	int rc = node_zeroes_whole(node, off, len, node->size);

	if (rc == 1) {
		rc = node->drv->zero(node, start, end - start, false);
		if (rc != -EOPNOTSUPP)
			return rc;
		rc = 0;
	}
	return rc ? rc : node_write_zeroes(node, off, len, how);
}

static int zero_runs(struct node *node, uint64_t off, uint64_t len,
		     unsigned how)
{
	uint64_t end = off + len, first, last;
	int rc;

	whole_clusters(node, off, end, &first, &last);
	rc = zero_part(node, off, first - off, how);
	if (!rc && first < last) {
		rc = node->drv->zero(node, first, last - first,
				     how & ZERO_UNMAP);
		if (rc == -EOPNOTSUPP)
			rc = node_write_zeroes(node, first, last - first, how);
	}
	if (!rc)
		rc = zero_part(node, last, end - last, how);
	return rc;
}

int node_zero_held(struct node *node, uint64_t off, uint64_t len, unsigned how)
{
	uint64_t began = clock_ns();
	int rc = accept_write(node, NODE_WR, off, len);

	if (rc)
		return rc;
	rc = zero_runs(node, off, len, how);
	node_stats_add(&node->stats, NODE_WR, len, began, rc);
	return rc;
}

int node_zero(struct node *node, uint64_t off, uint64_t len, unsigned how)
{
	struct range_hold hold;
	int rc = check_write(node, off, len);

	if (rc)
		return rc;
	take_aligned(node, &hold, off, len);
	rc = node_zero_held(node, off, len, how);
	range_drop(&node->range, &hold);
	return rc;
}

/* A hint: what the driver can't forget cheaply, and bytes around it that fill
 * no cluster, stay as they are. */
static int discard_runs(struct node *node, uint64_t off, uint64_t len)
{
	uint64_t first, last;
	int rc;

	whole_clusters(node, off, off + len, &first, &last);
	if (first == last)
		return 0;
	rc = node->drv->zero(node, first, last - first, true);
	return rc == -EOPNOTSUPP ? 0 : rc;
}

int node_discard(struct node *node, uint64_t off, uint64_t len)
{
	uint64_t began = clock_ns();
	struct range_hold hold;
	int rc = accept_write(node, NODE_UNMAP, off, len);

	if (rc)
		return rc;
	take_aligned(node, &hold, off, len);
	rc = discard_runs(node, off, len);
	range_drop(&node->range, &hold);
	node_stats_add(&node->stats, NODE_UNMAP, len, began, rc);
	return rc;
}

int node_flush(struct node *node)
{
	uint64_t began = clock_ns();
	int rc = node->drv->flush(node);

	node_stats_add(&node->stats, NODE_FLUSH, 0, began, rc);
	return rc;
}
