/* machine.h - what QMP talks about in this process: the engine, and the server
 * by which guests reach its disks.
 */
#ifndef BLKMON_QMP_MACHINE_H
#define BLKMON_QMP_MACHINE_H

#include "engine/engine.h"
#include "engine/nbd/nbd_server.h"
#include "src/qmp/iothreads.h"

struct machine {
	struct engine *engine;
	struct nbd_server *nbd;
	struct iothreads *iothreads;
};

struct machine *machine_new(void);
/* Stops the NBD server, cancels all jobs (force) and makes all images durable:
 * 0, or -1 and the first that can't be. Whoever wants to know calls it before
 * machine_free(), and writes nothing in between. */
int machine_sync(struct machine *m, struct err *err);
/* The same, unasked, and closes all images. */
void machine_free(struct machine *m);

#endif
