/* nbd_server.h - the NBD server of an engine: listening sockets, exports,
 * connections. Any thread, holding nothing.
 *
 * One thread accepts, ends handshakes that take too long, and buries
 * connections that have ended. Each connection has threads of its own
 * (nbd_impl.h), so a client who stalls stalls nobody else.
 */
#ifndef BLKMON_NBD_SERVER_H
#define BLKMON_NBD_SERVER_H

#include "engine/disk.h"

struct nbd_server;

/* Not running; @e is borrowed. */
struct nbd_server *nbd_server_new(struct engine *e);
/* Stops if need be: no request is in flight, no export left, afterwards. */
void nbd_server_quit(struct nbd_server *s);
void nbd_server_free(struct nbd_server *s);

struct nbd_options {
	const char *path;		/* Unix socket, or NULL: */
	const char *host, *port;	/* host NULL or "": loopback */
	unsigned max_connections;	/* 0: 100 */
};
/* "NBD server already running", "Failed to bind socket to PATH: REASON". */
int nbd_server_start(struct nbd_server *s, const struct nbd_options *o,
		     struct err *err);
/* Waits for requests in flight, ends all connections, deletes all exports.
 * "NBD server not running". */
int nbd_server_stop(struct nbd_server *s, struct err *err);

struct export_options {
	const char *id;			/* NULL: the name, as it is */
	const char *device, *node_name;	/* one of them; the other NULL */
	const char *name;		/* NULL: device or node_name */
	const char *description;	/* or NULL */
	bool writable;
	bool or_read_only;		/* writable where that is possible */
	bool force;			/* as in disk_options */
};
/* "NBD server not running", "Block export id 'x' is already in use", "Cannot
 * export read-only node as writable". */
int nbd_export_add(struct nbd_server *s, const struct export_options *o,
		   struct err *err);
/* Waits for requests in flight, ends its connections if @hard, else is refused
 * while there are any. EVENT_EXPORT_DELETED. "Export 'x' is not found". */
int nbd_export_del(struct nbd_server *s, const char *id, bool hard,
		   struct err *err);

/* What NBD clients asked for. */
struct nbd_counts {
	uint64_t rd_bytes, wr_bytes, rd_ops, wr_ops;
	uint64_t requests;		/* of all kinds */
};

struct export_info {
	char *id, *name;
	uint64_t serial;		/* never used twice */
	struct disk_names names;	/* just now */
	bool writable, shutting_down;
	unsigned clients;
	struct nbd_counts counts;
};
/* All exports, newest first. 0, or -ENOMEM and an empty list. */
int nbd_query_exports(struct nbd_server *s, struct export_info **out,
		      size_t *n);
void export_info_free(struct export_info *info, size_t n);

struct nbd_client_info {
	uint64_t number;		/* counts from 1 */
	char peer[80];			/* "fio[4711]", "127.0.0.1:5000" */
	uint64_t export;		/* its serial; 0 during the handshake */
	struct nbd_counts counts;
};
struct nbd_info {
	bool running;
	char address[256];		/* "unix:PATH", "HOST:PORT" */
	unsigned max_connections;
	struct nbd_client_info *client;	/* oldest first; free() */
	size_t clients;
};
/* 0, or -ENOMEM: then without clients. */
int nbd_query_server(struct nbd_server *s, struct nbd_info *out);

#endif
