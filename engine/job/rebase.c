/* rebase.c - see rebase.h.
 *
 * What is below now and what will be are compared where the image has holes;
 * pieces that differ (clusters, or subclusters) are filled as a stream fills
 * them.
 */
#include "engine/job/rebase.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/job/copy.h"
#include "engine/job/pairs.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define REBASE_SPANS 256u		/* copied at once */
#define REBASE_BYTES (16u << 20)

struct rebase {
	const struct rebase_copy *o;
	struct node *image;
	struct places old;		/* what is below now */
	struct pairs *pairs;
	struct copy *copier;
	struct span span[REBASE_SPANS];
	size_t count;
	uint64_t bytes;			/* of data in them */
};

/* 0: to be tried again. */
static int rebase_fail(struct rebase *r, struct node *node, int rc,
		       bool reading, uint64_t off, struct err *err)
{
	const struct copy_error e = {
		.rc = rc, .off = off, .reading = reading, .node = node,
	};
	struct err why = ERR_INIT;

	err_sys(&why, rc, "Could not %s '%s' at offset %" PRIu64 " of the disk",
		reading ? "read" : "write", node->file->path, off);
	if (r->o->failed)
		rc = r->o->failed(&e, &why, r->o->arg);
	if (rc)
		*err = why;
	return rc;
}

static int rebase_flush(struct rebase *r, struct err *err)
{
	bool moves = r->count && !r->o->dry;
	struct copy_error e;
	int rc = 0;

	/* What a failed try has filled is no hole to the next. */
	while (!rc && moves &&
	       copy_spans(r->copier, r->span, r->count, &e))
		rc = rebase_fail(r, e.node ? e.node : r->image, e.rc, e.reading,
				 e.off, err);
	if (!rc && r->o->copied)
		*r->o->copied += r->bytes;
	r->count = 0;
	r->bytes = 0;
	return rc;
}

/* One piece of the image, or what the disk has of the last one. */
static void rebase_note(struct rebase *r, uint64_t off, uint64_t end,
			enum run_kind kind)
{
	struct span *last = r->count ? &r->span[r->count - 1] : NULL;

	if (kind == RUN_DATA)
		r->bytes += end - off;
	if (last && last->off + last->len == off && last->kind == kind &&
	    (kind == RUN_ZERO || end - last->off <= COPY_SPAN_MAX))
		last->len = end - last->off;
	else
		r->span[r->count++] = (struct span){
			.off = off, .len = end - off, .kind = kind,
		};
}

/* Behind what is noted already. */
static bool rebase_has(const struct rebase *r, uint64_t off)
{
	const struct span *last = r->count ? &r->span[r->count - 1] : NULL;

	return last && off < last->off + last->len;
}

/* Is all of it zeroes now? By the map, or where all of it was read, by its
 * bytes. */
static int rebase_kind(struct rebase *r, uint64_t off, uint64_t end,
		       const uint8_t *data, uint64_t len, enum run_kind *kind)
{
	struct place at = { 0 };
	int rc = 0;

	*kind = RUN_DATA;
	if (len == end - off && (!data || bytes_are_zero(data, len))) {
		*kind = RUN_ZERO;
		return 0;
	}
	for (uint64_t pos = off; pos < end; pos += at.len) {
		rc = places_at(&r->old, pos, end - pos, &at);
		if (rc || !at.zero)
			return rc;
	}
	*kind = RUN_ZERO;
	return 0;
}

/* NULL stands for zeroes. */
static bool rebase_differs(const uint8_t *a, const uint8_t *b, uint64_t len)
{
	if (a && b)
		return memcmp(a, b, len);
	return (a || b) && !bytes_are_zero(a ? a : b, len);
}

/* From byte @off on the disks are read again, if that is wanted. */
static int rebase_read_fail(struct rebase *r, struct node *node, int rc,
			    uint64_t off, uint64_t again, struct err *err)
{
	rc = rebase_fail(r, node, rc, true, off, err);
	if (!rc)
		pairs_again(r->pairs, again);
	return rc;
}

/* What of a pair lies in one piece of the image; *at moves behind it, or to the
 * end of a pair that is read again. */
static int rebase_part(struct rebase *r, const struct pair *pair, uint64_t *at,
		       struct err *err)
{
	uint64_t off = align_down(*at, r->image->piece);
	uint64_t end = min_u64(off + r->image->piece, r->image->size);
	uint64_t skip = *at - pair->off;
	uint64_t len = min_u64(end, pair->off + pair->len) - *at;
	const uint8_t *a = pair->data[0] ? pair->data[0] + skip : NULL;
	const uint8_t *b = pair->data[1] ? pair->data[1] + skip : NULL;
	enum run_kind kind;
	int rc;

	*at += len;
	if (rebase_has(r, off) || (!r->o->dry && !rebase_differs(a, b, len)))
		return 0;
	rc = rebase_kind(r, off, end, a, r->o->dry ? 0 : len, &kind);
	if (rc) {
		*at = pair->off + pair->len;
		return rebase_read_fail(r, r->old.culprit, rc, off, pair->off,
					err);
	}
	rebase_note(r, off, end, kind);
	return r->count == REBASE_SPANS || r->bytes >= REBASE_BYTES ?
		rebase_flush(r, err) : 0;
}

static int rebase_pair(struct rebase *r, const struct pair *pair,
		       struct err *err)
{
	struct node *const top[] = { r->image->backing, r->o->base };
	int rc = 0;

	if (r->o->read && !pair->same)
		*r->o->read += pair->len;
	if (pair->rc)
		return rebase_read_fail(r, top[pair->failed], pair->rc,
					pair->off, pair->off, err);
	for (uint64_t at = pair->off;
	     !rc && !pair->same && at < pair->off + pair->len;)
		rc = rebase_part(r, pair, &at, err);
	if (!rc && r->o->progress &&
	    !r->o->progress(pair->off + pair->len, r->image->size, r->o->arg))
		rc = -ECANCELED;
	return rc;
}

static int rebase_pass(struct rebase *r, struct err *err)
{
	struct node *const top[] = { r->image->backing, r->o->base, r->image };
	struct pair pair = { 0 };
	unsigned failed;
	int rc = 0, more;

	do {
		more = pairs_next(r->pairs, &pair, &failed);
		if (more < 0)
			rc = rebase_read_fail(r, top[failed], more, pair.off,
					      pair.off, err);
		else if (more)
			rc = rebase_pair(r, &pair, err);
		else
			rc = rebase_flush(r, err);
	} while (more && !rc);
	if (!rc && r->o->progress)
		r->o->progress(r->image->size, r->image->size, r->o->arg);
	return rc;
}

int rebase_copy(const struct rebase_copy *o, struct err *err)
{
	const struct pairs_options po = {
		.pool = o->pool, .top = { o->image->backing, o->base },
		.over = o->image, .size = o->image->size, .unread = o->dry,
	};
	const struct copy_options co = {
		.pool = o->pool, .from = o->image, .to = o->image,
		.only_holes = true,
	};
	struct rebase *r = mem_try(1, sizeof(*r));
	int rc = -ENOMEM;

	if (!r)
		return err_sys(err, ENOMEM, "Could not compare the chains");
	r->o = o;
	r->image = o->image;
	places_init(&r->old, o->image->backing);
	r->pairs = pairs_new(&po);
	r->copier = copy_new(&co);
	if (r->pairs)
		rc = rebase_pass(r, err);
	else
		err_sys(err, ENOMEM, "Could not compare the chains");
	copy_free(r->copier);
	pairs_free(r->pairs);
	places_release(&r->old);
	free(r);
	return rc;
}
