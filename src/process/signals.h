/* signals.h - the end that is asked for from outside.
 *
 * All signals that end the program are blocked everywhere and taken by one
 * thread, which tells the front end through a struct interrupt, cancels the
 * jobs, and ends the process should the rest take longer than it may.
 */
#ifndef BLKMON_SIGNALS_H
#define BLKMON_SIGNALS_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "engine/util/thread.h"
#include "engine/util/interrupt.h"

struct signals {
	struct interrupt interrupt;	/* for the front end */
	/* SIGINT only sets the interrupt: the prompt handles it. */
	_Atomic bool soft_int;
	_Atomic int ended;		/* the signal that ends us, or 0 */
	int source, stop;		/* signalfd, eventfd */
	struct lock lock;		/* guards engine */
	struct engine *engine;
	pthread_t thread;
	bool started;
};

/* Before any other thread exists; the process may fork behind it. 0 or -1 and
 * err. */
int signals_init(struct signals *s, struct err *err);
/* From now on they are taken. Not to be called twice. */
int signals_start(struct signals *s, struct err *err);
void signals_attach(struct signals *s, struct engine *engine);
/* From its return on the engine is not touched here any more. */
void signals_detach(struct signals *s);
void signals_release(struct signals *s);

#endif
