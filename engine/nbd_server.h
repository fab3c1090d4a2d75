/* nbd_server.h - the NBD server of an engine: listening sockets, exports,
 * connections. Its facade is in engine.h (engine_nbd_..., engine_export_...).
 *
 * One thread accepts, ends handshakes that take too long, and buries
 * connections that have ended. Each connection has threads of its own
 * (nbd_impl.h), so a client who stalls stalls nobody else.
 */
#ifndef BLKMON_NBD_SERVER_H
#define BLKMON_NBD_SERVER_H

#include "engine/engine.h"

struct nbd_server;

struct nbd_server *nbd_server_new(struct engine *e);	/* not running */
/* Stops if need be: no request is in flight, no export left, afterwards. */
void nbd_server_quit(struct nbd_server *s);
void nbd_server_free(struct nbd_server *s);

#endif
