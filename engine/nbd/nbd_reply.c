/* nbd_reply.c - answers on the wire: simple replies and structured chunks. See
 * nbd_impl.h. What belongs together goes out in one system call.
 */
#include <errno.h>
#include <string.h>

#include "engine/nbd/nbd.h"
#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"

#define SIMPLE_BYTES 16
#define CHUNK_BYTES 20

uint32_t nbd_errno(int rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case EPERM:
	case EROFS:
		return NBD_EPERM;
	case ENOMEM:
		return NBD_ENOMEM;
	case EINVAL:
		return NBD_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	case ECANCELED:
		return NBD_ESHUTDOWN;
	}
	return NBD_EIO;
}

static int send_locked(struct nbd_conn *c, struct iovec *iov, int n)
{
	int rc;

	nbd_out_take(c);
	rc = nbd_send(c, iov, n);
	nbd_out_drop(c);
	return rc;
}

/* --- simple --- */

static void put_simple(uint8_t *b, const struct nbd_request *r, uint32_t error)
{
	put_be32(b, NBD_SIMPLE_MAGIC);
	put_be32(b + 4, error);
	put_be64(b + 8, r->cookie);
}

static int reply_simple(struct nbd_conn *c, const struct nbd_request *r,
			uint32_t error, uint32_t data)
{
	uint8_t head[SIMPLE_BYTES];
	struct iovec iov[] = { { head, sizeof(head) }, { r->buf, data } };

	put_simple(head, r, error);
	return send_locked(c, iov, 2);
}

int nbd_simple_head(struct nbd_conn *c, const struct nbd_request *r)
{
	uint8_t head[SIMPLE_BYTES];
	struct iovec iov = { head, sizeof(head) };

	put_simple(head, r, 0);
	return nbd_send(c, &iov, 1);
}

/* --- chunks --- */

static void put_chunk(uint8_t *b, const struct nbd_request *r, unsigned type,
		      size_t len, bool done)
{
	put_be32(b, NBD_CHUNK_MAGIC);
	put_be16(b + 4, done ? NBD_CHUNK_DONE : 0);
	put_be16(b + 6, (uint16_t)type);
	put_be64(b + 8, r->cookie);
	put_be32(b + 16, (uint32_t)len);
}

/* @extra bytes behind the chunk's head, to be filled by the caller, then
 * @len bytes of @data. */
static uint8_t *nbd_reply_add(struct nbd_chunks *out,
			      const struct nbd_request *r, unsigned type,
			      size_t extra, void *data, size_t len, bool done)
{
	uint8_t *head = out->head[out->count++];

	put_chunk(head, r, type, extra + len, done);
	out->iov[out->parts++] = (struct iovec){ head, CHUNK_BYTES + extra };
	if (len)
		out->iov[out->parts++] = (struct iovec){ data, len };
	return head + CHUNK_BYTES;
}

void nbd_chunk_data(struct nbd_chunks *out, const struct nbd_request *r,
		    uint64_t off, void *data, uint32_t len, bool done)
{
	put_be64(nbd_reply_add(out, r, NBD_CHUNK_DATA, 8, data, len, done),
		 off);
}

void nbd_chunk_hole(struct nbd_chunks *out, const struct nbd_request *r,
		    uint64_t off, uint32_t len, bool done)
{
	uint8_t *b = nbd_reply_add(out, r, NBD_CHUNK_HOLE, 12, NULL, 0, done);

	put_be64(b, off);
	put_be32(b + 8, len);
}

void nbd_chunk_status(struct nbd_chunks *out, const struct nbd_request *r,
		      uint32_t context, void *body, uint32_t len, bool done)
{
	put_be32(nbd_reply_add(out, r, NBD_CHUNK_STATUS, 4, body, len, done),
		 context);
}

int nbd_chunks_send(struct nbd_conn *c, struct nbd_chunks *out)
{
	int rc = send_locked(c, out->iov, out->parts);

	out->count = 0;
	out->parts = 0;
	return rc;
}

static const char *words_of(uint32_t error)
{
	switch (error) {
	case NBD_EPERM:
		return "the export is read-only";
	case NBD_ENOMEM:
		return "out of memory";
	case NBD_EINVAL:
		return "invalid request";
	case NBD_ENOSPC:
		return "no space left";
	case NBD_EOVERFLOW:
		return "too long a request";
	case NBD_ENOTSUP:
		return "not faster than writing";
	case NBD_ESHUTDOWN:
		return "the export is being closed";
	}
	return "input/output error";
}

static int reply_chunk(struct nbd_conn *c, const struct nbd_request *r,
		       uint32_t error)
{
	uint8_t head[CHUNK_BYTES + 6];
	const char *words = error ? words_of(error) : "";
	size_t extra = error ? 6 : 0, len = strlen(words);
	struct iovec iov[] = {
		{ head, CHUNK_BYTES + extra },
		{ (void *)(uintptr_t)words, len },
	};

	put_chunk(head, r, error ? NBD_CHUNK_ERROR : NBD_CHUNK_NONE,
		  extra + len, true);
	put_be32(head + CHUNK_BYTES, error);
	put_be16(head + CHUNK_BYTES + 4, (uint16_t)len);
	return send_locked(c, iov, 2);
}

/* --- either --- */

int nbd_reply(struct nbd_conn *c, const struct nbd_request *r, uint32_t error)
{
	return c->structured ? reply_chunk(c, r, error) :
			       reply_simple(c, r, error, 0);
}

int nbd_reply_data(struct nbd_conn *c, const struct nbd_request *r)
{
	struct nbd_chunks out = { .count = 0 };

	if (!r->len)
		return nbd_reply(c, r, 0);
	if (!c->structured)
		return reply_simple(c, r, 0, r->len);
	if (bytes_are_zero(r->buf, r->len))
		nbd_chunk_hole(&out, r, r->off, r->len, true);
	else
		nbd_chunk_data(&out, r, r->off, r->buf, r->len, true);
	return nbd_chunks_send(c, &out);
}
