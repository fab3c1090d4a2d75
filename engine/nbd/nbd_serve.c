/* nbd_serve.c - what requests do. See nbd_impl.h, "Request types" of the
 * protocol. They were checked when they were read.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/nbd/nbd.h"
#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

/* Up to here it is cheaper to read and look for zeroes than to ask first what
 * lies where. */
#define READ_WHOLE (64u << 10)
#define STATUS_EXTENTS 1024

/* --- read --- */

static int read_whole(struct nbd_conn *c, struct nbd_request *r)
{
	int rc = disk_read(c->export->disk, r->off, r->len, r->buf);

	return rc ? nbd_reply(c, r, nbd_errno(rc)) : nbd_reply_data(c, r);
}

/* Data of a simple reply: nothing can be said any more when it fails, but by
 * hanging up. */
static int send_simple_pieces(struct nbd_conn *c, struct nbd_request *r)
{
	int rc = nbd_simple_head(c, r);

	for (uint32_t at = 0, n; at < r->len && !rc; at += n) {
		struct iovec iov = { .iov_base = r->buf };

		n = (uint32_t)min_u64(r->len - at, NBD_PIECE);
		iov.iov_len = n;
		rc = disk_read(c->export->disk, r->off + at, n, r->buf);
		if (!rc)
			rc = nbd_send(c, &iov, 1);
	}
	return rc;
}

static int read_simple(struct nbd_conn *c, struct nbd_request *r)
{
	int rc;

	if (r->len <= NBD_PIECE)
		return read_whole(c, r);
	nbd_out_take(c);
	rc = send_simple_pieces(c, r);
	nbd_out_drop(c);
	return rc;
}

/* Reads the data among @n extents from @off on into r->buf and makes chunks of
 * all; *at moves behind them. */
static int read_extents(struct nbd_conn *c, struct nbd_request *r,
			const struct extent *extent, size_t n,
			struct nbd_chunks *out, uint32_t *at)
{
	uint8_t *buf = r->buf;
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		uint32_t len = (uint32_t)extent[i].len;
		uint64_t off = r->off + *at;
		bool done = *at + len == r->len;

		if (extent[i].zero) {
			nbd_chunk_hole(out, r, off, len, done);
		} else {
			rc = disk_read(c->export->disk, off, len, buf);
			nbd_chunk_data(out, r, off, buf, len, done);
			buf += len;
		}
		*at += len;
	}
	return rc;
}

/* Piece by piece, holes as such. */
static int read_sparse(struct nbd_conn *c, struct nbd_request *r)
{
	struct nbd_chunks out = { .count = 0 };
	struct extent extent[NBD_CHUNKS];
	uint32_t at = 0;
	size_t n;

	while (at < r->len) {
		int rc = disk_extents(c->export->disk, r->off + at,
					min_u64(r->len - at, NBD_PIECE),
					extent, NBD_CHUNKS, &n);

		if (!rc)
			rc = read_extents(c, r, extent, n, &out, &at);
		if (rc)
			return nbd_reply(c, r, nbd_errno(rc));
		rc = nbd_chunks_send(c, &out);
		if (rc)
			return rc;
	}
	return 0;
}

static int serve_read(struct nbd_conn *c, struct nbd_request *r)
{
	if (!c->structured)
		return read_simple(c, r);
	if (r->len <= READ_WHOLE || (r->flags & NBD_CMD_FLAG_DF))
		return read_whole(c, r);
	return read_sparse(c, r);
}

/* --- changes --- */

static int serve_write(struct nbd_conn *c, struct nbd_request *r)
{
	int rc = disk_write(c->export->disk, r->off + r->done, r->len - r->done,
			      r->buf, r->flags & NBD_CMD_FLAG_FUA);

	return nbd_reply(c, r, nbd_errno(rc));
}

static int serve_flush(struct nbd_conn *c, struct nbd_request *r)
{
	return nbd_reply(c, r, nbd_errno(disk_flush(c->export->disk)));
}

static int flush_if_asked(struct nbd_conn *c, const struct nbd_request *r)
{
	return r->flags & NBD_CMD_FLAG_FUA ? disk_flush(c->export->disk) : 0;
}

static int serve_trim(struct nbd_conn *c, struct nbd_request *r)
{
	int rc = disk_discard(c->export->disk, r->off, r->len);

	if (!rc)
		rc = flush_if_asked(c, r);
	return nbd_reply(c, r, nbd_errno(rc));
}

static int serve_zeroes(struct nbd_conn *c, struct nbd_request *r)
{
	bool fast = r->flags & NBD_CMD_FLAG_FAST_ZERO;
	int rc = disk_zero(c->export->disk, r->off, r->len,
			     !(r->flags & NBD_CMD_FLAG_NO_HOLE), fast);

	if (fast && rc == -EOPNOTSUPP)
		return nbd_reply(c, r, NBD_ENOTSUP);
	if (!rc)
		rc = flush_if_asked(c, r);
	return nbd_reply(c, r, nbd_errno(rc));
}

/* Reading it makes the host keep it. */
static int serve_cache(struct nbd_conn *c, struct nbd_request *r)
{
	int rc = 0;

	for (uint32_t at = 0, n; at < r->len && !rc; at += n) {
		n = (uint32_t)min_u64(r->len - at, NBD_PIECE);
		rc = disk_read(c->export->disk, r->off + at, n, r->buf);
	}
	return nbd_reply(c, r, nbd_errno(rc));
}

/* --- block status --- */

static uint32_t status_of(const struct extent *x, unsigned context)
{
	if (context == NBD_CONTEXT_DEPTH)
		return x->depth;
	return x->zero ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0;
}

/* One context's descriptors, neighbours that say the same in one; how many
 * bytes. */
static uint32_t put_extents(uint8_t *out, const struct extent *x, size_t n,
			    unsigned context, bool one)
{
	uint8_t *at = out;

	for (size_t i = 0; i < n; i++) {
		uint32_t status = status_of(&x[i], context);
		uint32_t len = (uint32_t)x[i].len;

		if (at > out && get_be32(at - 4) == status) {
			put_be32(at - 8, get_be32(at - 8) + len);
			continue;
		}
		if (one && at > out)
			break;
		put_be32(at, len);
		put_be32(at + 4, status);
		at += 8;
	}
	return (uint32_t)(at - out);
}

static int reply_status(struct nbd_conn *c, const struct nbd_request *r,
			const struct extent *x, size_t n, uint8_t *body)
{
	struct nbd_chunks out = { .count = 0 };

	for (unsigned i = 0; i < NBD_CONTEXTS; i++) {
		bool last = c->contexts < 2u << i;
		uint32_t len;

		if (!(c->contexts & 1u << i))
			continue;
		len = put_extents(body, x, n, i,
				  r->flags & NBD_CMD_FLAG_REQ_ONE);
		nbd_chunk_status(&out, r, i, body, len, last);
		body += len;
	}
	return nbd_chunks_send(c, &out);
}

static int serve_status(struct nbd_conn *c, struct nbd_request *r)
{
	size_t max = r->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : STATUS_EXTENTS, n;
	struct extent *x = mem_try(max, sizeof(*x));
	uint8_t *body = mem_try(max * NBD_CONTEXTS, 8);
	int rc = x && body ? disk_extents(c->export->disk, r->off, r->len, x,
					    max, &n) : -ENOMEM;

	rc = rc ? nbd_reply(c, r, nbd_errno(rc)) :
		  reply_status(c, r, x, n, body);
	free(body);
	free(x);
	return rc;
}

/* --- all of them --- */

static int (*const handler[])(struct nbd_conn *c, struct nbd_request *r) = {
	[NBD_CMD_READ] = serve_read,
	[NBD_CMD_WRITE] = serve_write,
	[NBD_CMD_FLUSH] = serve_flush,
	[NBD_CMD_TRIM] = serve_trim,
	[NBD_CMD_CACHE] = serve_cache,
	[NBD_CMD_WRITE_ZEROES] = serve_zeroes,
	[NBD_CMD_BLOCK_STATUS] = serve_status,
};

static void nbd_serve_add(_Atomic uint64_t *n, uint64_t more)
{
	atomic_fetch_add_explicit(n, more, memory_order_relaxed);
}

static void nbd_serve_count(struct nbd_tally *t, const struct nbd_request *r)
{
	nbd_serve_add(&t->requests, 1);
	if (r->type == NBD_CMD_READ) {
		nbd_serve_add(&t->rd_ops, 1);
		nbd_serve_add(&t->rd_bytes, r->len);
	} else if (r->type == NBD_CMD_WRITE) {
		nbd_serve_add(&t->wr_ops, 1);
		nbd_serve_add(&t->wr_bytes, r->len);
	}
}

int nbd_serve(struct nbd_conn *c, struct nbd_request *r)
{
	if (r->error)
		return nbd_reply(c, r, r->error);
	nbd_serve_count(&c->tally, r);
	nbd_serve_count(&c->export->tally, r);
	return handler[r->type](c, r);
}
