/* nbd_option.c - the handshake: fixed newstyle negotiation, without TLS. See
 * "Option types" of the protocol.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nbd/nbd.h"
#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

/* The longest that makes sense is a list of contexts asked for. */
#define OPTION_MAX (64u << 10)
#define NAME_SHOWN 80		/* of an export's name, in an error */

/* How an option leaves the handshake. */
enum { GOES_ON, SETTLED };

struct option {
	struct nbd_conn *conn;
	uint32_t number;
	const uint8_t *data;	/* what is not yet looked at */
	size_t len;
};

static const char *const context_name[NBD_CONTEXTS] = {
	[NBD_CONTEXT_ALLOCATION] = "base:allocation",
	[NBD_CONTEXT_DEPTH] = "qemu:allocation-depth",
};

/* --- answers --- */

/* One reply; @head goes in front of @tail. */
static int reply(const struct option *o, uint32_t type, const void *head,
		 size_t head_len, const void *tail, size_t tail_len)
{
	uint8_t start[20];
	struct iovec iov[] = {
		{ start, sizeof(start) },
		{ (void *)(uintptr_t)head, head_len },
		{ (void *)(uintptr_t)tail, tail_len },
	};

	put_be64(start, NBD_OPT_REPLY_MAGIC);
	put_be32(start + 8, o->number);
	put_be32(start + 12, type);
	put_be32(start + 16, (uint32_t)(head_len + tail_len));
	return nbd_send(o->conn, iov, 3);
}

static int acknowledge(const struct option *o)
{
	return reply(o, NBD_REP_ACK, NULL, 0, NULL, 0);
}

static int nbd_option_refuse(const struct option *o, uint32_t type,
			     const char *why)
{
	return reply(o, type, why, strlen(why), NULL, 0);
}

/* A client that breaks the rules: told, and put into the log. */
static int invalid(const struct option *o, const char *why)
{
	nbd_notice(o->conn->server, o->conn, "option %u: %s", o->number, why);
	return nbd_option_refuse(o, NBD_REP_ERR_INVALID, why);
}

/* --- taking options apart --- */

static bool take_u16(struct option *o, uint16_t *v)
{
	if (o->len < 2)
		return false;
	*v = get_be16(o->data);
	o->data += 2;
	o->len -= 2;
	return true;
}

static bool take_u32(struct option *o, uint32_t *v)
{
	if (o->len < 4)
		return false;
	*v = get_be32(o->data);
	o->data += 4;
	o->len -= 4;
	return true;
}

struct text {
	const uint8_t *s;
	size_t len;
};

/* A string with its length in front. */
static bool take_text(struct option *o, struct text *text)
{
	uint32_t len;

	if (!take_u32(o, &len) || len > NBD_STRING_MAX || len > o->len)
		return false;
	*text = (struct text){ o->data, len };
	o->data += len;
	o->len -= len;
	return true;
}

static void tell_unknown(struct nbd_conn *c, const struct text *name)
{
	nbd_notice(c->server, c, "asks for export '%.*s', which is not there",
		   (int)min_u64(name->len, 128), (const char *)name->s);
}

/* In QEMU's words. */
static int refuse_unknown(const struct option *o, const struct text *name)
{
	struct str safe = STR_INIT;
	char *shown, *why;
	int rc;

	tell_unknown(o->conn, name);
	shown = mem_printf("%.*s", (int)min_u64(name->len, NAME_SHOWN),
			   (const char *)name->s);
	str_add_safe(&safe, shown);
	why = mem_printf("export '%s%s' not present", str_get(&safe),
			 name->len > NAME_SHOWN ? "..." : "");
	rc = nbd_option_refuse(o, NBD_REP_ERR_UNKNOWN, why);
	free(why);
	free(shown);
	str_release(&safe);
	return rc;
}

/* --- the export chosen --- */

static uint16_t transmission_flags(const struct nbd_conn *c,
				   const struct export *x)
{
	unsigned flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
			 NBD_FLAG_SEND_FUA | NBD_FLAG_CAN_MULTI_CONN |
			 NBD_FLAG_SEND_CACHE;

	if (disk_is_writable(x->disk))
		flags |= NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
			 NBD_FLAG_SEND_FAST_ZERO;
	else
		flags |= NBD_FLAG_READ_ONLY;
	if (c->structured)
		flags |= NBD_FLAG_SEND_DF;
	return (uint16_t)flags;
}

/* Takes over the use of @x. A client that is told so is known as one of the
 * export's by then: should it die the next moment, what it asked for is waited
 * for before the next one is served. */
static int settle(struct nbd_conn *c, struct export *x)
{
	int rc = nbd_export_await(c, x);

	if (c->contexts_of != x->serial)
		c->contexts = 0;
	if (!rc && nbd_export_settle(c, x))
		return 0;
	nbd_export_put(c->server, x);
	return rc ? rc : -ECANCELED;
}

static int send_export_name(struct nbd_conn *c, struct export *x)
{
	uint8_t head[10 + 124] = { 0 };
	struct iovec iov = { head, c->no_zeroes ? 10 : sizeof(head) };

	c->size = disk_size(x->disk);
	put_be64(head, c->size);
	put_be16(head + 8, transmission_flags(c, x));
	return nbd_send(c, &iov, 1);
}

/* There is no way to say no to this one but to hang up. */
static int option_export_name(struct option *o)
{
	struct text name = { o->data, o->len };
	struct nbd_conn *c = o->conn;
	struct export *x = nbd_export_get(c->server, name.s, name.len);
	int rc;

	if (!x) {
		tell_unknown(c, &name);
		return -ENOENT;
	}
	rc = settle(c, x);
	if (!rc)
		rc = send_export_name(c, x);
	return rc ? rc : SETTLED;
}

static int info_export(const struct option *o, struct export *x)
{
	uint8_t b[12];

	o->conn->size = disk_size(x->disk);
	put_be16(b, NBD_INFO_EXPORT);
	put_be64(b + 2, o->conn->size);
	put_be16(b + 10, transmission_flags(o->conn, x));
	return reply(o, NBD_REP_INFO, b, sizeof(b), NULL, 0);
}

static int info_block_size(const struct option *o, struct export *x)
{
	uint8_t b[14];

	put_be16(b, NBD_INFO_BLOCK_SIZE);
	put_be32(b + 2, 1);
	put_be32(b + 6, disk_block(x->disk));
	put_be32(b + 10, NBD_REQUEST_MAX);
	return reply(o, NBD_REP_INFO, b, sizeof(b), NULL, 0);
}

static int info_text(const struct option *o, enum nbd_info_type what,
		     const char *text)
{
	uint8_t b[2];

	put_be16(b, (uint16_t)what);
	return reply(o, NBD_REP_INFO, b, sizeof(b), text, strlen(text));
}

static bool asks_for(const struct option *o, enum nbd_info_type what)
{
	for (size_t at = 0; at < o->len; at += 2)
		if (get_be16(o->data + at) == what)
			return true;
	return false;
}

/* What was asked for, once each, and what every client should know. */
static int send_infos(struct option *o, struct export *x)
{
	int rc = info_export(o, x);

	if (!rc)
		rc = info_block_size(o, x);
	if (!rc && asks_for(o, NBD_INFO_NAME))
		rc = info_text(o, NBD_INFO_NAME, x->name);
	if (!rc && x->description && asks_for(o, NBD_INFO_DESCRIPTION))
		rc = info_text(o, NBD_INFO_DESCRIPTION, x->description);
	return rc ? rc : acknowledge(o);
}

static int option_info(struct option *o)
{
	struct nbd_conn *c = o->conn;
	struct export *x;
	struct text name;
	uint16_t infos;
	int rc;

	if (!take_text(o, &name) || !take_u16(o, &infos) ||
	    o->len != infos * 2u)
		return invalid(o, "its lengths do not fit");
	x = nbd_export_get(c->server, name.s, name.len);
	if (!x)
		return refuse_unknown(o, &name);
	if (o->number == NBD_OPT_GO) {
		rc = settle(c, x);
		if (!rc)
			rc = send_infos(o, x);
		return rc ? rc : SETTLED;
	}
	rc = send_infos(o, x);
	nbd_export_put(c->server, x);
	return rc;
}

/* --- lists --- */

static int option_list(struct option *o)
{
	struct export_info *info;
	uint8_t len[4];
	size_t n;
	int rc = 0;

	if (o->len)
		return invalid(o, "has data");
	/* A list that lacks something would be a lie. */
	rc = nbd_query_exports(o->conn->server, &info, &n);
	for (size_t i = n; i-- && !rc;) {
		put_be32(len, (uint32_t)strlen(info[i].name));
		rc = reply(o, NBD_REP_SERVER, len, sizeof(len), info[i].name,
			   strlen(info[i].name));
	}
	export_info_free(info, n);
	return rc ? rc : acknowledge(o);
}

static int option_structured(struct option *o)
{
	if (o->len)
		return invalid(o, "has data");
	o->conn->structured = true;
	return acknowledge(o);
}

static int option_abort(struct option *o)
{
	acknowledge(o);
	return -ECANCELED;
}

/* --- contexts --- */

/* A bare namespace stands for all that is in it, but selects nothing. */
static bool nbd_option_matches(const struct text *query, const char *name,
			       bool list)
{
	size_t space = strcspn(name, ":") + 1, len = strlen(name);

	if (memcmp(name, query->s, min_u64(query->len, len)))
		return false;
	return query->len == len || (list && query->len == space);
}

/* False if the queries do not fit their lengths. */
static bool nbd_option_choose(struct option *o, unsigned *chosen)
{
	bool list = o->number == NBD_OPT_LIST_META_CONTEXT;
	struct text query;
	uint32_t queries;

	*chosen = 0;
	if (!take_u32(o, &queries))
		return false;
	if (!queries && list)
		*chosen = (1u << NBD_CONTEXTS) - 1;
	for (; queries; queries--) {
		if (!take_text(o, &query))
			return false;
		for (unsigned i = 0; i < NBD_CONTEXTS; i++)
			if (nbd_option_matches(&query, context_name[i], list))
				*chosen |= 1u << i;
	}
	return !o->len;
}

/* A list gives no ids away. */
static int send_contexts(struct option *o, unsigned chosen)
{
	bool set = o->number == NBD_OPT_SET_META_CONTEXT;
	int rc = 0;

	for (uint32_t i = 0; i < NBD_CONTEXTS && !rc; i++) {
		uint8_t id[4];

		put_be32(id, set ? i : 0);
		if (chosen & 1u << i)
			rc = reply(o, NBD_REP_META_CONTEXT, id, sizeof(id),
				   context_name[i], strlen(context_name[i]));
	}
	return rc ? rc : acknowledge(o);
}

static int option_contexts(struct option *o)
{
	struct nbd_conn *c = o->conn;
	unsigned chosen;
	struct export *x;
	struct text name;

	if (o->number == NBD_OPT_SET_META_CONTEXT)
		c->contexts = 0;
	if (!c->structured)
		return invalid(o, "structured replies come first");
	if (!take_text(o, &name) || !nbd_option_choose(o, &chosen))
		return invalid(o, "its lengths do not fit");
	x = nbd_export_get(c->server, name.s, name.len);
	if (!x)
		return refuse_unknown(o, &name);
	if (o->number == NBD_OPT_SET_META_CONTEXT) {
		c->contexts = chosen;
		c->contexts_of = x->serial;
	}
	nbd_export_put(c->server, x);
	return send_contexts(o, chosen);
}

/* --- the course of it --- */

static int (*const handler[])(struct option *o) = {
	[NBD_OPT_EXPORT_NAME] = option_export_name,
	[NBD_OPT_ABORT] = option_abort,
	[NBD_OPT_LIST] = option_list,
	[NBD_OPT_INFO] = option_info,
	[NBD_OPT_GO] = option_info,
	[NBD_OPT_STRUCTURED_REPLY] = option_structured,
	[NBD_OPT_LIST_META_CONTEXT] = option_contexts,
	[NBD_OPT_SET_META_CONTEXT] = option_contexts,
};

static int handle(struct option *o)
{
	if (o->number >= sizeof(handler) / sizeof(*handler) ||
	    !handler[o->number])
		return nbd_option_refuse(o, NBD_REP_ERR_UNSUP,
					 "unknown option");
	return handler[o->number](o);
}

/* One option; @buf has OPTION_MAX bytes. */
static int nbd_option_next_option(struct nbd_conn *c, uint8_t *buf)
{
	struct option o = { .conn = c, .data = buf };
	uint8_t head[16];
	int rc = nbd_recv(c, head, sizeof(head));

	if (rc)
		return rc;
	if (get_be64(head) != NBD_OPTS_MAGIC) {
		nbd_notice(c->server, c, "no option begins like this");
		return -EBADMSG;
	}
	o.number = get_be32(head + 8);
	o.len = get_be32(head + 12);
	if (o.len > OPTION_MAX) {
		nbd_notice(c->server, c, "option %u has %zu bytes", o.number,
			   o.len);
		if (o.number == NBD_OPT_EXPORT_NAME)
			return -EMSGSIZE;
		rc = nbd_skip(c, o.len);
		return rc ? rc
			  : nbd_option_refuse(&o, NBD_REP_ERR_TOO_BIG,
					      "too long");
	}
	rc = nbd_recv(c, buf, o.len);
	if (rc)
		return rc == -ENODATA ? -EPIPE : rc;
	return handle(&o);
}

static int greet(struct nbd_conn *c)
{
	uint8_t hello[18], b[4];
	struct iovec iov = { hello, sizeof(hello) };
	uint32_t flags;
	int rc;

	put_be64(hello, NBD_MAGIC);
	put_be64(hello + 8, NBD_OPTS_MAGIC);
	put_be16(hello + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	rc = nbd_send(c, &iov, 1);
	if (!rc)
		rc = nbd_recv(c, b, sizeof(b));
	if (rc)
		return rc;
	flags = get_be32(b);
	c->no_zeroes = flags & NBD_NO_ZEROES;
	if (!(flags & ~(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)))
		return 0;
	nbd_notice(c->server, c, "has unknown flags 0x%x", flags);
	return -EBADMSG;
}

/* The thread that ends slow handshakes writes down that it did so before it
 * hangs up. */
static void nbd_option_tell_end(struct nbd_conn *c, int rc)
{
	if (peer_is_late(&c->peer))
		nbd_notice(c->server, c, "did not finish the handshake in "
			   "time");
	else if (rc == -EPIPE && !c->gone)
		nbd_notice(c->server, c, "closed the connection in the midst "
			   "of the handshake");
}

int nbd_handshake(struct nbd_conn *c)
{
	uint8_t *buf = mem_try(OPTION_MAX, 1);
	int rc = buf ? greet(c) : -ENOMEM;

	while (rc == GOES_ON)
		rc = nbd_option_next_option(c, buf);
	free(buf);
	if (rc == SETTLED)
		return 0;
	nbd_option_tell_end(c, rc);
	return rc;
}
