/* client_impl.h - what the two threads of a client share. */
#ifndef BLKMON_UI_CLIENT_IMPL_H
#define BLKMON_UI_CLIENT_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "engine/util/thread.h"
#include "src/console/console.h"
#include "ui/draw/strip.h"
#include "ui/view/view.h"
#include "ui/view/view_use.h"

struct map {
	char *node;
	uint64_t size;
	unsigned n;		/* cells that are filled */
	unsigned tried;		/* cells that were asked for last */
	bool wanted;		/* visible now */
	bool stale;
	struct strip_cell cells[STRIP_CELLS];
};

struct line {
	struct line *next;
	char text[];
};

struct client {
	struct console *console;	/* the runner's */
	struct channel *watch;		/* the watcher's */
	struct interrupt interrupt;
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
	struct map **maps;
	size_t map_count;
	unsigned cells;			/* of a strip, as wanted */
	bool reshape;			/* ask for all again */
	bool history_wanted;
	json_t *history;		/* the reply to that, or NULL */
	uint64_t asked, done;		/* requests to the watcher */
};

/* Tells the screen that there is something new. */
static inline void client_tell(struct client *c)
{
	eventfd_write(c->fd, 1);
}

void client_watcher(void *client);		/* the thread */

#endif
