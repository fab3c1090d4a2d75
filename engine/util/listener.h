/* listener.h - sockets that listen, and the clients who come by them.
 *
 * One thread accepts, keeps to the limit, ends clients whose time is up, and
 * buries those who are done. What a client is, is its owner's: who embeds a
 * struct peer, serves it with threads of its own, and the last thing these do
 * is to call peer_done(). Who hangs up is noticed, whatever its threads wait
 * for. What goes wrong for long (too many clients, no
 * descriptor left) is said once, and again when it was over in between.
 *
 * A listener is made, given its sockets, started, stopped and released by one
 * thread at a time; it can be started again. The functions of peers may be
 * called by any thread.
 */
#ifndef BLKMON_UTIL_LISTENER_H
#define BLKMON_UTIL_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/util/list.h"
#include "engine/util/socket.h"
#include "engine/util/thread.h"

struct listener;

struct peer {			/* zeroed; embedded by its kinds */
	char name[80];		/* who it is, for a log; set before it is
				   admitted */

	/* constant once it is admitted */
	struct listener *listener;
	uint64_t number;	/* counts from 1, never used twice */

	/* the listener's lock */
	struct list link;
	uint64_t deadline;	/* of clock_ns(), or 0: none; may be set
				   before it is admitted */
	bool late;		/* that has passed */
	bool done;		/* nothing of it runs: may be freed */
};

struct listener_ops {
	const char *thread;	/* its name */
	bool waits;		/* who is too many: waits until there is room,
				   or is sent away */
	/* Makes a client of @fd (taken), who came by @way; NULL: no memory,
	 * and @fd is left: it is sent away. */
	struct peer *(*make)(void *arg, void *way, int fd);
	/* Begins to serve it. 0, or -errno: it is as one who is done. */
	int (*start)(struct peer *p);
	/* Its time is up: makes it end soon. The listener's lock is held.
	 * NULL where there are no deadlines. */
	void (*late)(struct peer *p);
	/* It closed its side: called once by the accepting thread, if it is
	 * not done by then. NULL: nobody wants to know. */
	void (*hung)(struct peer *p);
	/* It is done or never was started: waits for the end of its threads,
	 * and frees. */
	void (*free)(struct peer *p);
	/* A line for the operator about @p, or in general (NULL). */
	void (*say)(void *arg, const struct peer *p, const char *text);
};

struct listener {
	const struct listener_ops *ops;
	void *arg;
	struct list ways;	/* constant while it runs */
	unsigned most;		/* so many clients at a time; the same */
	pthread_t thread;
	int wake;		/* eventfd: look around, accepting thread */
	int hangups;		/* epoll: of clients, with ops->hung; or -1 */
	bool poor_told;		/* the accepting thread's */

	/* Guards what follows. Held only for moments; before what the owner's
	 * late() takes. */
	struct lock lock;
	struct cond changed;	/* a client is done */
	struct list peers;	/* oldest first */
	unsigned count;		/* their number, those done included */
	uint64_t numbered;
	bool running;
	bool full_told;
};

void listener_init(struct listener *l, const struct listener_ops *ops,
		   void *arg);
/* Stopped, and nobody is left. */
void listener_release(struct listener *l);
/* @sockets are taken; who comes by them is made with @way. Not running. */
void listener_add(struct listener *l, const struct sockets *sockets,
		  void *way);
/* A client who came in another way than by a socket that listens: is served
 * with the start. Takes @p. Not running. */
void listener_admit(struct listener *l, struct peer *p);

/* 0, or -errno; then listener_stop() and listener_wait() take back what is
 * half done. */
int listener_start(struct listener *l, unsigned most);
bool listener_is_running(struct listener *l);
/* Nobody new from here on: closes the sockets. Clients stay. */
void listener_stop(struct listener *l);
/* Waits until all clients are done, and buries them. Stopped before. */
void listener_wait(struct listener *l);

/* The last thing that @p does: it may be freed right away. */
void peer_done(struct peer *p);
/* The deadline no longer holds. False if it has passed already. */
bool peer_in_time(struct peer *p);
bool peer_is_late(struct peer *p);

#endif
