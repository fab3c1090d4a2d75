/* client_impl.h - what the two threads of a client share. */
#ifndef BLKMON_UI_CLIENT_IMPL_H
#define BLKMON_UI_CLIENT_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "engine/util/thread.h"
#include "src/console/console.h"
#include "ui/client/client.h"
#include "ui/draw/strip.h"
#include "ui/view/view.h"
#include "ui/view/view_use.h"

struct map {
	char *node;
	struct map_sum sum;
	unsigned n;		/* cells that are filled */
	unsigned tried;		/* cells that were asked for last */
	bool whole;		/* and so was the axis */
	bool wanted;		/* visible now */
	bool stale;
	struct strip_cell *cells;	/* NULL: none yet */
};

struct line {
	struct line *next;
	char text[];
};

struct plan_slot {
	char *lines, *forced;	/* wanted; NULL: nothing */
	unsigned number;	/* of the newest request */
	bool there;
	struct client_plan plan;
};

struct client {
	struct console *console;	/* the runner's */
	struct channel *watch;		/* the watcher's */
	struct interrupt interrupt;
	struct interrupt watch_end;	/* nobody waits for the watcher */
	pthread_t runner, watcher;
	int fd;				/* tells the screen */
	int run_fd, watch_fd;		/* tell the threads */

	struct lock lock;		/* leaf; guards all below */
	bool stop;
	struct line *queue, **queue_end;
	bool begun;			/* has taken the first events */
	bool running;			/* a line */
	bool over, wants_more;
	struct client_line *lines, **lines_end;
	struct shape *shape;
	struct view_jobs jobs;
	struct view_uses uses;
	json_t *places;			/* or NULL: all is here */
	json_t *attended;		/* places that are seen; NULL: all */
	bool attends;			/* that is to be told */
	struct map **maps;
	size_t map_count, map_found;
	unsigned cells;			/* of a strip, as wanted */
	bool whole;			/* the same: nothing is left out */
	bool reshape;			/* ask for all again */
	bool files_wanted;		/* ask what lies around */
	bool files_late;		/* that will be done a bit later */
	uint64_t files_seen;		/* clock_ns() of the last such look;
					   0: none */
	bool history_wanted;
	json_t *history;		/* the reply to that, or NULL */
	struct plan_slot plans[CLIENT_PLANS];
	uint64_t asked, done;		/* requests to the watcher */
};

/* Tells the screen that there is something new. */
static inline void client_tell(struct client *c)
{
	eventfd_write(c->fd, 1);
}

/* The map of that image, made if there is none. Lock held. */
struct map *client_map_of(struct client *c, const char *node);
void client_watcher(void *client);		/* the thread */
/* Asks for the maps that are wanted and not known, or for all of them anew;
 * where the end has none, those are wanted no more. */
void client_watch_maps(struct client *c, bool all, bool there_are);
/* Finds out the plans that are wanted. */
void client_watch_plans(struct client *c);
/* Forgets what is wanted and what is there. Lock held, or no threads. */
void client_forget_plan(struct plan_slot *slot);
/* Asks the watcher for a look. Lock held. */
void client_ask(struct client *c, bool reshape);

#endif
