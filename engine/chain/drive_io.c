/* drive_io.c - requests of guests: checked, made, and what becomes of
 * them when the host fails. See drive.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/drive.h"
#include "engine/event/event.h"
#include "engine/chain/node_io.h"
#include "engine/chain/vm.h"
#include "engine/image/guess.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"

struct request {
	/* One try, after check_request(), the graph read-held; 0 or -errno. */
	int (*act)(struct drive *d, const struct request *r);
	enum node_request what;
	bool question;		/* about the disk: not counted */
	uint64_t off, len;
	const void *data;	/* NULL: zeroes, where something is changed */
	void *buf;
	bool fua, unmap, fast;
	struct extent *extent;
	size_t max, *count;
};

/* --- checks --- */

static int check_bounds(const struct drive *d, uint64_t off, uint64_t len)
{
	uint64_t size = d->root.node ? d->root.node->size : 0;

	if (!d->root.node)
		return -ENODEV;
	return off > size || len > size - off ? -EINVAL : 0;
}

/* --- changes --- */

static bool takes_discards(const struct node *node)
{
	return !node->no_discard && !node->file_no_discard;
}

static unsigned zero_how(const struct node *node, const struct request *r)
{
	return ZERO_AS_SHOWN |
	       (r->unmap && takes_discards(node) ? ZERO_UNMAP : 0);
}

static int change_held(struct node *node, const struct request *r)
{
	return r->data ? node_write_held(node, r->off, r->len, r->data) :
			 node_zero_held(node, r->off, r->len,
					zero_how(node, r));
}

static int change_node(struct node *node, const struct request *r)
{
	return r->data ? node_write(node, r->off, r->len, r->data) :
			 node_zero(node, r->off, r->len, zero_how(node, r));
}

/* The range keeps other writes, and whoever has the tap, away from it from
 * begin to done. */
static int change_tapped(struct drive *d, const struct request *r)
{
	const struct change c = { .off = r->off, .len = r->len,
				  .data = r->data, .unmap = r->unmap };
	struct node *node = d->root.node;
	uint64_t start = align_down(r->off, node->cluster);
	uint64_t end = align_up(r->off + r->len, node->cluster);
	struct range_hold hold;
	int rc;

	range_take(&node->range, &hold, start, end - start, true);
	rc = d->tap->begin ? d->tap->begin(d->tap, &c) : 0;
	if (!rc) {
		rc = change_held(node, r);
		if (rc)
			d->tap->failed(d->tap, &c);
		else
			d->tap->done(d->tap, &c);
	}
	range_drop(&node->range, &hold);
	return rc;
}

static int change(struct drive *d, const struct request *r)
{
	return d->tap ? change_tapped(d, r) : change_node(d->root.node, r);
}

/* The guest's answer is for the active layer. */
static int drive_flush_both(struct drive *d)
{
	int rc = node_flush(d->root.node);

	if (d->tap)
		d->tap->flush(d->tap);
	return rc;
}

/* A second image may have to be written to where the first need not. */
static bool zeroes_fast(const struct drive *d, uint64_t off, uint64_t len)
{
	const struct node *node = d->root.node;

	return !d->tap && node->drv->zeroes_fast &&
	       node->drv->zeroes_fast(node) &&
	       is_aligned(off, node->cluster) &&
	       (is_aligned(len, node->cluster) || off + len == node->size);
}

/* --- kinds of requests --- */

static int act_read(struct drive *d, const struct request *r)
{
	return node_read(d->root.node, r->off, r->len, r->buf);
}

static int act_write(struct drive *d, const struct request *r)
{
	int rc = r->len ? change(d, r) : 0;

	if (!rc && r->fua)
		rc = drive_flush_both(d);
	return rc;
}

static int act_zero(struct drive *d, const struct request *r)
{
	return r->len ? change(d, r) : 0;
}

/* What a discarded piece reads as is the image's choice. Two images must
 * choose the same, so under a tap it is zeroes. */
static int act_discard(struct drive *d, const struct request *r)
{
	if (!r->len || !takes_discards(d->root.node))
		return 0;
	return d->tap ? change_tapped(d, r) :
			node_discard(d->root.node, r->off, r->len);
}

static int act_flush(struct drive *d, const struct request *r)
{
	(void)r;
	return d->read_only ? 0 : drive_flush_both(d);
}

static int act_extents(struct drive *d, const struct request *r)
{
	return extents_find(d->root.node, r->off, r->len, r->extent, r->max,
			    r->count);
}

/* --- errors --- */

/* It asked for what there is not, or may not be. */
static int check_request(const struct drive *d, const struct request *r)
{
	bool changes = r->what == NODE_WR || r->what == NODE_UNMAP;
	int rc = check_bounds(d, r->off, r->len);

	if (!rc && changes && (d->read_only || d->root.node->read_only))
		rc = -EROFS;
	if (!rc && r->fast && !zeroes_fast(d, r->off, r->len))
		rc = -EOPNOTSUPP;
	return rc;
}

/* Its disk would look like an image of another format: see raw.c. The same
 * errno elsewhere is the host's, whose words are not told apart. */
static bool is_forgery_of_guest(const struct drive *d, const struct request *r,
				int rc)
{
	return rc == -EPERM && d->root.node->probed && r->what != NODE_RD &&
	       r->off < GUESS_BYTES;
}

static void tell_error(struct drive *d, const struct request *r, int rc,
		       enum on_error action)
{
	struct event ev = {
		.type = EVENT_IO_ERROR,
		.operation = r->what == NODE_RD ? "read" : "write",
		.action = on_error_name(action),
		.nospace = on_error_is_nospace(rc),
	};

	if (!d->graph->events)
		return;
	snprintf(ev.id, sizeof(ev.id), "%s", d->root.id);
	snprintf(ev.node, sizeof(ev.node), "%s", d->root.node->name);
	snprintf(ev.text, sizeof(ev.text), "%s", strerror(-rc));
	event_publish(d->graph->events, &ev);
}

/* The host failed: says so, and what is to be done about it. */
static enum on_error drive_judge(struct drive *d, const struct request *r,
				 int rc)
{
	enum on_error policy = r->what == NODE_RD ? d->on_read_error :
						    d->on_write_error;
	enum on_error action = ON_ERROR_REPORT;

	if (drive_serves())
		action = on_error_action(policy, -rc);
	tell_error(d, r, rc, action);
	return action;
}

/* What a client who is to notice nothing gets to see. */
static void make_answer(const struct request *r)
{
	if (r->buf)
		memset(r->buf, 0, r->len);
	if (!r->extent)
		return;
	r->extent[0] = (struct extent){ .len = r->len, .depth = 1 };
	*r->count = 1;
}

/* --- all of them --- */

static void count_attempt(struct drive *d, const struct request *r,
			  uint64_t began, int rc, bool refused)
{
	if (refused)
		node_stats_refuse(&d->stats, r->what);
	else
		node_stats_add(&d->stats, r->what, r->len, began, rc);
	if (!rc)
		latency_add(&d->latency, clock_ns() - began);
}

static int attempt(struct drive *d, const struct request *r,
		   enum on_error *action)
{
	uint64_t began = clock_ns();
	int refused = check_request(d, r);
	int rc = refused ? refused : r->act(d, r);
	bool host = rc && !refused && !is_forgery_of_guest(d, r, rc);

	if (!r->question && rc != -EOPNOTSUPP)
		count_attempt(d, r, began, rc, rc && !host);
	*action = ON_ERROR_REPORT;
	if (host)
		*action = drive_judge(d, r, rc);
	return rc;
}

/* A request that has to wait for the guest to go on holds nothing. */
static int do_request(struct drive *d, const struct request *r)
{
	enum on_error action;
	unsigned turn;
	int rc;

	do {
		rc = drive_enter(d, &turn);
		if (rc)
			return rc;
		rc = attempt(d, r, &action);
		drive_leave(d);
		if (action == ON_ERROR_STOP)
			vm_fail(d->graph->vm, d, turn, -rc);
	} while (action == ON_ERROR_STOP);
	if (action != ON_ERROR_IGNORE)
		return rc;
	make_answer(r);
	return 0;
}

int drive_read(struct drive *d, uint64_t off, uint64_t len, void *buf)
{
	struct request r = { .act = act_read, .what = NODE_RD, .off = off,
			     .len = len, .buf = buf };

	return do_request(d, &r);
}

int drive_write(struct drive *d, uint64_t off, uint64_t len, const void *buf,
		bool fua)
{
	struct request r = { .act = act_write, .what = NODE_WR, .off = off,
			     .len = len, .data = buf, .fua = fua };

	return do_request(d, &r);
}

int drive_zero(struct drive *d, uint64_t off, uint64_t len, bool unmap)
{
	struct request r = { .act = act_zero, .what = NODE_WR, .off = off,
			     .len = len, .unmap = unmap };

	return do_request(d, &r);
}

int drive_zero_fast(struct drive *d, uint64_t off, uint64_t len, bool unmap)
{
	struct request r = { .act = act_zero, .what = NODE_WR, .off = off,
			     .len = len, .unmap = unmap, .fast = true };

	return do_request(d, &r);
}

int drive_discard(struct drive *d, uint64_t off, uint64_t len)
{
	struct request r = { .act = act_discard, .what = NODE_UNMAP,
			     .off = off, .len = len, .unmap = true };

	return do_request(d, &r);
}

int drive_flush(struct drive *d)
{
	struct request r = { .act = act_flush, .what = NODE_FLUSH };

	return do_request(d, &r);
}

int drive_extents(struct drive *d, uint64_t off, uint64_t len,
		  struct extent *out, size_t max, size_t *count)
{
	struct request r = { .act = act_extents, .what = NODE_RD, .off = off,
			     .len = len, .question = true, .extent = out,
			     .max = max, .count = count };

	return do_request(d, &r);
}
