/* nbd_impl.h - what the rooms of the NBD server share.
 *
 * From the ground up, each calls only those before it: nbd_log.c speaks to the
 * operator; nbd_turn.c says who of a connection's threads does what; nbd_io.c
 * has its input and output; nbd_export.c the exports and who uses them;
 * nbd_reply.c answers; nbd_serve.c serves requests, nbd_request.c takes them
 * in; nbd_option.c is the handshake; nbd_conn.c the life of one connection;
 * nbd_server.c that of the server.
 *
 * The threads of a connection are alike. One of them has the *turn*: it reads
 * the next request, passes the turn on, serves what it read, replies, and asks
 * for the turn again. Nothing is handed from thread to thread, there are as
 * many requests in flight as threads, and there is no queue to bound. While
 * requests are over sooner than another thread could wake up, the turn is not
 * passed on until the answer has to wait for the client: it may be about to
 * ask for more before it reads that.
 *
 * Requests that sleep, for a disk, are served by all the threads there are.
 * Those that only need a processor are served by as many as there are
 * processors: of more, each waits for the time slices of the others, and the
 * request that it has begun is late by milliseconds.
 */
#ifndef BLKMON_NBD_IMPL_H
#define BLKMON_NBD_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/nbd/export.h"
#include "engine/util/list.h"
#include "engine/util/listener.h"
#include "engine/util/thread.h"

#define NBD_THREADS 16		/* so many requests in flight per client */
#define NBD_REQUEST_MAX (32u << 20)
#define NBD_INPUT (64u << 10)	/* read ahead of the requests */

/* A longer request is served piece by piece. A client may use one piece at
 * any time; further ones come out of what all clients share, and who gets
 * none waits for its own. So the most there can be is NBD_SHARED_MAX and one
 * piece for each client. */
#define NBD_PIECE (1u << 20)
#define NBD_SHARED_MAX 96u	/* pieces */
#define NBD_SPARES 16u		/* pieces kept for the next who wants one */
#define NBD_SMALL (16u << 10)	/* each thread has a buffer of that size */

#define NBD_ALL 1024u		/* a share of requests: all of them */

#define NBD_HANDSHAKE_NS (10 * NS_PER_SEC)
/* How long a client may take to read the last replies when it has to go. */
#define NBD_DRAIN_NS (2 * NS_PER_SEC)
#define NBD_CLIENTS 100		/* unless the operator says otherwise */

struct nbd_server {
	struct engine *engine;
	struct lock admin;	/* order 0: one who starts, stops, adds... */
	uint64_t handshake_ns, drain_ns; /* the two limits; tests shorten */
	_Atomic unsigned shared; /* pieces in use out of NBD_SHARED_MAX */
	unsigned processors;	/* constant; 2 at least */
	struct listener listener; /* its peers are struct nbd_conn; its lock
				   comes before the one below */

	uint64_t next_serial;	/* admin */

	struct lock lock;	/* leaf; guards all below */
	struct cond changed;	/* an export has a user less, or one who is
				   away */
	struct list exports;	/* struct export, newest first */
	char address[256];	/* while it is running */
	uint8_t *spare[NBD_SPARES]; /* pieces that nobody uses */
	unsigned spares;
	uint64_t notice_ns;	/* when the current second of lines began */
	unsigned notices, notices_lost;
};

struct nbd_worker {
	struct nbd_conn *conn;
	pthread_t thread;
	uint8_t *small;		/* NBD_SMALL bytes, fit for O_DIRECT */
	uint64_t began;		/* the request that it serves, ns */
	long slept;		/* how often the thread had, until then */

	/* conn's lock: */
	bool counted;		/* in conn->serving */
	struct list idle;	/* conn->idle, as long as it waits for the
				   turn */
	struct cond wake;
};

enum { NBD_CONTEXT_ALLOCATION, NBD_CONTEXT_DEPTH, NBD_CONTEXTS };

struct nbd_conn {
	struct peer peer;	/* its deadline is that of the handshake */

	/* constant */
	struct nbd_server *server;
	int fd;
	pthread_t thread;	/* the first of its threads, */
	bool started;		/* if it could be started */
	void (*work)(void *worker); /* the life of the others */

	_Atomic bool gone;	/* has to end: takes no more requests */
	_Atomic bool away;	/* asks for nothing more: what it asked for
				   does not wait for the guest to go on */
	struct nbd_tally tally;

	/* the server's lock */
	struct export *export;	/* NULL during the handshake; a user of it */
	struct list user;	/* export->conns */

	/* what the handshake agreed on; constant afterwards */
	bool no_zeroes, structured;
	unsigned contexts;	/* bits 1 << NBD_CONTEXT_... */
	uint64_t contexts_of;	/* serial of the export they were set for */

	/* whoever has the turn */
	uint8_t *in;
	size_t in_at, in_end;
	uint64_t size;		/* of the disk, when last looked at */
	struct nbd_worker worker[NBD_THREADS];
	unsigned workers;

	struct lock lock;	/* leaf; guards the turn and the pieces */
	struct cond freed;	/* pieces */
	bool taken, ended;	/* the turn; there is no next request */
	struct list idle;	/* workers, who came last first */
	unsigned serving;	/* workers with a small request */
	uint64_t begun;		/* how many of those there were */
	bool watched;		/* the last of the idle will look whether
				   they go on */
	unsigned pieces;	/* buffers beyond the threads' own */
	_Atomic uint32_t mean_ns; /* how long small requests take */
	_Atomic uint32_t asleep; /* of NBD_ALL such, how many sleep */

	/* One reply after the other. Held across writes to the socket, with
	 * no other lock held. */
	struct lock out;
};

struct nbd_request {
	uint16_t flags, type;
	uint64_t cookie, off;
	uint32_t len;
	uint32_t error;		/* NBD's, found while it was read */
	uint32_t done;		/* WRITE: bytes served already */
	uint8_t *buf;		/* of min(len, NBD_PIECE) bytes at least, or
				   NULL */
	bool owns, shared;	/* buf is a piece; out of the common ones */
};

/* --- nbd_log.c --- */

/* A line for the operator's log about @conn (NULL: the server). At most ten a
 * second: a client must not flood the log. */
void nbd_notice(struct nbd_server *s, const struct nbd_conn *conn,
		const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- nbd_turn.c; the calling thread is the worker's --- */

/* Waits for the turn, unless it was kept. False if it has ended. */
bool nbd_turn_take(struct nbd_worker *w);
/* There is no next request. Turn held. */
void nbd_turn_end(struct nbd_worker *w);
/* Around serving a request. Turn held: begin passes it on, or keeps it if that
 * is likely to be sooner over. */
void nbd_turn_begin(struct nbd_worker *w, const struct nbd_request *r);
void nbd_turn_measure(struct nbd_worker *w, const struct nbd_request *r);
/* Before the calling thread waits: passes on a turn that it has kept. */
bool nbd_turn_is_kept(void);
void nbd_turn_let_go(void);

void nbd_worker_init(struct nbd_worker *w, struct nbd_conn *c);
void nbd_worker_release(struct nbd_worker *w);

/* --- nbd_io.c --- */

/* Exactly @len bytes of input. -ENODATA: the client has ended before the
 * first; -EPIPE: in the midst; or another -errno. Turn or handshake. */
int nbd_recv(struct nbd_conn *c, void *buf, size_t len);
int nbd_skip(struct nbd_conn *c, uint64_t len);
/* All of it, changes @iov. 0 or -errno. out held, or handshake. */
int nbd_send(struct nbd_conn *c, struct iovec *iov, int n);
void nbd_out_take(struct nbd_conn *c);
void nbd_out_drop(struct nbd_conn *c);
/* Has the client closed its side? It may still read answers. */
bool nbd_is_hung(const struct nbd_conn *c);
/* No more requests of this connection; replies still go out unless @hard,
 * which ends a handshake too. Server's lock held, @c is not done. */
void nbd_hang_up(struct nbd_conn *c, bool hard);

/* --- nbd_export.c --- */

struct nbd_counts nbd_counts(const struct nbd_tally *t);

/* The export called @name (not NUL-terminated; empty: the only one there is),
 * counted as used; NULL if there is none. */
struct export *nbd_export_get(struct nbd_server *s, const void *name,
			      size_t len);
void nbd_export_put(struct nbd_server *s, struct export *x);
/* Before a client is told of @x: no request of one who hung up earlier is left
 * that might still change this disk. 0, or -ECANCELED: the connection has to
 * end. */
int nbd_export_await(struct nbd_conn *c, struct export *x);
/* Before the client is told that the handshake is over: takes the caller's use
 * of @x. False if the connection has to end instead, or has been hung up; then
 * it is still the caller's. */
bool nbd_export_settle(struct nbd_conn *c, struct export *x);
/* The client asks for nothing more: its requests that wait at a stopped
 * guest's gate end with -ECANCELED. Any thread, while @c is not freed. */
void nbd_export_abandon(struct nbd_conn *c);
/* The same, and it gets no more answers. */
void nbd_export_cut(struct nbd_conn *c);
/* No request of @c is left: gives its use back, if it has settled. */
void nbd_export_leave(struct nbd_conn *c);
/* Deletes all, with their connections; admin held. */
void nbd_exports_drop(struct nbd_server *s);

/* --- nbd_reply.c --- */

uint32_t nbd_errno(int rc);	/* NBD's; @rc is 0 or -errno */

/* What follows returns 0 or -errno. */
int nbd_reply(struct nbd_conn *c, const struct nbd_request *r,
	      uint32_t error);
/* The whole answer to a READ: r->buf holds all of it. */
int nbd_reply_data(struct nbd_conn *c, const struct nbd_request *r);

/* Chunks that go out together. */
#define NBD_CHUNKS 32
struct nbd_chunks {
	struct iovec iov[2 * NBD_CHUNKS];
	uint8_t head[NBD_CHUNKS][32];
	unsigned count;
	int parts;
};
/* The last one added is marked as the end of the answer if @done. */
void nbd_chunk_data(struct nbd_chunks *out, const struct nbd_request *r,
		    uint64_t off, void *data, uint32_t len, bool done);
void nbd_chunk_hole(struct nbd_chunks *out, const struct nbd_request *r,
		    uint64_t off, uint32_t len, bool done);
/* @body: the extents on the wire, @len bytes. */
void nbd_chunk_status(struct nbd_chunks *out, const struct nbd_request *r,
		      uint32_t context, void *body, uint32_t len, bool done);
int nbd_chunks_send(struct nbd_conn *c, struct nbd_chunks *out);
/* Simple reply whose @len bytes of data follow by nbd_send(): out held. */
int nbd_simple_head(struct nbd_conn *c, const struct nbd_request *r);

/* --- nbd_serve.c --- */

/* Serves and replies. 0, or -errno when the client can't be answered. */
int nbd_serve(struct nbd_conn *c, struct nbd_request *r);

/* --- nbd_request.c --- */

/* The next request with (the last piece of) its data. 0, or -errno: there is
 * none; -ENODATA if the client ended as it should. Turn held. */
int nbd_request_read(struct nbd_worker *w, struct nbd_request *r);
void nbd_request_release(struct nbd_worker *w, struct nbd_request *r);

/* --- nbd_option.c --- */

/* 0: c->export is set; else the connection is over, and why was said. */
int nbd_handshake(struct nbd_conn *c);

/* --- nbd_conn.c --- */

/* Takes @fd; NULL: no memory, and it is left. */
struct nbd_conn *nbd_conn_new(struct nbd_server *s, int fd);
int nbd_conn_start(struct nbd_conn *c);		/* 0 or -errno */
void nbd_conn_free(struct nbd_conn *c);		/* done; waits for its end */

#endif
