/* nbd_request.c - takes requests in: what may be asked, and with how much
 * memory. See nbd_impl.h, "Transmission" of the protocol.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/nbd/nbd.h"
#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

static const struct command {
	unsigned flags;		/* beside FUA, which each may have */
	bool known;
	bool changes;
	bool has_range;		/* offset and length lie on the disk */
	bool has_buffer;
	uint32_t beyond;	/* the error where they don't */
} commands[] = {
	[NBD_CMD_READ] = { .known = true, .flags = NBD_CMD_FLAG_DF,
			   .has_range = true, .has_buffer = true,
			   .beyond = NBD_EINVAL },
	[NBD_CMD_WRITE] = { .known = true, .changes = true,
			    .has_range = true, .has_buffer = true,
			    .beyond = NBD_ENOSPC },
	[NBD_CMD_FLUSH] = { .known = true },
	[NBD_CMD_TRIM] = { .known = true, .changes = true, .has_range = true,
			   .beyond = NBD_EINVAL },
	[NBD_CMD_CACHE] = { .known = true, .has_range = true,
			    .has_buffer = true, .beyond = NBD_EINVAL },
	[NBD_CMD_WRITE_ZEROES] = { .known = true, .changes = true,
				   .has_range = true, .beyond = NBD_ENOSPC,
				   .flags = NBD_CMD_FLAG_NO_HOLE |
					    NBD_CMD_FLAG_FAST_ZERO },
	[NBD_CMD_BLOCK_STATUS] = { .known = true, .has_range = true,
				   .flags = NBD_CMD_FLAG_REQ_ONE,
				   .beyond = NBD_EINVAL },
};

static const struct command none;

static const struct command *command_of(const struct nbd_request *r)
{
	return r->type < sizeof(commands) / sizeof(*commands) ?
	       &commands[r->type] : &none;
}

/* --- may it be asked? --- */

/* The disk may have grown since it was looked at. */
static bool is_on_disk(struct nbd_conn *c, const struct nbd_request *r)
{
	if (r->off <= c->size && r->len <= c->size - r->off)
		return true;
	c->size = disk_size(c->export->disk);
	return r->off <= c->size && r->len <= c->size - r->off;
}

static bool flags_fit(const struct nbd_conn *c, const struct nbd_request *r,
		      const struct command *cmd)
{
	if (r->flags & ~(cmd->flags | NBD_CMD_FLAG_FUA))
		return false;
	return c->structured || !(r->flags & NBD_CMD_FLAG_DF);
}

static bool is_too_long(const struct nbd_conn *c, const struct nbd_request *r,
			const struct command *cmd)
{
	if (c->structured && (r->flags & NBD_CMD_FLAG_DF))
		return r->len > NBD_PIECE;
	return cmd->has_buffer && r->len > NBD_REQUEST_MAX;
}

static uint32_t nbd_request_check(struct nbd_conn *c,
				  const struct nbd_request *r)
{
	const struct command *cmd = command_of(r);

	if (!cmd->known || !flags_fit(c, r, cmd))
		return NBD_EINVAL;
	if (cmd->changes && !disk_is_writable(c->export->disk))
		return NBD_EPERM;
	if (!cmd->has_range)
		return r->off || r->len ? NBD_EINVAL : 0;
	if (!is_on_disk(c, r))
		return cmd->beyond;
	if (is_too_long(c, r, cmd))
		return c->structured ? NBD_EOVERFLOW : NBD_EINVAL;
	if (r->type == NBD_CMD_BLOCK_STATUS && (!c->contexts || !r->len))
		return NBD_EINVAL;
	return 0;
}

/* --- memory --- */

static bool take_shared(struct nbd_server *s)
{
	unsigned used = atomic_load(&s->shared);

	while (used < NBD_SHARED_MAX)
		if (atomic_compare_exchange_weak(&s->shared, &used, used + 1))
			return true;
	return false;
}

/* Only requests of the same client are waited for. */
static void piece_take(struct nbd_conn *c, struct nbd_request *r)
{
	lock_take(&c->lock);
	while (c->pieces && !r->shared) {
		r->shared = take_shared(c->server);
		if (!r->shared)
			cond_wait(&c->freed, &c->lock);
	}
	c->pieces++;
	r->owns = true;
	lock_drop(&c->lock);
}

static void piece_give(struct nbd_conn *c, struct nbd_request *r)
{
	lock_take(&c->lock);
	c->pieces--;
	cond_wake_one(&c->freed);
	lock_drop(&c->lock);
	if (r->shared)
		atomic_fetch_sub(&c->server->shared, 1);
}

/* Memory that the host has to give anew costs more than what is done with it,
 * so some is kept. */
static uint8_t *spare_take(struct nbd_server *s)
{
	uint8_t *buf = NULL;

	lock_take(&s->lock);
	if (s->spares)
		buf = s->spare[--s->spares];
	lock_drop(&s->lock);
	return buf ? buf : buf_new(NBD_PIECE);
}

static void spare_give(struct nbd_server *s, uint8_t *buf)
{
	bool kept;

	lock_take(&s->lock);
	kept = buf && s->spares < NBD_SPARES;
	if (kept)
		s->spare[s->spares++] = buf;
	lock_drop(&s->lock);
	if (!kept)
		free(buf);
}

static void get_buffer(struct nbd_worker *w, struct nbd_request *r)
{
	if (r->len <= NBD_SMALL) {
		r->buf = w->small;
		return;
	}
	piece_take(w->conn, r);
	r->buf = spare_take(w->conn->server);
	if (!r->buf)
		r->error = NBD_ENOMEM;
}

void nbd_request_release(struct nbd_worker *w, struct nbd_request *r)
{
	if (!r->owns)
		return;
	spare_give(w->conn->server, r->buf);
	piece_give(w->conn, r);
}

/* --- data of a write --- */

static int recv_data(struct nbd_conn *c, void *buf, size_t len)
{
	int rc = nbd_recv(c, buf, len);

	return rc == -ENODATA ? -EPIPE : rc;
}

/* All but the last piece of a long write is served on the way. Once something
 * went wrong the rest is only taken off the wire. */
static int recv_pieces(struct nbd_conn *c, struct nbd_request *r)
{
	while (!r->error && r->len - r->done > NBD_PIECE) {
		int rc = recv_data(c, r->buf, NBD_PIECE);

		if (rc)
			return rc;
		r->error = nbd_errno(disk_write(c->export->disk,
						r->off + r->done, NBD_PIECE,
						r->buf, false));
		r->done += NBD_PIECE;
	}
	if (r->error)
		return nbd_skip(c, r->len - r->done);
	return recv_data(c, r->buf, r->len - r->done);
}

/* --- one request --- */

static int read_head(struct nbd_conn *c, struct nbd_request *r)
{
	uint8_t b[NBD_REQUEST_BYTES];
	int rc = nbd_recv(c, b, sizeof(b));

	if (rc)
		return rc;
	if (get_be32(b) != NBD_REQUEST_MAGIC) {
		nbd_notice(c->server, c, "no request begins with 0x%08x",
			   get_be32(b));
		return -EBADMSG;
	}
	r->flags = get_be16(b + 4);
	r->type = get_be16(b + 6);
	r->cookie = get_be64(b + 8);
	r->off = get_be64(b + 16);
	r->len = get_be32(b + 24);
	return r->type == NBD_CMD_DISC ? -ENODATA : 0;
}

static void refused(struct nbd_conn *c, const struct nbd_request *r)
{
	static const enum node_request kind[] = {
		[NBD_CMD_READ] = NODE_RD, [NBD_CMD_WRITE] = NODE_WR,
		[NBD_CMD_FLUSH] = NODE_FLUSH, [NBD_CMD_TRIM] = NODE_UNMAP,
		[NBD_CMD_CACHE] = NODE_RD, [NBD_CMD_WRITE_ZEROES] = NODE_WR,
		[NBD_CMD_BLOCK_STATUS] = NODE_RD,
	};

	if (command_of(r)->known)
		disk_refused(c->export->disk, kind[r->type]);
	nbd_notice(c->server, c, "request %u refused: flags 0x%x, %u bytes at "
		   "%llu", r->type, r->flags, r->len,
		   (unsigned long long)r->off);
}

int nbd_request_read(struct nbd_worker *w, struct nbd_request *r)
{
	struct nbd_conn *c = w->conn;
	int rc;

	*r = (struct nbd_request){ 0 };
	if (c->gone)
		return -ENODATA;
	rc = read_head(c, r);
	if (rc)
		return rc;
	r->error = nbd_request_check(c, r);
	if (r->error)
		refused(c, r);
	else if (command_of(r)->has_buffer)
		get_buffer(w, r);
	if (r->type != NBD_CMD_WRITE)
		return 0;
	if (r->len <= NBD_REQUEST_MAX)
		return recv_pieces(c, r);
	nbd_notice(c->server, c, "a write of %u bytes is too long", r->len);
	return -EBADMSG;
}
