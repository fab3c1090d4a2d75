/* folder_events.c - see folder_events.h. */
#include "engine/folder_events.h"

#include <stdio.h>

#include "engine/util/clock.h"

#define GATHER_NS (200 * NS_PER_MS)

void folder_events_init(struct folder_events *f, struct event_ring *events)
{
	*f = (struct folder_events){ .events = events,
				     .watch = FOLDER_WATCH_INIT };
	lock_init(&f->lock);
}

/* Locked. */
static void folder_events_tell(struct folder_events *f)
{
	for (size_t i = 0; i < f->watch.count; i++) {
		struct folder_watched *folder = &f->watch.folder[i];
		struct event ev = { .type = EVENT_FOLDER };

		if (!folder->changed)
			continue;
		folder->changed = false;
		snprintf(ev.text, sizeof(ev.text), "%s", folder->path);
		event_publish(f->events, &ev);
	}
}

/* Locked; let go while it waits. */
static void folder_events_wait(struct folder_events *f, uint64_t deadline)
{
	lock_drop(&f->lock);
	folder_watch_wait(&f->watch, deadline);
	lock_take(&f->lock);
}

/* What comes close together is one change. */
static void folder_events_gather(struct folder_events *f)
{
	uint64_t end = clock_ns() + GATHER_NS;

	while (!f->ending && clock_ns() < end) {
		folder_events_wait(f, end);
		folder_watch_take(&f->watch);
	}
}

static void folder_events_run(void *arg)
{
	struct folder_events *f = arg;

	lock_take(&f->lock);
	while (!f->ending && clock_ns() < f->until) {
		folder_events_wait(f, f->until);
		if (!folder_watch_take(&f->watch))
			continue;
		folder_events_gather(f);
		folder_events_tell(f);
	}
	folder_watch_close(&f->watch);
	f->over = true;
	lock_drop(&f->lock);
}

/* Locked. A thread that is at its end has nothing more to wait for. */
static void folder_events_start(struct folder_events *f)
{
	if (f->started && f->over)
		thread_join(f->thread);
	else if (f->started)
		return;
	f->started = f->over = false;
	if (!folder_watch_open(&f->watch))
		f->started = !thread_start(&f->thread, "folders",
					   folder_events_run, f);
	if (!f->started)
		folder_watch_close(&f->watch);
}

bool folder_events_want(struct folder_events *f, const char *path)
{
	bool watched = false;

	lock_take(&f->lock);
	f->until = f->always ? UINT64_MAX : clock_ns() + FOLDER_EVENTS_NS;
	folder_events_start(f);
	if (f->started && !f->over)
		watched = folder_watch_add(&f->watch, path);
	lock_drop(&f->lock);
	return watched;
}

void folder_events_keep(struct folder_events *f)
{
	lock_take(&f->lock);
	f->always = true;
	lock_drop(&f->lock);
}

void folder_events_release(struct folder_events *f)
{
	lock_take(&f->lock);
	f->ending = true;
	if (f->started && !f->over)
		folder_watch_wake(&f->watch);
	lock_drop(&f->lock);
	if (f->started)
		thread_join(f->thread);
	lock_release(&f->lock);
}
