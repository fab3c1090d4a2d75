/* drive.c - see drive.h. */
#include "engine/drive.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/event.h"
#include "engine/util/bug.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

#define REPEAT_BYTES (1u << 20)

static struct drive *drive_at(struct list *link)
{
	return container_of(link, struct drive, link);
}

static bool id_is_well_formed(const char *id)
{
	if (!*id)
		return false;
	while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id)))
		id++;
	return !*id;
}

int drive_check_id(struct graph *g, const char *id, struct err *err)
{
	if (!id_is_well_formed(id))
		return err_set(err, ERR_GENERIC, "Invalid device ID '%s'", id);
	if (drive_find(g, id))
		return err_set(err, ERR_GENERIC, "Duplicate ID '%s' for drive",
			       id);
	if (graph_find(g, id))
		return err_set(err, ERR_GENERIC, "Device name '%s' conflicts "
			       "with an existing node name", id);
	return 0;
}

int drive_add(struct graph *g, const char *id, struct node *node,
	      const struct node_options *o, struct err *err)
{
	struct drive *d;

	if (id && drive_check_id(g, id, err))
		return -1;
	d = mem_alloc(sizeof(*d));
	d->id = mem_dup(id ? id : "");
	d->graph = g;
	d->node = node;
	d->read_only = o->read_only;
	d->cache = o->cache;
	lock_init(&d->gate);
	cond_init(&d->opened);
	list_add_tail(&g->drives, &d->link);
	return 0;
}

void drive_remove(struct drive *d)
{
	BUG_ON(d->mirror);
	list_del(&d->link);
	list_add(&d->graph->gone, &d->link);
	graph_put(d->node);
	d->node = NULL;
	drive_cont(d);
}

void drive_free(struct drive *d)
{
	list_del(&d->link);
	cond_release(&d->opened);
	lock_release(&d->gate);
	free(d->id);
	free(d);
}

struct drive *drive_find(struct graph *g, const char *id)
{
	list_for_each(link, &g->drives)
		if (*id && !strcmp(drive_at(link)->id, id))
			return drive_at(link);
	return NULL;
}

struct drive *drive_of(const struct node *node)
{
	list_for_each(link, &node->graph->drives)
		if (drive_at(link)->node == node)
			return drive_at(link);
	return NULL;
}

/* --- the gate --- */

/* Whom the thread serves; NULL: one who waits as long as it takes. */
static _Thread_local const _Atomic bool *client_gone;

void drive_serve(const _Atomic bool *gone)
{
	client_gone = gone;
}

void drive_recall(struct drive *d)
{
	lock_take(&d->gate);
	cond_wake_all(&d->opened);
	lock_drop(&d->gate);
}

static bool client_waits(void)
{
	return !client_gone || !atomic_load(client_gone);
}

/* Waits for the guest to run before the graph is taken: a request that stood
 * still with the graph in its hands would stop every job. */
static int drive_enter(struct drive *d)
{
	bool enters;

	lock_take(&d->gate);
	while (d->stopped && client_waits())
		cond_wait(&d->opened, &d->gate);
	enters = !d->stopped;
	d->in_flight += enters;
	lock_drop(&d->gate);
	if (!enters)
		return -ECANCELED;
	rwlock_read(&d->graph->lock);
	return 0;
}

static void drive_leave(struct drive *d)
{
	rwlock_drop(&d->graph->lock);
	lock_take(&d->gate);
	if (!--d->in_flight)
		cond_wake_all(&d->opened);
	lock_drop(&d->gate);
}

void drive_stop(struct drive *d)
{
	lock_take(&d->gate);
	d->stopped = true;
	while (d->stopped && d->in_flight)
		cond_wait(&d->opened, &d->gate);
	lock_drop(&d->gate);
}

void drive_cont(struct drive *d)
{
	lock_take(&d->gate);
	d->stopped = false;
	cond_wake_all(&d->opened);
	lock_drop(&d->gate);
}

/* --- requests --- */

static int check_bounds(const struct drive *d, uint64_t off, uint64_t len)
{
	uint64_t size = d->node ? d->node->size : 0;

	if (!d->node)
		return -ENODEV;
	return off > size || len > size - off ? -EINVAL : 0;
}

static int check_change(const struct drive *d, uint64_t off, uint64_t len)
{
	int rc = check_bounds(d, off, len);

	return !rc && d->read_only ? -EROFS : rc;
}

/* A disk whose format was guessed must not be made to look like another one:
 * the next guess would let the guest read any file of the host (hazard H1). */
static bool forges_header(struct drive *d, uint64_t off, uint64_t len,
			  const char *buf)
{
	char head[4];

	if (!d->node->probed || d->node->drv != &driver_raw ||
	    off >= sizeof(head))
		return false;
	if (node_read(d->node, 0, sizeof(head), head))
		return true;
	memcpy(head + off, buf, min_u64(len, sizeof(head) - off));
	return !memcmp(head, "QFI\xfb", sizeof(head));
}

static void tell_error(struct drive *d, bool reading, int rc)
{
	struct event ev = {
		.type = EVENT_IO_ERROR,
		.operation = reading ? "read" : "write",
		.action = "report",
		.nospace = rc == -ENOSPC,
	};

	if (!d->graph->events)
		return;
	snprintf(ev.id, sizeof(ev.id), "%s", d->id);
	snprintf(ev.node, sizeof(ev.node), "%s", d->node->name);
	snprintf(ev.text, sizeof(ev.text), "%s", strerror(-rc));
	event_publish(d->graph->events, &ev);
}

/* The end of each request: counted, and told of if the disk (not the guest)
 * is to blame. */
static int drive_account(struct drive *d, enum node_request what,
			 uint64_t len, uint64_t began, int rc)
{
	node_stats_add(&d->stats, what, len, began, rc);
	if (rc && rc != -EINVAL && rc != -EROFS && rc != -EPERM &&
	    rc != -ENODEV)
		tell_error(d, what == NODE_RD, rc);
	return rc;
}

int drive_read(struct drive *d, uint64_t off, uint64_t len, void *buf)
{
	uint64_t began;
	int rc = drive_enter(d);

	if (rc)
		return rc;
	began = clock_ns();
	rc = check_bounds(d, off, len);
	if (!rc)
		rc = node_read(d->node, off, len, buf);
	drive_account(d, NODE_RD, len, began, rc);
	drive_leave(d);
	return rc;
}

/* One change of the disk, as the mirror has to repeat it. @data NULL:
 * zeroes. */
struct change {
	uint64_t off, len;
	const void *data;
	bool unmap;
};

static int change_held(struct node *node, const struct change *c)
{
	return c->data ? node_write_held(node, c->off, c->len, c->data) :
			 node_zero_held(node, c->off, c->len, c->unmap);
}

static int change_node(struct node *node, const struct change *c)
{
	return c->data ? node_write(node, c->off, c->len, c->data) :
			 node_zero(node, c->off, c->len, c->unmap);
}

/* A change that failed may have been made in part. The target gets what the
 * drive shows now, for the job will not look there again. Range held. */
static int repeat_outcome(struct drive *d, const struct change *c)
{
	uint64_t end = c->off + c->len, n;
	char *buf = buf_new(min_u64(c->len, REPEAT_BYTES));
	int rc = buf ? 0 : -ENOMEM;

	for (uint64_t off = c->off; off < end && !rc; off += n) {
		n = min_u64(end - off, REPEAT_BYTES);
		rc = node_read_held(d->node, off, n, buf);
		if (!rc)
			rc = node_write(d->mirror->target, off, n, buf);
	}
	free(buf);
	return rc;
}

/* Whoever holds the range sees a cursor that does not move over it; what lies
 * behind the cursor goes to both images before the range is let go. What lies
 * before it the job copies later. */
static int change_both(struct drive *d, const struct change *c)
{
	struct node *node = d->node;
	struct mirror *m = d->mirror;
	uint64_t start = align_down(c->off, node->cluster);
	uint64_t end = align_up(c->off + c->len, node->cluster);
	struct range_hold hold;
	int rc, behind = 0;

	range_take(&node->range, &hold, start, end - start, true);
	rc = change_held(node, c);
	if (c->off < atomic_load(&m->cursor))
		behind = rc ? repeat_outcome(d, c) : change_node(m->target, c);
	if (behind)
		atomic_store(&m->failed, behind);
	range_drop(&node->range, &hold);
	return rc;
}

static int change(struct drive *d, const struct change *c)
{
	return d->mirror ? change_both(d, c) : change_node(d->node, c);
}

int drive_write(struct drive *d, uint64_t off, uint64_t len, const void *buf,
		bool fua)
{
	struct change c = { .off = off, .len = len, .data = buf };
	uint64_t began;
	int rc = drive_enter(d);

	if (rc)
		return rc;
	began = clock_ns();
	rc = check_change(d, off, len);
	if (!rc && forges_header(d, off, len, buf))
		rc = -EPERM;
	if (!rc && len)
		rc = change(d, &c);
	if (!rc && fua)
		rc = node_flush(d->node);
	drive_account(d, NODE_WR, len, began, rc);
	drive_leave(d);
	return rc;
}

/* A second image may have to be written to where the first need not. */
static bool zeroes_fast(const struct drive *d, uint64_t off, uint64_t len)
{
	const struct node *node = d->node;

	return !d->mirror && node->drv->zeroes_fast &&
	       node->drv->zeroes_fast(node) &&
	       is_aligned(off, node->cluster) &&
	       (is_aligned(len, node->cluster) || off + len == node->size);
}

static int zero(struct drive *d, uint64_t off, uint64_t len, bool unmap,
		bool fast)
{
	struct change c = { .off = off, .len = len, .unmap = unmap };
	uint64_t began;
	int rc = drive_enter(d);

	if (rc)
		return rc;
	began = clock_ns();
	rc = check_change(d, off, len);
	if (!rc && fast && !zeroes_fast(d, off, len)) {
		drive_leave(d);
		return -EOPNOTSUPP;
	}
	if (!rc && len)
		rc = change(d, &c);
	drive_account(d, NODE_WR, len, began, rc);
	drive_leave(d);
	return rc;
}

int drive_zero(struct drive *d, uint64_t off, uint64_t len, bool unmap)
{
	return zero(d, off, len, unmap, false);
}

int drive_zero_fast(struct drive *d, uint64_t off, uint64_t len, bool unmap)
{
	return zero(d, off, len, unmap, true);
}

/* What a discarded piece reads as is the image's choice. Two images must
 * choose the same, so under a mirror it is zeroes. */
int drive_discard(struct drive *d, uint64_t off, uint64_t len)
{
	struct change c = { .off = off, .len = len, .unmap = true };
	uint64_t began;
	int rc = drive_enter(d);

	if (rc)
		return rc;
	began = clock_ns();
	rc = check_change(d, off, len);
	if (!rc && len)
		rc = d->mirror ? change_both(d, &c) :
				 node_discard(d->node, off, len);
	drive_account(d, NODE_UNMAP, len, began, rc);
	drive_leave(d);
	return rc;
}

int drive_flush(struct drive *d)
{
	uint64_t began;
	int rc = drive_enter(d);

	if (rc)
		return rc;
	began = clock_ns();
	rc = check_bounds(d, 0, 0);
	if (!rc && !d->read_only)
		rc = node_flush(d->node);
	drive_account(d, NODE_FLUSH, 0, began, rc);
	drive_leave(d);
	return rc;
}

int drive_extents(struct drive *d, uint64_t off, uint64_t len,
		  struct extent *out, size_t max, size_t *count)
{
	int rc = drive_enter(d);

	if (rc)
		return rc;
	rc = check_bounds(d, off, len);
	if (!rc)
		rc = extents_find(d->node, off, len, out, max, count);
	drive_leave(d);
	return rc;
}
